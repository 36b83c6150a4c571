package im

import (
	"strconv"
	"time"

	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Service is an external service that clients may use, a STUN or TURN server (XEP-0215).
type Service struct {
	Type      string // "stun", "turn" or "turns"
	Host      string
	Port      int
	Transport string // "udp" or "tcp"
	Username  string // empty: the service needs no credential
	Password  string
	Expires   time.Time
}

// ServeServices answers XEP-0215, version 2 and the older 1, with the services that a sender may use.
func (h *Host) ServeServices(services func(s route.Sender) []Service) {
	h.Announce([]string{NSServices, nsOldICE})
	for _, ns := range []string{NSServices, nsOldICE} {
		h.HandleIQ("services", ns, func(b *wire.Batch, s route.Sender, p *wire.Packet) {
			kind := p.Elem().First().AttrString("type")
			h.reply(b, s, p, ns, "services", services(s), func(v Service) bool { return kind == "" || v.Type == kind })
		})
		h.HandleIQ("credentials", ns, func(b *wire.Batch, s route.Sender, p *wire.Packet) {
			want := p.Elem().First().First()
			host, kind, port := want.AttrString("host"), want.AttrString("type"), want.AttrString("port")
			h.reply(b, s, p, ns, "credentials", services(s), func(v Service) bool {
				return v.Host == host && v.Type == kind && (port == "" || port == strconv.Itoa(v.Port)) && v.Username != ""
			})
		})
	}
}

func (h *Host) reply(b *wire.Batch, s route.Sender, p *wire.Packet, ns, root string, list []Service, wanted func(Service) bool) {
	if string(p.Type()) != "get" {
		Fail(b, s, p, &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "services can only be asked for"})
		return
	}
	out := append([]byte("<"+root), " xmlns='"+ns+"'>"...)
	found := false
	for _, v := range list {
		if !wanted(v) {
			continue
		}
		found = true
		out = wire.AppendAttr(append(out, "<service"...), "type", v.Type)
		out = wire.AppendAttr(out, "host", v.Host)
		out = wire.AppendAttr(out, "port", strconv.Itoa(v.Port))
		out = wire.AppendAttr(out, "transport", v.Transport)
		if v.Username != "" {
			out = wire.AppendAttr(out, "username", v.Username)
			out = wire.AppendAttr(out, "password", v.Password)
			out = wire.AppendAttr(out, "expires", v.Expires.UTC().Format(time.RFC3339))
			out = append(out, " restricted='1'"...)
		}
		out = append(out, "/>"...)
	}
	if root == "credentials" && !found {
		Fail(b, s, p, &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "no such service"})
		return
	}
	Reply(b, s, p, append(out, "</"+root+">"...))
}

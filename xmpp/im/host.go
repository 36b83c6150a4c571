package im

import (
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"

	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Namespaces of what the host answers.
const (
	NSInfo     = "http://jabber.org/protocol/disco#info"
	NSItems    = "http://jabber.org/protocol/disco#items"
	NSCaps     = "http://jabber.org/protocol/caps"
	NSPing     = "urn:xmpp:ping"
	NSRoster   = "jabber:iq:roster"
	NSSession  = "urn:ietf:params:xml:ns:xmpp-session"
	NSServices = "urn:xmpp:extdisco:2"
	nsOldICE   = "urn:xmpp:extdisco:1"
	capsNode   = "https://parley.example/caps"
)

// answer handles an IQ to the server (from is the domain) or to the sender's account.
func (h *Host) answer(b *wire.Batch, s route.Sender, p *wire.Packet, from wire.Addr) {
	if t := string(p.Type()); t != "get" && t != "set" {
		return // nobody here asked (hardening HX15)
	}
	local, ns := p.Child()
	if handler := h.handlers[name{string(local), string(ns)}]; handler != nil {
		handler(b, s, p)
		return
	}
	route.Refuse(b, s, p, from, errUnavailable)
}

// Reply answers an IQ in the name of the address that it was sent to.
func Reply(b *wire.Batch, s route.Sender, p *wire.Packet, payload []byte) {
	from, _ := wire.ParseRawAddr(p.To())
	s.Deliver(b, "", p.Result(from, payload))
}

// Fail answers an IQ with an error in the name of the address that it was sent to.
func Fail(b *wire.Batch, s route.Sender, p *wire.Packet, e *wire.Error) {
	from, _ := wire.ParseRawAddr(p.To())
	route.Refuse(b, s, p, from, e)
}

func (h *Host) registerBasics() {
	empty := func(b *wire.Batch, s route.Sender, p *wire.Packet) { Reply(b, s, p, nil) }
	h.HandleIQ("ping", NSPing, empty)
	h.HandleIQ("session", NSSession, empty) // RFC 3921 §3, for old clients
	h.HandleIQ("query", NSRoster, func(b *wire.Batch, s route.Sender, p *wire.Packet) {
		if string(p.Type()) == "get" {
			Reply(b, s, p, []byte("<query xmlns='"+NSRoster+"'/>"))
		} else {
			Fail(b, s, p, errNoRoster)
		}
	})
	h.info.identities = []Identity{{"server", "im", "Parley"}}
	h.info.features = []string{NSInfo, NSItems, NSPing}
	h.HandleIQ("query", NSInfo, h.discoInfo)
	h.HandleIQ("query", NSItems, h.discoItems)
}

// Identity is one of XEP-0030 §3.1. Jitsi clients read the addresses of a shard's services from the names.
type Identity struct{ Category, Type, Name string }

// info is what disco#info of the host says.
type info struct {
	identities []Identity
	features   []string
	items      []wire.Addr
}

// Announce adds to what the host says of itself. It is called before the first session.
func (h *Host) Announce(features []string, identities ...Identity) {
	h.info.features = append(h.info.features, features...)
	h.info.identities = append(h.info.identities, identities...)
}

// AnnounceItem adds a service to the host's items (XEP-0030 §4).
func (h *Host) AnnounceItem(a wire.Addr) { h.info.items = append(h.info.items, a) }

// Caps returns the host's entity capabilities for the stream features (XEP-0115 §6.3).
func (h *Host) Caps() string {
	out := wire.AppendAttr([]byte("<c xmlns='"+NSCaps+"' hash='sha-1'"), "node", capsNode)
	out = wire.AppendAttr(out, "ver", h.info.ver())
	return string(append(out, "/>"...))
}

// ver is the verification string of XEP-0115 §5.1.
func (i *info) ver() string {
	var ids []string
	for _, id := range i.identities {
		ids = append(ids, id.Category+"/"+id.Type+"//"+id.Name)
	}
	slices.Sort(ids)
	features := slices.Sorted(slices.Values(i.features))
	sum := sha1.Sum([]byte(strings.Join(ids, "<") + "<" + strings.Join(features, "<") + "<"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (h *Host) discoInfo(b *wire.Batch, s route.Sender, p *wire.Packet) {
	node := p.Elem().First().AttrString("node")
	toAccount := !p.HasTo() || strings.Contains(string(p.To()), "@")
	out := []byte("<query xmlns='" + NSInfo + "'")
	if node != "" {
		if toAccount || node != capsNode+"#"+h.info.ver() {
			Fail(b, s, p, &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "no such node"})
			return
		}
		out = wire.AppendAttr(out, "node", node)
	}
	out = append(out, '>')
	identities, features := h.info.identities, h.info.features
	if toAccount {
		kind := "registered"
		if s.Guest() {
			kind = "anonymous"
		}
		identities, features = []Identity{{"account", kind, ""}}, []string{NSInfo, NSItems, NSPing}
	}
	for _, id := range identities {
		out = wire.AppendAttr(append(out, "<identity"...), "category", id.Category)
		out = wire.AppendAttr(out, "type", id.Type)
		if id.Name != "" {
			out = wire.AppendAttr(out, "name", id.Name)
		}
		out = append(out, "/>"...)
	}
	for _, f := range features {
		out = append(wire.AppendAttr(append(out, "<feature"...), "var", f), "/>"...)
	}
	Reply(b, s, p, append(out, "</query>"...))
}

func (h *Host) discoItems(b *wire.Batch, s route.Sender, p *wire.Packet) {
	out := []byte("<query xmlns='" + NSItems + "'>")
	if p.HasTo() && !strings.Contains(string(p.To()), "@") {
		for _, a := range h.info.items {
			out = append(wire.AppendAttr(append(out, "<item"...), "jid", string(a)), "/>"...)
		}
	}
	Reply(b, s, p, append(out, "</query>"...))
}

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
	h.HandleIQ("query", NSRoster, h.roster)
	h.info.identities = []Identity{{"server", "im", "Parley"}}
	h.info.features = []string{NSInfo, NSItems, NSPing}
	h.accounts.features = []string{NSInfo, NSItems, NSPing}
	h.registerActivity()
	h.HandleIQ("query", NSInfo, h.discoInfo)
	h.HandleIQ("query", NSItems, h.discoItems)
}

// registerKept serves what needs a store.
func (h *Host) registerKept() {
	h.Announce([]string{"msgoffline"}) // XEP-0160 §4
	h.registerCarbons()
	h.registerBlocking()
	h.registerPrivate()
	h.HandleContactIQ("query", NSInfo, h.accountInfo)
	h.HandleContactIQ("query", NSItems, h.accountInfo)
}

// Features are what the stream features say of the host (RFC 6120 §4.3.2): its entity capabilities (XEP-0115 §6.3), and what
// its rosters can.
func (h *Host) Features() string {
	out := h.Caps()
	if h.store != nil {
		out += featureVersions + featureApproval
	}
	return out
}

// Identity is one of XEP-0030 §3.1. Jitsi clients read the addresses of a shard's services from the names.
type Identity struct{ Category, Type, Name string }

// info is what disco#info of the host says.
type info struct {
	identities []Identity
	features   []string
	forms      []form
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
	text := strings.Join(ids, "<") + "<" + strings.Join(features, "<") + "<"
	forms := slices.SortedFunc(slices.Values(i.forms), func(a, b form) int { return strings.Compare(a.typ, b.typ) })
	for _, f := range forms {
		text += f.ver()
	}
	sum := sha1.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (h *Host) discoInfo(b *wire.Batch, s route.Sender, p *wire.Packet) {
	node := p.Elem().First().AttrString("node")
	toAccount := !p.HasTo() || strings.Contains(string(p.To()), "@")
	if toAccount && h.askNodes(b, s, s.Addr().Bare(), p) {
		return
	}
	if !toAccount && node != "" && h.hostNodes != nil && h.hostNodes(b, s, p) {
		return
	}
	out := []byte("<query xmlns='" + NSInfo + "'")
	if node != "" {
		if toAccount || node != capsNode+"#"+h.info.ver() {
			Fail(b, s, p, &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "no such node"})
			return
		}
		out = wire.AppendAttr(out, "node", node)
	}
	out = append(out, '>')
	what := h.info
	if toAccount {
		what = h.account(s.Guest())
	}
	Reply(b, s, p, append(what.append(out), "</query>"...))
}

// account is what an account says of itself.
func (h *Host) account(guest bool) info {
	if guest {
		return info{identities: []Identity{{"account", "anonymous", ""}}, features: []string{NSInfo, NSItems, NSPing}}
	}
	return info{identities: append([]Identity{{"account", "registered", ""}}, h.accounts.identities...), features: h.accounts.features}
}

// accountInfo answers those who may see an account's presence. To others the account is as one that is not there (XEP-0030
// §8).
func (h *Host) accountInfo(b *wire.Batch, s route.Sender, account wire.Addr, p *wire.Packet) {
	h.visit(b, account, &errand{s: s, to: account, p: p}, looks, func(b *wire.Batch, e *errand, k *book) {
		query := e.p.Elem().First()
		ns := string(query.NS())
		switch {
		case string(e.p.Type()) != "get":
			h.fail(b, e, errBad)
		case h.askNodes(b, e.s, account, e.p): // which decide for themselves who sees them
		case !k.contact(e.s.Addr().Bare()).From:
			h.fail(b, e, errUnavailable)
		case query.AttrString("node") != "":
			h.fail(b, e, &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "no such node"})
		case ns == NSItems:
			Reply(b, e.s, e.p, []byte("<query xmlns='"+NSItems+"'/>"))
		default:
			what := h.account(false)
			Reply(b, e.s, e.p, append(what.append([]byte("<query xmlns='"+NSInfo+"'>")), "</query>"...))
		}
	})
}

// append appends identities, features and forms as disco#info says them.
func (i *info) append(out []byte) []byte {
	for _, id := range i.identities {
		out = wire.AppendAttr(append(out, "<identity"...), "category", id.Category)
		out = wire.AppendAttr(out, "type", id.Type)
		if id.Name != "" {
			out = wire.AppendAttr(out, "name", id.Name)
		}
		out = append(out, "/>"...)
	}
	for _, f := range i.features {
		out = append(wire.AppendAttr(append(out, "<feature"...), "var", f), "/>"...)
	}
	for _, f := range i.forms {
		out = f.append(out)
	}
	return out
}

func (h *Host) discoItems(b *wire.Batch, s route.Sender, p *wire.Packet) {
	if (!p.HasTo() || strings.Contains(string(p.To()), "@")) && h.askNodes(b, s, s.Addr().Bare(), p) {
		return
	}
	if node := p.Elem().First().AttrString("node"); node != "" && !h.toAccount(p) {
		if h.hostNodes == nil || !h.hostNodes(b, s, p) {
			Fail(b, s, p, &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "no such node"})
		}
		return
	}
	out := []byte("<query xmlns='" + NSItems + "'>")
	if p.HasTo() && !strings.Contains(string(p.To()), "@") {
		for _, a := range h.info.items {
			out = append(wire.AppendAttr(append(out, "<item"...), "jid", string(a)), "/>"...)
		}
	}
	Reply(b, s, p, append(out, "</query>"...))
}

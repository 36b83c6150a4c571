package call

import (
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"

	"parley/jingle"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

const (
	nsInfo  = "http://jabber.org/protocol/disco#info"
	nsItems = "http://jabber.org/protocol/disco#items"
	nsPing  = "urn:xmpp:ping"
	nsCaps  = "http://jabber.org/protocol/caps"
	nsNick  = "http://jabber.org/protocol/nick"

	capsNode = "https://parley.example/call"
)

// features are what an address that is called says of itself, which is what clients look at before they show a button for calls.
var features = []string{
	nsCaps, nsInfo, nsItems, jingle.NSJingle, jingle.NSRTP, "urn:xmpp:jingle:apps:rtp:audio", "urn:xmpp:jingle:apps:rtp:video",
	jingle.NSDTLS, jingle.NSGrouping, jingle.NSFeedback, jingle.NSHeaderExt, jingle.NSSources, jingle.NSMessage, jingle.NSICE, nsPing,
	jingle.NSConference, jingle.NSCoin, nsCommands,
}

// identities are those of a program which is called like a person, and of a conference (XEP-0030 registry, XEP-0521 §10), in order.
var identities = [...]struct{ category, typ string }{{"client", "bot"}, {"conference", "audio-video"}}

const title = "Meeting"

// capsOf is the verification string of XEP-0115 §5.1.
func capsOf(features []string) string {
	list := slices.Sorted(slices.Values(features))
	text := ""
	for _, i := range identities {
		text += i.category + "/" + i.typ + "//" + title + "<"
	}
	sum := sha1.Sum([]byte(text + strings.Join(list, "<") + "<"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// info is what disco#info says of an address that is called, or of the domain.
func (s *Service) info(to wire.Addr, node string) []byte {
	out := []byte("<query xmlns='" + nsInfo + "'")
	if node != "" {
		out = wire.AppendAttr(out, "node", node)
	}
	if to.Local() == "" {
		return append(out, "><identity category='component' type='generic' name='Calls to rooms'/><identity category='conference' type='audio-video' name='Calls to rooms'/>"+
			"<feature var='"+nsInfo+"'/><feature var='"+nsItems+"'/><feature var='"+nsPing+"'/><feature var='"+jingle.NSConference+"'/></query>"...)
	}
	out = append(out, '>')
	if node == nodeConfig {
		return append(out, "<identity category='automation' type='command-node' name='Configure the meeting'/><feature var='"+nsCommands+"'/><feature var='"+nsForm+"'/></query>"...)
	}
	for _, i := range identities {
		out = append(out, "<identity category='"+i.category+"' type='"+i.typ+"' name='"+title+"'/>"...)
	}
	for _, f := range features {
		out = append(wire.AppendAttr(append(out, "<feature"...), "var", f), "/>"...)
	}
	return append(out, "</query>"...)
}

// items are the commands of an address that is called (XEP-0050 §2.2).
func (s *Service) items(to wire.Addr, node string) []byte {
	out := []byte("<query xmlns='" + nsItems + "'")
	if node != "" {
		out = wire.AppendAttr(out, "node", node)
	}
	out = append(out, '>')
	if node == nsCommands && to.Local() != "" {
		out = wire.AppendAttr(append(out, "<item"...), "jid", string(to))
		out = append(out, " node='"+nodeConfig+"' name='Configure the meeting'/>"...)
	}
	return append(out, "</query>"...)
}

// Description is what a room says of itself beside being one: that it can be called, also as a conference that brings each stream
// in a session of its own (XEP-0521 §10).
func Description() []byte {
	return []byte("<identity category='conference' type='audio-video'/><feature var='" + jingle.NSConference + "'/><feature var='" + jingle.NSCoin + "'/>")
}

// presence lets everybody subscribe, and answers who wants to know whether the room is there (RFC 6121 §3, §4.3). Nothing is kept:
// a room can always be called.
func (s *Service) presence(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	if s.room(to) == "" || from.Guest() {
		return
	}
	who := from.Addr().Bare()
	switch string(p.Type()) {
	case "subscribe":
		s.say(b, to.Bare(), who, "subscribed")
		s.show(b, to, who)
	case "probe":
		s.show(b, to, from.Addr())
	case "unsubscribe":
		s.say(b, to.Bare(), who, "unsubscribed")
	}
}

func (s *Service) show(b *wire.Batch, to, who wire.Addr) {
	tail := wire.AppendAttr(nil, "from", string(s.full(to)))
	tail = append(tail, "><priority>0</priority><c xmlns='"+nsCaps+"' hash='sha-1'"...)
	tail = wire.AppendAttr(wire.AppendAttr(tail, "node", capsNode), "ver", s.ver)
	s.people.Send(b, s.full(to), who, wire.Stanza{Kind: wire.Presence, Tail: append(tail, "/></presence>"...)})
}

func (s *Service) say(b *wire.Batch, contact, who wire.Addr, typ string) {
	tail := wire.AppendAttr(wire.AppendAttr(nil, "from", string(contact)), "type", typ)
	s.people.Send(b, contact, who, wire.Stanza{Kind: wire.Presence, Tail: append(tail, "/>"...)})
}

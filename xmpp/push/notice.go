package push

import (
	"strconv"

	"parley/xmpp/wire"
)

// notice is what is told of a message, as far as the configuration allows it.
type notice struct {
	from wire.Addr
	body string
}

// Namespaces of what makes a message one that somebody waits for.
const (
	nsCarbons = "urn:xmpp:carbons:2"
	nsForward = "urn:xmpp:forward:0"
	nsCall    = "urn:xmpp:jingle-message:0"
	nsJingle  = "urn:xmpp:jingle:1"
	nsInvite  = "jabber:x:conference"
	nsMUCUser = "http://jabber.org/protocol/muc#user"
	nsCallTo  = "urn:xmpp:call-invites:0"
	nsArchive = "urn:xmpp:mam:2"
)

// mostNotice is how much of a text an app server is told, in bytes.
const mostNotice = 1024

// encrypted are elements whose text we cannot see: namespaces of XEP-0384 (all), XEP-0373 and XEP-0027.
var encrypted = map[string]string{
	"eu.siacs.conversations.axolotl": "encrypted", "urn:xmpp:omemo:1": "encrypted", "urn:xmpp:omemo:2": "encrypted", "urn:xmpp:openpgp:0": "openpgp", "jabber:x:encrypted": "x",
}

// read reports that somebody waits to be told of a stanza: of what people say, of invitations and of calls.
func read(st wire.Stanza) (n notice, ok bool) {
	if st.Kind == wire.Presence {
		return n, false
	}
	raw := append(wire.AppendStart(make([]byte, 0, len(st.Tail)+16), st.Kind, "", ""), st.Tail...)
	scanner := wire.Scanner{Limits: wire.Limits{Size: len(raw), Depth: wire.AfterAuth.Depth + 4}}
	_, p, err := scanner.Next(raw)
	if err != nil {
		return n, false
	}
	if p.Kind == wire.IQ {
		e := p.Elem().First()
		n.from, err = wire.ParseRawAddr(p.From())
		return n, err == nil && string(p.Type()) == "set" && e.Is("jingle", nsJingle) && e.AttrString("action") == "session-initiate"
	}
	return readMessage(p.Elem(), false)
}

// readMessage is read for a message, or for the copy of one.
func readMessage(e wire.Elem, copied bool) (n notice, ok bool) {
	from, _ := e.Attr("from")
	var err error
	if n.from, err = wire.ParseRawAddr(from); err != nil {
		return n, false
	}
	typ := e.AttrString("type")
	if typ == "error" || typ == "headline" {
		return n, false
	}
	subject := false
	for it := e.Children(); it.Next(); {
		c := it.Elem
		local, ns := string(c.Local()), string(c.NS())
		switch {
		case ns == nsCarbons && local == "received" && !copied:
			return readMessage(c.Child("forwarded", nsForward).Child("message", wire.NSClient), true)
		case ns == nsCarbons && local == "sent" && !copied, ns == nsArchive && local == "result":
			return n, false
		case c.Is("body", ""):
			if n.body == "" {
				n.body = c.Text()
			}
			ok = ok || n.body != ""
		case c.Is("subject", ""):
			subject = true
		case encrypted[ns] == local && local != "":
			ok = true
		case ns == nsCall && local == "propose", ns == nsCallTo && local == "invite", ns == nsInvite && local == "x",
			ns == nsMUCUser && c.Child("invite", nsMUCUser).Ok():
			ok = true
		}
	}
	if typ == "groupchat" && subject && n.body == "" {
		return n, false
	}
	return n, ok
}

// notification is what an app server is told (XEP-0357 §6). Called with mu held.
func (s *Service) notification(t *target) wire.Stanza {
	dst := wire.AppendAttr(make([]byte, 0, 768+len(t.Options)), "from", string(s.domain))
	dst = wire.AppendAttr(dst, "id", t.flight)
	dst = append(dst, " type='set'><pubsub xmlns='"+nsPubSub+"'><publish"...)
	if t.Node != "" {
		dst = wire.AppendAttr(dst, "node", t.Node)
	}
	dst = append(dst, "><item><notification xmlns='"+NS+"'><x xmlns='"+nsData+"' type='submit'><field var='FORM_TYPE' type='hidden'><value>"+nsSummary+"</value></field>"...)
	field := func(name, value string) {
		dst = append(wire.AppendAttr(append(dst, "<field"...), "var", name), '>')
		dst = append(wire.AppendElem(dst, "value", value), "</field>"...)
	}
	field("message-count", strconv.Itoa(t.count))
	if s.cfg.Sender {
		field("last-message-sender", string(t.last.from))
	}
	switch {
	case s.cfg.Body && t.last.body != "":
		field("last-message-body", cut(t.last.body))
	case s.cfg.Text != "":
		field("last-message-body", s.cfg.Text)
	}
	dst = append(dst, "</x></notification></item></publish>"...)
	if len(t.Options) > 0 {
		dst = append(append(append(dst, "<publish-options>"...), t.Options...), "</publish-options>"...)
	}
	return wire.Stanza{Kind: wire.IQ, Tail: append(dst, "</pubsub></iq>"...)}
}

// cut shortens a text to what a notification takes, whole characters.
func cut(s string) string {
	if len(s) <= mostNotice {
		return s
	}
	end := 0
	for i := range s {
		if i > mostNotice {
			break
		}
		end = i
	}
	return s[:end]
}

package jingle

import (
	"strings"

	"parley/xmpp/wire"
)

// Message is an element of Jingle message initiation (XEP-0353), which travels in a <message/>.
type Message struct {
	Kind       MessageKind
	ID         string     // of the call; the sid of the session that follows
	Proposals  []Proposal // with Propose
	Reason     *Reason    // with Retract, Reject and Finish
	TieBreak   bool       // with Reject
	MigratedTo string     // with Finish: the id of the session that replaces this one
	Extensions []Extension
}

// MessageKind is the name of the element.
type MessageKind string

// The elements of XEP-0353 §3 to §5. Accept is of versions before 0.4, where a client told its own other devices.
const (
	Propose     MessageKind = "propose"
	RingingCall MessageKind = "ringing"
	Proceed     MessageKind = "proceed"
	AcceptCall  MessageKind = "accept"
	RejectCall  MessageKind = "reject"
	Retract     MessageKind = "retract"
	Finish      MessageKind = "finish"
)

func (k MessageKind) known() bool {
	switch k {
	case Propose, RingingCall, Proceed, AcceptCall, RejectCall, Retract, Finish:
		return true
	}
	return false
}

// Proposal is a <description/> in a <propose/>: the kind of content that the call would have.
type Proposal struct{ NS, Media string }

// MessageIn finds the Jingle message in a <message/>; the result is nil where there is none. The error is a *wire.Error.
func MessageIn(stanza wire.Elem) (*Message, error) {
	for it := stanza.Children(); it.Next(); {
		if string(it.Elem.NS()) == NSMessage {
			return ParseMessage(it.Elem)
		}
	}
	return nil, nil
}

// ParseMessage reads an element of Jingle message initiation. The error is a *wire.Error.
func ParseMessage(e wire.Elem) (*Message, error) {
	m := &Message{Kind: MessageKind(e.Local()), ID: e.AttrString("id")}
	if string(e.NS()) != NSMessage || !m.Kind.known() {
		return nil, badRequest("no jingle message")
	}
	var d decoder
	for it := e.Children(); it.Next() && d.err == nil; {
		switch x := it.Elem; {
		case m.Kind == Propose && string(x.Local()) == "description":
			put(&d, &m.Proposals, maxProposals, "proposed descriptions", Proposal{string(x.NS()), x.AttrString("media")})
		case x.Is("reason", NSJingle):
			d.once(m.Reason == nil)
			m.Reason = decodeReason(x)
		case x.Is("tie-break", NSMessage):
			m.TieBreak = true
		case x.Is("migrated", NSMessage):
			m.MigratedTo = x.AttrString("to")
		default:
			d.extension(&m.Extensions, x, NSMessage)
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	return m, nil
}

// Check reports the first rule that the message breaks, as a *wire.Error.
func (m *Message) Check() error {
	switch {
	case !m.Kind.known():
		return badRequest("no jingle message")
	case m.ID == "" || !isText(m.ID, maxName) || !isText(m.MigratedTo, maxName):
		return badRequest("bad id of a call")
	case m.Kind == Propose && len(m.Proposals) == 0:
		return badRequest("a call without descriptions")
	case len(m.Proposals) > maxProposals:
		return tooMany("proposed descriptions")
	}
	for _, p := range m.Proposals {
		if !isWord(p.NS, maxText) || strings.ContainsAny(p.NS, `'"<>&`) || !isText(p.Media, maxName) { // wire refuses references in xmlns
			return badRequest("bad description of a call")
		}
	}
	if r := m.Reason; r != nil && (!r.Condition.known() || !isMultiline(r.Text) || !isText(r.SID, maxName)) {
		return badRequest("bad reason")
	}
	return nil
}

// Append appends the element.
func (m *Message) Append(dst []byte) []byte {
	w := writer{dst}
	w.open(string(m.Kind), NSMessage)
	w.attr("id", m.ID)
	w.inner()
	for _, p := range m.Proposals {
		w.open("description", p.NS)
		w.optional("media", p.Media)
		w.empty()
	}
	if m.Reason != nil {
		m.Reason.append(&w)
	}
	w.mark("tie-break", "", m.TieBreak)
	if m.MigratedTo != "" {
		w.open("migrated", "")
		w.attr("to", m.MigratedTo)
		w.empty()
	}
	w.extensions(m.Extensions)
	w.end(string(m.Kind))
	return w.b
}

package peertest

import (
	"net"
	"strconv"
	"strings"
)

// Mobile is a client that follows XEP-0198 and changes its connection.
type Mobile struct {
	*Client
	User, Password string
	Redial         func() *Client
	ID             string   // of the session
	H              int      // stanzas received
	Unacked        []string // stanzas that the server has not acknowledged
	Got            []string // ids of messages, in order
	Old            []*Client
	acked          int // how many the server has acknowledged
}

// NewMobile logs in and enables resumption.
func NewMobile(user, password string, dial func() *Client) *Mobile {
	m := &Mobile{User: user, Password: password, Redial: dial, Client: dial()}
	m.T.Helper()
	m.Login(user, password)
	m.Bind("")
	m.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	m.ID = Attr(m.Expect("<enabled", "resume='true'"), "id")
	return m
}

// Say sends a stanza and keeps it until it is acknowledged.
func (m *Mobile) Say(stanza string) {
	m.Unacked = append(m.Unacked, stanza)
	m.Send(stanza)
}

// Take handles one element that came in; false is the end of the stream.
func (m *Mobile) Take(e string) bool {
	m.T.Helper()
	switch {
	case e == "":
		return false
	case strings.HasPrefix(e, "<r "):
		m.Send("<a xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(m.H) + "'/>")
	case strings.HasPrefix(e, "<a "):
		m.acknowledged(Attr(e, "h"))
	case strings.HasPrefix(e, "<message"):
		m.H++
		m.Got = append(m.Got, Attr(e, "id"))
	case strings.HasPrefix(e, "<iq"), strings.HasPrefix(e, "<presence"):
		m.H++
	}
	return true
}

func (m *Mobile) acknowledged(h string) {
	m.T.Helper()
	n, err := strconv.Atoi(h)
	if err != nil || n < m.acked || n-m.acked > len(m.Unacked) {
		m.T.Fatalf("%s: the server acknowledges %q of %d+%d", m.User, h, m.acked, len(m.Unacked))
	}
	m.Unacked = m.Unacked[n-m.acked:]
	m.acked = n
}

// Move goes on over a new connection. With cut the old one is reset; without, the server may still believe in it.
func (m *Mobile) Move(cut bool) {
	m.T.Helper()
	old := m.Client
	if !cut {
		m.Old = append(m.Old, old)
	} else {
		if tc, ok := old.Conn.(*net.TCPConn); ok {
			tc.SetLinger(0)
		}
		old.Conn.Close()
	}
	m.Client = m.Redial()
	m.JID = old.JID
	m.Login(m.User, m.Password)
	m.Send("<resume xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(m.H) + "' previd='" + m.ID + "'/>")
	m.acknowledged(Attr(m.Expect("<resumed", "previd='"+m.ID+"'"), "h"))
	for _, s := range m.Unacked {
		m.Send(s)
	}
}

// Ask asks the server for an acknowledgement.
func (m *Mobile) Ask() { m.Send("<r xmlns='urn:xmpp:sm:3'/>") }

// Settle reads until all is acknowledged and count messages are there.
func (m *Mobile) Settle(count int) {
	m.T.Helper()
	m.Ask()
	for len(m.Got) < count || len(m.Unacked) > 0 {
		if !m.Take(m.Read()) {
			m.T.Fatal("the stream ended")
		}
		if len(m.Got) >= count && len(m.Unacked) > 0 {
			m.Ask()
		}
	}
}

// Check wants the ids of the messages to be prefix0, prefix1... without a gap or a repetition.
func (m *Mobile) Check(prefix string, count int) {
	m.T.Helper()
	if len(m.Got) != count {
		m.T.Fatalf("%s got %d messages of %d", m.User, len(m.Got), count)
	}
	for i, id := range m.Got {
		if id != prefix+strconv.Itoa(i) {
			m.T.Fatalf("%s: message %d is %s", m.User, i, id)
		}
	}
}

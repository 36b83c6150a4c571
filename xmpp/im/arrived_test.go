package im

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// told notes what it is told of.
type told struct {
	mu  sync.Mutex
	got []string
}

func (a *told) add(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, fmt.Sprintf(format, args...))
}

func (a *told) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.got
	a.got = nil
	return got
}

func (a *told) message(account wire.Addr, st wire.Stanza, late bool) {
	_, body, _ := strings.Cut(string(st.Tail), "<body>")
	body, _, _ = strings.Cut(body, "<")
	a.add("%s: %s %v", account, body, late)
}

func TestMessagesAreToldOfWhenTheyAreDeliveredOrStored(t *testing.T) {
	w, a := newKept(t), &told{}
	w.h.OnMessage(a.message)
	want := func(what string, list ...string) {
		t.Helper()
		w.h.settle()
		if got := a.take(); !slices.Equal(got, list) {
			t.Errorf("%s: %q, want %q", what, got, list)
		}
	}
	ann := w.online("ann@x.net/a")
	ann.send(`<message to='bob@x.net' type='chat'><body>one</body></message>`)
	want("stored", "bob@x.net: one false")
	ann.send(`<message to='bob@x.net' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`)
	ann.send(`<message to='nobody@x.net' type='chat'><body>x</body></message>`)
	ann.send(`<message to='bob@x.net' type='error'><body>x</body></message>`)
	want("neither delivered nor stored")
	bob := w.online("bob@x.net/b")
	ann.send(`<message to='bob@x.net' type='chat'><body>two</body></message>`)
	want("delivered", "bob@x.net: two false")
	w.from("eve@y.net/1", `<message to='bob@x.net' type='chat'><body>three</body></message>`)
	want("from another server", "bob@x.net: three false")
	w.r.Unbind(bob, false)
	var b wire.Batch
	w.r.Bounce(&b, "bob@x.net/b", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='ann@x.net/a' type='chat'><body>two</body></message>")})
	want("back from a session that ended", "bob@x.net: two true")
	other := w.online("bob@x.net/other")
	w.r.Bounce(&b, "bob@x.net/b", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='ann@x.net/a' type='chat'><body>two</body></message>")})
	want("given to another session")
	if got := other.take(); len(got) != 1 {
		t.Errorf("the other session: %q", got)
	}
	w.r.Unbind(other, true)
	w.m.down = true
	ann.send(`<message to='bob@x.net' type='chat'><body>four</body></message>`)
	want("the store is away")
}

// refusing is a service that knows nothing.
type refusing struct{}

func (refusing) Handle(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	route.Refuse(b, s, p, to, &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound})
}

// TestAnswersToTheHostAreHeard: those of services here, of sessions and of other servers.
func TestAnswersToTheHostAreHeard(t *testing.T) {
	w, a := newKept(t), &told{}
	w.r.Serve("push.x.net", refusing{})
	w.h.HandleReply(func(_ *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
		a.add("%s to %s: %s %s", s.Addr(), to, p.Type(), p.ID())
	})
	ann := w.online("ann@x.net/a")
	request := wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='x.net' type='set' id='1'><q xmlns='u'/></iq>")}
	var b wire.Batch
	w.h.Send(&b, "x.net", "push.x.net", request)
	w.h.Send(&b, "x.net", "nobody@x.net/r", request)
	w.h.settle()
	ann.send(`<iq to='x.net' type='result' id='2'/>`)
	w.from("push.y.net", `<iq to='x.net' type='error' id='3'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	want := []string{"push.x.net to x.net: error 1", "nobody@x.net/r to x.net: error 1", "ann@x.net/a to x.net: result 2", "push.y.net to x.net: error 3"}
	if got := a.take(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	ann.expect()
}

package route

import (
	"strings"
	"sync/atomic"
	"testing"

	"parley/xmpp/wire"
)

// watched is an end that an account attends to.
type watched struct {
	Attended
	*end
}

// beyond stands for other servers.
type beyond struct{ desk }

func (b *beyond) Deliver(_ *wire.Batch, to wire.Addr, _ wire.Stanza) { b.note("delivered", to) }

// Accounts sees what its accounts want it to see, and nothing else.
func TestAttention(t *testing.T) {
	const message, request = "<message to='TO'/>", "<iq to='TO' type='get' id='1'><q xmlns='u'/></iq>"
	for _, c := range []struct {
		name             string
		sender, receiver Attention
		to, stanza       string
		want             string // what the accounts are told
		reaches          bool
	}{
		{"nobody cares", 0, 0, "bob@x.net/b", message, "", true},
		{"the sender does, of messages", ToMessages, 0, "bob@x.net/b", message, "between bob@x.net/b", false},
		{"the receiver does, of messages", 0, ToMessages, "bob@x.net/b", message, "between bob@x.net/b", false},
		{"but not of requests", ToMessages, ToMessages, "bob@x.net/b", request, "", true},
		{"of all", 0, ToAll, "bob@x.net/b", request, "between bob@x.net/b", false},
		{"of all that is sent", ToAll, 0, "bob@x.net/b", request, "between bob@x.net/b", false},
		{"presence", 0, ToAll, "bob@x.net/b", "<presence to='TO'/>", "directed bob@x.net/b between bob@x.net/b", false},
		{"to a service", ToMessages, 0, "r@muc.x.net", message, "to service r@muc.x.net", true},
		{"to a service, of requests", ToMessages, 0, "r@muc.x.net", request, "", true},
		{"abroad", ToMessages, 0, "carl@y.net", message, "between carl@y.net", false},
		{"abroad, of requests", ToMessages, 0, "carl@y.net", request, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			far := &beyond{}
			w.r.SetRemote(far)
			bind := func(e *end, f Attention) *watched {
				w.r.Unbind(e, true)
				s := &watched{end: e}
				flags := &atomic.Uint32{}
				flags.Store(uint32(f))
				s.Attend(flags)
				w.r.Bind(s)
				return s
			}
			ann := bind(w.ann, c.sender)
			bind(w.bob, c.receiver)
			w.home.got = nil
			var b wire.Batch
			w.r.Route(&b, ann, packet(t, strings.ReplaceAll(c.stanza, "TO", c.to)))
			if got := strings.Join(w.home.got, " "); got != c.want {
				t.Errorf("the accounts are told %q, want %q", got, c.want)
			}
			if reached := len(w.bob.got)+len(w.rooms.got)+len(far.got) > 0; reached != c.reaches {
				t.Errorf("it reaches somebody: %v", reached)
			}
		})
	}
}

func TestServiceThatAnAccountKeepsAStanzaFrom(t *testing.T) {
	w := newWorld()
	s := &watched{end: w.ann}
	flags := &atomic.Uint32{}
	flags.Store(uint32(ToAll))
	s.Attend(flags)
	w.home.drop = true
	var b wire.Batch
	w.r.Route(&b, s, packet(t, "<message to='r@muc.x.net'/>"))
	if len(w.rooms.got) > 0 {
		t.Error("the room gets it")
	}
}

// handing is a sender whose account hands what it had to the receiver's at the moment when it is asked.
type handing struct {
	*end
	next *atomic.Uint32
}

func (h *handing) attention() Attention {
	h.next.Store(uint32(ToAll))
	return 0
}

// What the sender sent before is with the receiver's account when the sender's has nothing any more: it is not overtaken.
func TestTheSendersAccountIsAskedFirst(t *testing.T) {
	w := newWorld()
	w.r.Unbind(w.bob, true)
	bob := &watched{end: w.bob}
	flags := &atomic.Uint32{}
	bob.Attend(flags)
	w.r.Bind(bob)
	var b wire.Batch
	w.r.Route(&b, &handing{w.ann, flags}, packet(t, "<message to='bob@x.net/b'/>"))
	if len(w.bob.got) > 0 {
		t.Error("it overtakes")
	}
}

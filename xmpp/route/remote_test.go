package route

import (
	"strings"
	"testing"

	"parley/xmpp/wire"
)

// abroad notes what goes to other servers.
type abroad struct{ got []string }

func (a *abroad) Handle(_ *wire.Batch, s Sender, to wire.Addr, p *wire.Packet) {
	a.got = append(a.got, "handle "+string(s.Addr())+" "+string(to)+" "+p.Kind.String())
}

func (a *abroad) Deliver(_ *wire.Batch, to wire.Addr, s wire.Stanza) {
	a.got = append(a.got, "deliver "+string(to)+string(s.Tail))
}

func TestOtherServers(t *testing.T) {
	w := newWorld()
	out := &abroad{}
	w.r.SetRemote(out)
	w.r.Route(nil, w.ann, packet(t, "<message to='carl@y.net'/>"))
	w.r.Route(nil, w.ann, packet(t, "<message to='bob@x.net'/>"))
	w.r.Route(nil, w.visitor, packet(t, "<message to='r@muc.x.net' type='groupchat'/>"))
	w.r.Deliver(nil, "carl@y.net/c", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='r@muc.x.net'/>")})
	w.r.Deliver(nil, "nobody@x.net/c", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='r@muc.x.net' type='groupchat'/>")})
	if got := strings.Join(out.got, "\n"); got != "handle ann@x.net/a carl@y.net message\ndeliver carl@y.net/c from='r@muc.x.net'/>" {
		t.Errorf("abroad went\n%s", got)
	}
	// What was for a session that is gone goes back to where it came from, also abroad.
	out.got = nil
	w.r.Bounce(nil, "ann@x.net/old", wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='carl@y.net/c' type='get' id='1'><x xmlns='y'/></iq>")})
	if got := strings.Join(out.got, ""); !strings.HasPrefix(got, "deliver carl@y.net/c from='ann@x.net/old'") || !strings.Contains(got, "<recipient-unavailable ") {
		t.Errorf("abroad went %s", got)
	}
}

// TestArrivals: what comes from other servers.
func TestArrivals(t *testing.T) {
	for _, c := range []struct {
		stanza, to string
		who, want  string
	}{
		{"<message to='bob@x.net/b' from='forged@x.net'/>", "bob@x.net/b", "bob", "<message to='bob@x.net/b' from='carl@y.net/c'/>"},
		{"<iq to='bob@x.net/b' type='result' id='1'/>", "bob@x.net/b", "bob", "type='result'"},
		{"<presence to='bob@x.net/b'/>", "bob@x.net/b", "bob", "<presence "},
		{"<presence to='bob@x.net/b' type='unavailable'/>", "bob@x.net/b", "bob", "unavailable"},
		{"<presence to='bob@x.net/b' type='subscribe'/>", "bob@x.net/b", "home", "presence bob@x.net/b"},
		{"<presence to='bob@x.net' type='probe'/>", "bob@x.net", "home", "presence bob@x.net"},
		{"<message to='bob@x.net'/>", "bob@x.net", "home", "message bob@x.net"},
		{"<message to='r@muc.x.net'/>", "r@muc.x.net", "rooms", "message r@muc.x.net"},
		{"<iq to='x.net' type='get' id='1'><x xmlns='y'/></iq>", "x.net", "home", "iq x.net"},
		{"<message to='0f3a@x.net/v'/>", "0f3a@x.net/v", "carl", "<service-unavailable "},
		{"<iq to='0f3a@x.net/v' type='result' id='1'/>", "0f3a@x.net/v", "", ""},
		{"<presence to='0f3a@x.net/v'/>", "0f3a@x.net/v", "carl", "<service-unavailable "},
		{"<message to='nobody@z.net'/>", "nobody@z.net", "carl", "<service-unavailable "},
	} {
		w := newWorld()
		w.r.SetRemote(&abroad{})
		carl := &end{addr: "carl@y.net/c"}
		w.r.Enter(nil, carl, wire.Addr(c.to), packet(t, c.stanza))
		for who, got := range map[string][]string{"bob": w.bob.got, "home": w.home.got, "rooms": w.rooms.got, "carl": carl.got, "visitor": w.visitor.got} {
			if who == c.who && (len(got) != 1 || !strings.Contains(got[0], c.want)) || who != c.who && len(got) > 0 {
				t.Errorf("%s: %s got %q", c.stanza, who, got)
			}
		}
	}
}

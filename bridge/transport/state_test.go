package transport

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/ice"
)

func TestStatesFollowThePath(t *testing.T) {
	p := listen(t, Config{})
	e, r, peer := connect(t, p, Options{}, clientOptions{})
	peer.talk(1)
	n := e.seen
	happen := func(kind ice.EventKind, n uint64) { e.event(ice.Event{Agent: e.agent, Kind: kind, N: n}) }
	happen(ice.Disconnected, n+10)
	happen(ice.Disconnected, n+11)
	happen(ice.Connected, n+12)
	happen(ice.Disconnected, n+9) // overtaken
	happen(ice.Disconnected, n+13)
	happen(ice.Failed, n+14)
	happen(ice.Connected, n+15) // after a restart
	want := []string{api.Connected, api.Disconnected, api.Connected, api.Disconnected, api.Failed + " connectivity-error", api.Connected}
	if got := r.history(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	peer.talk(1000)
}

// reentrant is a Receiver that closes its endpoint when it hears of it.
type reentrant struct{ *echo }

func (r reentrant) State(state, reason string) {
	r.e.Close()
	r.echo.State(state, reason)
}

func TestReceiverMayClose(t *testing.T) {
	p := listen(t, Config{})
	r := reentrant{newEcho()}
	e, err := p.Open(r, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.e = e
	peer := newClient(t, clientOptions{})
	if err := e.SetRemote(peer.answer(e)); err != nil {
		t.Fatal(err)
	}
	r.await(t, api.Connected)
	r.until(t, "end", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.endpoints) == 0 })
}

func TestEndpointsAreLimited(t *testing.T) {
	p := listen(t, Config{Limits: Limits{Endpoints: 1}})
	e, _ := open(t, p, Options{})
	if _, err := p.Open(newEcho(), Options{}); err != ErrFull {
		t.Error(err)
	}
	e.Close()
	open(t, p, Options{})
	p.Close()
	if _, err := p.Open(newEcho(), Options{}); err != ErrClosed {
		t.Error(err)
	}
}

func TestCertificateIsKept(t *testing.T) {
	text, err := NewCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a, b := listen(t, Config{Certificate: text}), listen(t, Config{Certificate: text})
	if a.Info().Fingerprint != b.Info().Fingerprint {
		t.Error("a restart changes the fingerprint")
	}
	if c := listen(t, Config{}); c.Info().Fingerprint == a.Info().Fingerprint {
		t.Error("two certificates have one fingerprint")
	}
	list, err := digests([]api.Fingerprint{{Hash: "md5", Value: "AB"}, a.Info().Fingerprint})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	pair, _ := tls.X509KeyPair(text, text)
	if err := verify(list, pair.Certificate); err != nil {
		t.Error(err)
	}
	for name, certs := range map[string][][]byte{"none": nil, "another": {[]byte("x")}, "the second": {[]byte("x"), pair.Certificate[0]}} {
		if verify(list, certs) == nil {
			t.Errorf("%s fits", name)
		}
	}
	if verify(nil, pair.Certificate) == nil {
		t.Error("a certificate fits no fingerprint")
	}
	for _, bad := range [][]byte{[]byte("x"), text[:len(text)/2]} {
		if _, err := Listen(Config{Address: loopback, Certificate: bad}); err == nil {
			t.Error("a broken certificate is taken")
		}
	}
}

// A way is another one when it leads to another host or has another transport; a mapping of an address translation that changes
// makes none.
func TestAWayToAnotherHostIsANewOne(t *testing.T) {
	p := listen(t, Config{})
	e, r := open(t, p, Options{})
	n := uint64(100)
	for _, step := range []struct {
		kind      ice.EventKind
		transport ice.Transport
		remote    string
		moved     int
	}{
		{ice.Connected, ice.UDP, "127.0.0.1:1000", 0},
		{ice.Selected, ice.UDP, "127.0.0.1:2000", 0},
		{ice.Selected, ice.UDP, "127.0.0.2:2000", 1},
		{ice.Disconnected, ice.UDP, "127.0.0.2:2000", 1},
		{ice.Connected, ice.UDP, "127.0.0.2:2000", 1},
		{ice.Selected, ice.TCP, "127.0.0.2:2000", 2},
		{ice.Connected, ice.UDP, "127.0.0.1:1000", 3},
	} {
		n++
		e.event(ice.Event{Agent: e.agent, Kind: step.kind, N: n, Path: ice.Path{Transport: step.transport, Remote: netip.MustParseAddrPort(step.remote)}})
		r.mu.Lock()
		moved := r.moved
		r.mu.Unlock()
		if moved != step.moved {
			t.Errorf("%v by %v to %s: moved %d times, want %d", step.kind, step.transport, step.remote, moved, step.moved)
		}
	}
}

package s2s

import (
	"context"
	"net"
	"strings"
	"testing"
)

// follow probes a server and returns the steps by name.
func follow(t *testing.T, p *place, remote string) (steps map[string]Step, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	steps = make(map[string]Step)
	ok = p.srv.Probe(ctx, p.domain, remote, func(s Step) { steps[s.Name] = s })
	return steps, ok
}

func TestProbeOfAServerThatTrustsUs(t *testing.T) {
	ca := newAuthority(t)
	for name, direct := range map[string]bool{"STARTTLS": false, "direct TLS": true} {
		t.Run(name, func(t *testing.T) {
			trust := func(c *Config) { c.Roots = ca.file }
			a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: trust})
			b := newPlace(t, "b.example", setting{cert: ca.issue(t, []string{"b.example"}), config: trust, direct: direct})
			a.book.direct = direct
			a.knows("b.example", b.addr())
			steps, ok := follow(t, a, "b.example")
			if !ok {
				t.Fatalf("%+v", steps)
			}
			for step, want := range map[string]string{"resolve": b.addr(), "connect": name, "tls": name + ", TLS 1.3", "certificate": "for b.example", "offers": "EXTERNAL", "proof": "by certificate"} {
				if s := steps[step]; s.Err != nil || !strings.Contains(s.Text, want) {
					t.Errorf("%s: %q, %v, want %q", step, s.Text, s.Err, want)
				}
			}
			eventually(t, "the probe leaves a stream", func() bool { return len(b.srv.all()) == 0 && len(a.srv.all()) == 0 })
		})
	}
}

func TestProbeByDialback(t *testing.T) {
	a := newPlace(t, "a.example", setting{cert: (*authority)(nil).issue(t, []string{"a.example"})})
	b := newPlace(t, "b.example", setting{cert: (*authority)(nil).issue(t, []string{"b.example"}, expired)})
	a.knows("b.example", b.addr())
	b.knows("a.example", a.addr())
	steps, ok := follow(t, a, "b.example")
	if !ok || !strings.Contains(steps["proof"].Text, "by dialback") {
		t.Errorf("%+v", steps["proof"])
	}
	if s := steps["certificate"]; s.Err == nil || s.Hard || !strings.Contains(s.Text, "(0 days)") {
		t.Errorf("the certificate: %+v", s)
	}
}

func TestProbeSaysWhereTheWayEnds(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, c := range map[string]struct {
		config func(*Config)
		at     func(b *place) string
		back   bool // the other server finds ours
		step   string
		want   string
		advice string
	}{
		"no such name":        {nil, func(*place) string { return "" }, true, "resolve", "no such server", "SRV record"},
		"private address":     {func(c *Config) { c.Networks = nil }, (*place).addr, true, "resolve", "private", "federation.networks"},
		"nobody listens":      {nil, func(*place) string { return gone.Addr().String() }, true, "connect", "refused", ""},
		"not listed":          {func(c *Config) { c.Block = []string{"b.example"} }, (*place).addr, true, "policy", "do not federate", "federation.allow"},
		"bad certificate":     {func(c *Config) { c.Certificates = Valid }, (*place).addr, true, "certificate", "unknown authority", "federation.roots"},
		"it does not find us": {nil, (*place).addr, false, "proof", "does not take us for a.example", "5269"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newPlace(t, "a.example", setting{cert: (*authority)(nil).issue(t, []string{"a.example"}), config: c.config})
			b := newPlace(t, "b.example", setting{cert: (*authority)(nil).issue(t, []string{"b.example"})})
			a.knows("b.example", c.at(b))
			if c.back {
				b.knows("a.example", a.addr())
			}
			steps, ok := follow(t, a, "b.example")
			s := steps[c.step]
			if ok || s.Err == nil || !s.Hard || !strings.Contains(s.Err.Error(), c.want) {
				t.Errorf("%v %+v", ok, steps)
			}
			if _, on := steps["offers"]; on && c.step == "certificate" {
				t.Error("the probe goes on behind a certificate that is not taken")
			}
			if got := Explain(s.Err); !strings.Contains(got, c.advice) || c.advice == "" && got != "" {
				t.Errorf("advice %q for %v", got, s.Err)
			}
		})
	}
}

func TestPing(t *testing.T) {
	a := newPlace(t, "a.example", setting{cert: (*authority)(nil).issue(t, []string{"a.example"})})
	b := newPlace(t, "b.example", setting{cert: (*authority)(nil).issue(t, []string{"b.example"})})
	a.knows("b.example", b.addr())
	b.knows("a.example", a.addr())
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	if err := a.srv.Ping(ctx, "a.example", "b.example"); err != nil {
		t.Error(err)
	}
	for remote, want := range map[string]string{"c.example": "there is no such server", "B@x": "not a domain"} {
		if err := a.srv.Ping(ctx, "a.example", remote); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", remote, err)
		}
	}
	if err := a.srv.Ping(ctx, "c.example", "b.example"); err == nil || !strings.Contains(err.Error(), "no domain of ours") {
		t.Error(err)
	}
}

// What another server sends over a stream of a probe would be lost, so it is not asked to send anything over it.
func TestProbeTakesNothing(t *testing.T) {
	ca := newAuthority(t)
	trust := func(c *Config) { c.Roots = ca.file }
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: trust})
	b := newPlace(t, "b.example", setting{cert: ca.issue(t, []string{"b.example"}), config: trust})
	a.knows("b.example", b.addr())
	proved := false
	a.srv.Probe(t.Context(), "a.example", "b.example", func(s Step) {
		if proved = s.Name == "proof" && s.Err == nil; !proved {
			return
		}
		for _, x := range b.srv.all() {
			if x.bidi.Load() {
				t.Error("the other server may send over the probe's stream")
			}
		}
	})
	if !proved {
		t.Error("the probe does not get to its end")
	}
}

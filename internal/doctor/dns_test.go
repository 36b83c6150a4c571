package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"parley/internal/config"
)

// zone is a DNS: addresses by name, and SRV records by "SERVICE DOMAIN", as "TARGET:PORT".
type zone struct {
	addrs map[string]string
	srv   map[string][]string
	sick  bool // it does not answer
}

func (z *zone) ask(p *Patient) {
	none := func(name string) error {
		if z.sick {
			return &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true}
		}
		return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	p.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
		if a := z.addrs[host]; a != "" && !z.sick {
			return []netip.Addr{netip.MustParseAddr(a)}, nil
		}
		return nil, none(host)
	}
	p.SRV = func(_ context.Context, service, domain string) (list []*net.SRV, err error) {
		for _, r := range z.srv[service+" "+domain] {
			host, port, _ := strings.Cut(r, ":")
			srv := &net.SRV{Target: host + "."}
			fmt.Sscan(port, &srv.Port)
			list = append(list, srv)
		}
		if list == nil {
			return nil, none(domain)
		}
		return list, nil
	}
}

// said are the findings of a check as lines.
func said(found []Finding, check string) (lines []string) {
	for _, f := range found {
		if f.Check == check {
			lines = append(lines, f.Level+" "+f.Text)
		}
	}
	return lines
}

func TestWhereTheDNSLeads(t *testing.T) {
	const here, elsewhere = "198.51.100.1", "203.0.113.9"
	all := map[string]string{domain: here, "muc." + domain: here, "xmpp." + domain: here, "old." + domain: elsewhere}
	usual := map[string]uint16{"xmpp": 5222, "s2s": 5269}
	for name, c := range map[string]struct {
		zone   zone
		listen map[string]uint16
		wants  []string // of each line
	}{
		"no records, and none needed": {zone{addrs: all}, usual, []string{
			"ok clients find meet.example at port 5222", "ok other servers find meet.example at port 5269", "ok other servers find muc.meet.example"}},
		"records that lead here": {zone{addrs: all, srv: map[string][]string{
			"xmpp-client " + domain: {"xmpp." + domain + ":5333"}, "xmpp-server " + domain: {"xmpp." + domain + ":5344"}, "xmpp-server muc." + domain: {"xmpp." + domain + ":5344"}}},
			map[string]uint16{"xmpp": 5333, "s2s": 5344}, []string{
				"ok _xmpp-client._tcp.meet.example leads to xmpp.meet.example port 5333", "ok _xmpp-server._tcp.meet.example leads", "ok _xmpp-server._tcp.muc.meet.example leads"}},
		"other ports without a record": {zone{addrs: all}, map[string]uint16{"xmpp": 5333}, []string{
			"fault without a record clients try port 5222 of meet.example, where nothing listens: add the record _xmpp-client._tcp.meet.example. IN SRV 0 5 5333 meet.example."}},
		"rooms that other servers do not find": {zone{addrs: map[string]string{domain: here}}, map[string]uint16{"s2s": 5269}, []string{
			"ok other servers find meet.example", "fault other servers do not find muc.meet.example: add the record _xmpp-server._tcp.muc.meet.example. IN SRV 0 5 5269 meet.example., or an A"}},
		"calls that other servers do not find": {zone{addrs: map[string]string{domain: here, "muc." + domain: here}}, map[string]uint16{"s2s": 5269, "media": 10000}, []string{
			"ok other servers find meet.example", "ok other servers find muc.meet.example", "note other servers do not find call.meet.example: add the record _xmpp-server._tcp.call.meet.example. IN SRV 0 5 5269 meet.example., or an A"}},
		"calls and a component that other servers find": {zone{addrs: map[string]string{domain: here, "muc." + domain: here, "call." + domain: here, "irc." + domain: here}}, map[string]uint16{"s2s": 5269, "media": 10000, "component": 5347}, []string{
			"ok other servers find meet.example", "ok other servers find muc.meet.example", "ok other servers find call.meet.example", "ok other servers find irc.meet.example"}},
		"a component that is elsewhere": {zone{addrs: map[string]string{domain: here, "muc." + domain: here, "irc." + domain: elsewhere}}, map[string]uint16{"s2s": 5269, "component": 5347}, []string{
			"ok other servers find meet.example", "ok other servers find muc.meet.example", "fault irc.meet.example points to 203.0.113.9, which is not this machine"}},
		"rooms that are elsewhere": {zone{addrs: map[string]string{domain: here, "muc." + domain: elsewhere}}, map[string]uint16{"s2s": 5269}, []string{
			"ok other servers find meet.example", "fault muc.meet.example points to 203.0.113.9, which is not this machine"}},
		"record to elsewhere": {zone{addrs: all, srv: map[string][]string{"xmpp-client " + domain: {"old." + domain + ":5222"}}}, map[string]uint16{"xmpp": 5222}, []string{
			"fault _xmpp-client._tcp.meet.example leads to old.meet.example (203.0.113.9), which is not this machine"}},
		"record to nowhere": {zone{addrs: all, srv: map[string][]string{"xmpp-client " + domain: {"gone." + domain + ":5222"}}}, map[string]uint16{"xmpp": 5222}, []string{
			"fault _xmpp-client._tcp.meet.example leads to gone.meet.example, which has no address"}},
		"record with a wrong port": {zone{addrs: all, srv: map[string][]string{"xmpp-client " + domain: {domain + ":5322"}}}, map[string]uint16{"xmpp": 5222}, []string{
			"fault _xmpp-client._tcp.meet.example leads to port 5322, where no xmpp:// listener is: correct it to port 5222"}},
		"record of a service that is not there": {zone{addrs: all, srv: map[string][]string{"xmpps-client " + domain: {domain + ":5223"}}}, map[string]uint16{"xmpp": 5222}, []string{
			"note only the record of xmpps-client", "fault _xmpps-client._tcp.meet.example leads clients to meet.example port 5223, but there is no xmpps:// listener"}},
		"record that says no": {zone{addrs: all, srv: map[string][]string{"xmpps-client " + domain: {":0"}}}, map[string]uint16{"xmpp": 5222}, []string{"ok clients find"}},
		"direct TLS alone, without a record": {zone{addrs: all}, map[string]uint16{"xmpps": 5223}, []string{
			"fault clients do not find the xmpps:// listener: add the record _xmpps-client._tcp.meet.example. IN SRV 0 5 5223 meet.example."}},
		"direct TLS beside the other": {zone{addrs: all}, map[string]uint16{"xmpp": 5222, "xmpps": 5223}, []string{
			"ok clients find", "note clients do not find the xmpps:// listener, and use the other one"}},
		"only direct TLS recorded": {zone{addrs: all, srv: map[string][]string{"xmpps-client " + domain: {domain + ":5223"}}}, map[string]uint16{"xmpp": 5222, "xmpps": 5223}, []string{
			"note only the record of xmpps-client leads clients here", "ok _xmpps-client._tcp.meet.example leads"}},
		"DNS that does not answer": {zone{sick: true}, map[string]uint16{"xmpp": 5222}, []string{
			"note _xmpp-client._tcp.meet.example could not be looked up", "note _xmpps-client", "note _xmpp-server", "note _xmpps-server", "note _xmpp-server._tcp.muc.", "note _xmpps-server._tcp.muc."}},
	} {
		t.Run(name, func(t *testing.T) {
			e := &examination{Patient: healthy(t)}
			e.Config.Listen = nil
			for _, scheme := range []string{"xmpp", "xmpps", "s2s", "s2ss", "media", "component"} {
				if port := c.listen[scheme]; port != 0 {
					e.Config.Listen = append(e.Config.Listen, config.Listener{Scheme: scheme, Port: port})
				}
			}
			if c.listen["component"] != 0 {
				e.Config.Component = slices.Grow(e.Config.Component, 1)[:1]
				e.Config.Component[0].Domain = "irc." + domain
			}
			c.zone.ask(&e.Patient)
			e.records(t.Context())
			lines := said(e.found, "dns")
			if len(lines) != len(c.wants) {
				t.Fatalf("%q", lines)
			}
			for i, want := range c.wants {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("%q, want %q", lines[i], want)
				}
			}
		})
	}
}

func TestPortThatSomethingForwards(t *testing.T) {
	e := &examination{Patient: healthy(t)}
	e.Addresses = nil // the address is that of a router before us
	e.Config.Listen = []config.Listener{{Scheme: "xmpp", Port: 15222}}
	z := zone{addrs: map[string]string{domain: "198.51.100.1"}, srv: map[string][]string{"xmpp-client " + domain: {domain + ":5222"}}}
	z.ask(&e.Patient)
	e.records(t.Context())
	if got := said(e.found, "dns"); len(got) != 1 || !strings.Contains(got[0], "note _xmpp-client._tcp.meet.example leads to port 5222, and the xmpp:// listener is at port 15222: something in between has to forward it") {
		t.Errorf("%q", got)
	}
}

func TestNothingIsLookedUpForThisMachineAlone(t *testing.T) {
	p := Here()
	p.Config, p.Data, p.PID = config.Default(), t.TempDir(), os.Getpid()
	p.SRV = func(context.Context, string, string) ([]*net.SRV, error) { panic("asked") }
	p.Fetch = func(context.Context, string) ([]byte, error) { panic("asked") }
	e := &examination{Patient: p}
	e.records(t.Context())
	e.web(t.Context())
	if len(e.found) > 0 {
		t.Errorf("%q", e.found)
	}
}

func TestHostMeta(t *testing.T) {
	doc := func(links string) string {
		return `<?xml version="1.0"?><XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">` + links + `</XRD>`
	}
	const rel = `<Link rel="urn:xmpp:alt-connections:websocket" href="`
	for name, c := range map[string]struct {
		body string
		err  error
		port uint16
		want string
	}{
		"good":               {doc(rel + `wss://meet.example/xmpp-websocket"/>`), nil, 443, "ok websocket: wss://meet.example/xmpp-websocket"},
		"another name":       {doc(rel + `wss://old.example/ws"/>`), nil, 443, "fault https://meet.example/.well-known/host-meta leads to wss://old.example/ws for websocket, which is not among this server's names"},
		"not secure":         {doc(rel + `ws://meet.example/xmpp-websocket"/>`), nil, 443, "fault https://meet.example/.well-known/host-meta leads to ws://"},
		"another page":       {"<html>hello</html>", nil, 443, "fault what https://meet.example/.well-known/host-meta answers is no host-meta"},
		"empty":              {doc(""), nil, 443, "fault https://meet.example/.well-known/host-meta names no way to connect"},
		"not there":          {"", errors.New("connection refused"), 443, "fault connection refused; clients in browsers on other pages do not find"},
		"behind a proxy":     {"", errors.New("answers 404"), 8443, "note answers 404; clients"},
		"untrusted":          {"", x509.UnknownAuthorityError{}, 443, "fault x509: certificate signed by unknown authority; browsers do not trust"},
		"with a broken link": {doc(rel + `:"/>`), nil, 443, "fault https://meet.example/.well-known/host-meta names"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &examination{Patient: healthy(t)}
			e.PID = os.Getpid()
			e.Config.Listen = []config.Listener{{Scheme: "https", Port: c.port}}
			asked := ""
			e.Fetch = func(_ context.Context, url string) ([]byte, error) { asked = url; return []byte(c.body), c.err }
			e.web(t.Context())
			if got := said(e.found, "host-meta"); len(got) != 1 || !strings.HasPrefix(got[0], c.want) || asked != "https://meet.example/.well-known/host-meta" {
				t.Errorf("%q %q, want %q", asked, got, c.want)
			}
		})
	}
}

// A resolver that is named is the one that is asked.
func TestAsk(t *testing.T) {
	for what, do := range map[string]func(*Patient) error{
		"A":    func(p *Patient) error { _, err := p.Resolve(t.Context(), "meet.example."); return err },
		"SRV":  func(p *Patient) error { _, err := p.SRV(t.Context(), "xmpp-client", "meet.example"); return err },
		"page": func(p *Patient) error { _, err := p.Fetch(t.Context(), "https://meet.example/"); return err },
	} {
		var dialed atomic.Bool // addresses of both families are asked for at once
		var p Patient
		p.Ask(&net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			dialed.Store(true)
			return nil, errors.New("no network here")
		}})
		if err := do(&p); err == nil || !dialed.Load() || !strings.Contains(err.Error(), "no network here") {
			t.Errorf("%s: %v %v", what, dialed.Load(), err)
		}
	}
}

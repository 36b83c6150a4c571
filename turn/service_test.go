package turn

import (
	"strings"
	"testing"
	"time"
)

func TestParseURI(t *testing.T) {
	for uri, want := range map[string]Service{
		"stun:example.org":                             {Type: "stun", Host: "example.org", Port: 3478, Transport: "udp"},
		"STUN:example.org:19302":                       {Type: "stun", Host: "example.org", Port: 19302, Transport: "udp"},
		"stuns:example.org":                            {Type: "stuns", Host: "example.org", Port: 5349, Transport: "tcp"},
		"turn:192.0.2.1":                               {Type: "turn", Host: "192.0.2.1", Port: 3478, Transport: "udp"},
		"turn:[2001:db8::1]:80?transport=tcp":          {Type: "turn", Host: "2001:db8::1", Port: 80, Transport: "tcp"},
		"turns:[2001:db8::1]":                          {Type: "turns", Host: "2001:db8::1", Port: 5349, Transport: "tcp"},
		"turns:turn.example.org:443?transport=tcp":     {Type: "turns", Host: "turn.example.org", Port: 443, Transport: "tcp"},
		"turns:turn.example.org:443?transport=udp":     {Type: "turns", Host: "turn.example.org", Port: 443, Transport: "udp"},
		"turn:xn--bcher-kva.example:1?transport=udp":   {Type: "turn", Host: "xn--bcher-kva.example", Port: 1, Transport: "udp"},
		"turn:under_score.example:65535?transport=tcp": {Type: "turn", Host: "under_score.example", Port: 65535, Transport: "tcp"},
	} {
		s, err := ParseURI(uri)
		if err != nil || s != want {
			t.Errorf("%s: %+v, %v", uri, s, err)
			continue
		}
		if again, err := ParseURI(s.URI()); err != nil || again != s {
			t.Errorf("%s is written as %s: %+v, %v", uri, s.URI(), again, err)
		}
	}
	for _, uri := range []string{
		"", "turn", "turn:", "http://example.org", "turn://example.org", "turn:user@example.org", "turn:example.org:0", "turn:example.org:65536",
		"turn:example.org:", "turn:example.org:x", "turn:2001:db8::1", "turn:[192.0.2.1]", "turn:[2001:db8::1", "turn:2001:db8::1]", "turn:[fe80::1%eth0]x",
		"turn:example.org?transport=sctp", "turn:example.org?transport=", "turn:example.org?", "turn:example.org?x=y", "stun:example.org?transport=udp",
		"turn:example.org\r\nX: y", "turn:exa mple.org", "turn:example.org/path", "turn:example.org#x", `turn:"`, "turn:<b>", "turn:a&b", "turn:%41",
	} {
		if s, err := ParseURI(uri); err == nil {
			t.Errorf("%q is taken for %+v", uri, s)
		}
	}
}

// TestServices hands out our own server and an external one in the same way: the row V12 of video-window.md.
func TestServices(t *testing.T) {
	now := time.Unix(1_800_000_000, 500)
	r, err := NewRegistry(
		Offer{URI: "stun:example.org", Secret: "of no use"},
		Offer{URI: "turn:example.org?transport=udp", Secret: testSecret},
		Offer{URI: "turns:coturn.example:443?transport=tcp", Secret: "north"},
	)
	if err != nil {
		t.Fatal(err)
	}
	services := r.Services("romeo", 10*time.Minute, now)
	if len(services) != 3 || services[0].Restricted() || services[0].Username != "" || !services[0].Expires.IsZero() {
		t.Fatalf("services %+v", services)
	}
	for i, secret := range []string{1: testSecret, 2: "north"} {
		if secret == "" {
			continue
		}
		username, password := Credentials(secret, "romeo", 10*time.Minute, now)
		if s := services[i]; !s.Restricted() || s.Username != username || s.Password != password || s.Expires.Unix() != now.Unix()+600 || s.Expires.Location() != time.UTC {
			t.Errorf("service %+v", s)
		}
	}
	if got := services[2].URI(); got != "turns:coturn.example:443?transport=tcp" {
		t.Errorf("URI %s", got)
	}
	if services = r.Services("romeo", 48*time.Hour, now); services[1].Expires.Unix() != now.Unix()+3600 {
		t.Errorf("credentials of two days end at %v", services[1].Expires)
	}
	if n := len(new(Registry).Services("romeo", time.Hour, now)); n != 0 {
		t.Errorf("the zero registry has %d services", n)
	}
	for _, bad := range []Offer{{URI: "turn:example.org"}, {URI: "example.org", Secret: testSecret}} {
		if _, err := NewRegistry(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// TestServicesWork allocates with what the registry hands out.
func TestServicesWork(t *testing.T) {
	s := start(t, nil)
	r, err := NewRegistry(Offer{URI: "turn:" + s.addrs["udp"].String() + "?transport=udp", Secret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	service := r.Services("romeo", time.Minute, time.Now())[0]
	c := s.raw(t, service.Transport, "nobody")
	c.username, c.password = service.Username, service.Password
	c.allocate()
}

// FuzzParseURI says of any text: what is taken can be written and read again, and holds nothing that ends a line, an
// attribute or an element.
func FuzzParseURI(f *testing.F) {
	for _, uri := range []string{"stun:example.org", "turn:[2001:db8::1]:80?transport=tcp", "turns:a:443", "turn:[::ffff:1.2.3.4%0]", "turn:a:b:1"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		s, err := ParseURI(uri)
		if err != nil {
			return
		}
		if s.Host == "" || s.Port == 0 || s.Transport != "udp" && s.Transport != "tcp" || strings.ContainsAny(s.Host, "\r\n\"'<>& ") {
			t.Fatalf("%q is taken for %+v", uri, s)
		}
		if again, err := ParseURI(s.URI()); err != nil || again != s {
			t.Fatalf("%q is written as %q: %+v, %v", uri, s.URI(), again, err)
		}
	})
}

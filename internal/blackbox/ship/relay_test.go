package ship

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"parley/internal/stun"
)

// mapped asks a relay over TLS by a name, and returns the address that it sees and the client's own, with the certificate that was
// shown.
func mapped(t *testing.T, source, addr, name string) (seen, own netip.AddrPort, state tls.ConnectionState) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: patience}
	c, err := tls.DialWithDialer(&dialer, "tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("%s at %s: %v", name, addr, err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	var id stun.ID
	rand.Read(id[:])
	w := stun.Write(nil, stun.Binding, stun.Request, id)
	w.Fingerprint()
	if _, err := c.Write(w.Buffer()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<10)
	n, err := io.ReadAtLeast(c, b, 20)
	if err != nil {
		t.Fatalf("%s at %s: %v", name, addr, err)
	}
	for size, err := stun.Frame(b[:n]); err == nil && n < size; {
		more, err := c.Read(b[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += more
	}
	var m stun.Message
	if err := m.Parse(b[:n], stun.TURN); err != nil || m.Class != stun.Success || m.ID != id {
		t.Fatalf("%v %v", m.Class, err)
	}
	own, _ = netip.ParseAddrPort(c.LocalAddr().String())
	return m.Mapped, own, c.ConnectionState()
}

// The relay is found by its name at the port that it shares with the web, and at its own, and knows the addresses of its clients. Who
// asks for another name comes to the web, whose balancer does TLS.
func TestV23TheRelayIsFoundByItsName(t *testing.T) {
	lbs, _ := single(t)
	for i, b := range lbs {
		source := fmt.Sprintf("127.0.0.%d", 60+i)
		for addr, name := range map[string]string{b.tls: "turn.localhost", b.turns: "localhost"} {
			seen, own, state := mapped(t, source, addr, name)
			if seen != own || own.Addr().String() != source {
				t.Errorf("the relay sees %v, which is %v", seen, own)
			}
			if got := state.PeerCertificates[0].Subject.CommonName; got == "meet.example.org" {
				t.Error("the balancer does TLS for the relay")
			}
		}
		client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}}}
		r, err := http.NewRequest("GET", "https://"+b.tls+"/room", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "localhost"
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.TLS.PeerCertificates[0].Subject.CommonName; res.StatusCode != http.StatusOK || res.Header.Get("X-Test-Node") == "" || got != "meet.example.org" {
			t.Errorf("the web: %s with the certificate of %q", res.Status, got)
		}
	}
}

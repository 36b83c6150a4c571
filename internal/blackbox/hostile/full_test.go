package hostile

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// files is the limit of descriptors of the process that is crowded.
const files = 150

// crowd fills the process with logged-in clients up to nine tenths of its descriptors and waits until it says that it is
// full.
func crowd(t *testing.T, at *peertest.Parley) (all []*peertest.Client) {
	t.Helper()
	for {
		inUse, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", at.PID))
		if err != nil {
			t.Fatal(err)
		}
		if len(inUse) >= files*9/10 {
			break
		}
		p := peertest.DialFrom(t, source(), at.XMPP, "localhost")
		p.Login("", "")
		all = append(all, p.Bind(""))
	}
	eventually(t, "the process does not say that it is full", func() bool { return at.Metric("parley_full", "") == 1 })
	return all
}

func status(t *testing.T, address, path string) int {
	t.Helper()
	client := http.Client{Timeout: peertest.Patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}).DialContext}}
	res, err := client.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestHC3NearTheLimitOfFiles: a process that has used nine tenths of its file descriptors takes nobody new, says so, and
// goes on for those who are there.
func TestHC3NearTheLimitOfFiles(t *testing.T) {
	t.Parallel()
	at := peertest.StartParley(t, peertest.ParleyOptions{Files: files})
	for _, name := range []string{"ann", "bob"} {
		at.AddUser(name, name+"-password")
	}
	dial := func() *peertest.Client { return peertest.DialFrom(t, source(), at.XMPP, "localhost") }
	mobile := peertest.NewMobile("ann", "ann-password", dial)
	bob := dial()
	bob.Login("bob", "bob-password")
	bob.Bind("")
	room := open(t, bob)
	enterMobile(t, mobile, room)
	a, b := relay(t, at, "udp", relayCredential(t, bob)), relay(t, at, "tcp", relayCredential(t, bob))
	call(t, a, b, "before")
	if at.Metric("parley_full", "") != 0 || status(t, at.HTTP, "/health/ready") != http.StatusOK {
		t.Fatal("it is full from the beginning")
	}
	before := countedAt(t, at, "limit.process")
	others := crowd(t, at)
	if len(others) < 10 {
		t.Fatalf("full with %d clients", len(others))
	}

	// refused tries to get a session. A server that would let somebody come back to one cannot know before the login.
	refused := func(t *testing.T, p *peertest.Client) {
		t.Helper()
		p.Conn.Write([]byte(p.Header()))
		for {
			switch e := p.Read(); {
			case strings.Contains(e, "stream:error"):
				if !strings.Contains(e, "<resource-constraint ") {
					t.Errorf("refused with %s", e)
				}
				return
			case strings.Contains(e, "<mechanism>ANONYMOUS</mechanism>"):
				p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
			case strings.HasPrefix(e, "<success"):
				p.Send(p.Header())
			case strings.Contains(e, "<bind "):
				p.Send("<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
			case strings.HasPrefix(e, "<iq"), e == "":
				t.Fatalf("got %q", e)
			}
		}
	}
	t.Run("new streams", func(t *testing.T) {
		refused(t, peertest.DialFrom(t, source(), at.XMPP, "localhost"))
		p := peertest.DialFrom(t, source(), at.XMPPS, "localhost")
		p.Conn.SetDeadline(time.Now().Add(peertest.Patience))
		secure := tls.Client(p.Conn, at.TLS())
		switch err := secure.Handshake(); {
		case err == nil:
			p.Conn.SetDeadline(time.Time{})
			p = peertest.DialFrom(t, source(), at.XMPPS, "localhost")
			p.Secure(tls.VersionTLS13)
			refused(t, p)
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.Error("a connection for TLS stays open")
		}
		if n := countedAt(t, at, "limit.process") - before; n < 2 {
			t.Errorf("%v of 2 were counted", n)
		}
	})
	t.Run("WebSockets", func(t *testing.T) {
		for _, query := range []string{"", "?previd=wrong", "?previd="} {
			p := peertest.DialFrom(t, source(), at.HTTP, "localhost")
			if res := p.Upgrade("/xmpp-websocket" + query); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
				t.Errorf("%q is answered %s", query, res.Status)
			}
		}
	})
	t.Run("readiness", func(t *testing.T) {
		for path, want := range map[string]int{"/health/ready": 503, "/health/live": 200} {
			for _, address := range []string{at.HTTP, at.Admin} {
				if got := status(t, address, path); got != want {
					t.Errorf("%s%s is answered %d, want %d", address, path, got, want)
				}
			}
		}
	})
	t.Run("those who are there", func(t *testing.T) {
		bob.T = t
		bob.Send("<message to='" + room + "' type='groupchat' id='still'><body>Hi</body></message>")
		bob.Await("<message", "id='still'")
		mobile.Say("<message to='" + bob.JID + "' id='ann0'/>")
		bob.Await("<message", "id='ann0'")
		others[len(others)-1].Ping()
		call(t, a, b, "after")
	})
	// The connections outlive the subtests.
	for door, redial := range map[string]func() *peertest.Client{
		"TCP": func() *peertest.Client { return peertest.DialFrom(t, source(), at.XMPP, "localhost") },
		"WebSocket": func() *peertest.Client { // with the parameter of Jitsi clients
			p := peertest.DialFrom(t, source(), at.HTTP, "localhost")
			p.WS = true
			if res := p.Upgrade("/xmpp-websocket?previd=" + mobile.ID); res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("answered %s", res.Status)
			}
			return p
		},
	} {
		t.Run("resumption over "+door, func(t *testing.T) {
			bob.T, mobile.Client.T = t, t
			mobile.Redial = redial
			mobile.Settle(0)
			mobile.Move(true)
			bob.Send("<message to='" + mobile.JID + "' id='to-" + door + "'/>")
			for !slices.Contains(mobile.Got, "to-"+door) {
				if !mobile.Take(mobile.Read()) {
					t.Fatal("the stream ended")
				}
			}
		})
	}
	for _, p := range others {
		p.Conn.Close()
	}
	eventually(t, "it stays full", func() bool { return at.Metric("parley_full", "") == 0 })
	if got := status(t, at.HTTP, "/health/ready"); got != http.StatusOK {
		t.Errorf("with room again it is answered %d", got)
	}
	p := peertest.DialFrom(t, source(), at.XMPP, "localhost")
	p.Login("bob", "bob-password")
	p.Bind("").Ping()
}

// enterMobile lets a client enter that counts what it gets.
func enterMobile(t testing.TB, m *peertest.Mobile, room string) {
	t.Helper()
	m.Say(joining(room, "mobile", ""))
	for e := ""; !strings.Contains(e, "<subject"); m.Take(e) {
		if e = m.Read(); e == "" {
			t.Fatal("the stream ended")
		}
	}
}

// TestHC3NoFilesLeft: with no descriptor left nobody gets in, nobody is thrown out, and when there are some again the
// server takes people as before.
func TestHC3NoFilesLeft(t *testing.T) {
	t.Parallel()
	at := peertest.StartParley(t, peertest.ParleyOptions{Files: 120, Config: "[http]\nheader_timeout = '1s'\n"})
	at.AddUser("bob", "bob-password")
	bob := peertest.DialFrom(t, source(), at.XMPP, "localhost")
	bob.Login("bob", "bob-password")
	bob.Bind("")
	room := open(t, bob, "persistentroom", "1")
	// Connections that send nothing stay until the time for the head of a request is over.
	var silent []net.Conn
	for range 150 {
		d := net.Dialer{Timeout: peertest.Patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}
		nc, err := d.Dial("tcp", at.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		silent = append(silent, nc)
		if len(silent)%20 == 0 {
			bob.Ping()
		}
	}
	for _, address := range []string{at.XMPP, at.XMPPS, at.TURN, at.TURNS} { // the other doors find none left either
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	for range 20 { // of a room that is on disk
		bob.Send("<message to='" + room + "' type='groupchat' id='still'><body>Hi</body></message>")
		bob.Await("<message", "id='still'")
	}
	eventually(t, "it does not recover", func() bool { return at.Running() && at.Metric("parley_full", "") == 0 })
	p := peertest.DialFrom(t, source(), at.XMPP, "localhost")
	p.Login("bob", "bob-password")
	p.Bind("").Ping()
	bob.Ping()
	if got := status(t, at.HTTP, "/health/ready"); got != http.StatusOK {
		t.Errorf("with room again it is answered %d", got)
	}
}

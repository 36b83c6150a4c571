package jitsi

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestJitsiClientAndAnotherServer: somebody of another server is in the client's meeting. The client knows an address of the room
// for him, and what it asks for by that address, as it writes it, is done to him.
func TestJitsiClientAndAnotherServer(t *testing.T) {
	need(t)
	at := map[string]string{"localhost": freeAddress(t), "far.test": freeAddress(t)}
	config := "[federation]\n"
	for domain, address := range at {
		for _, prefix := range []string{"", "muc."} {
			config += fmt.Sprintf("[[federation.hosts]]\ndomain = %q\naddress = %q\n", prefix+domain, address)
		}
	}
	start := func(domain string) *peertest.Parley {
		head := ""
		if domain != "localhost" {
			head = fmt.Sprintf("domain = %q\n", domain)
		}
		listen := []string{"xmpp://127.0.0.1:0", "http://127.0.0.1:0", "http+admin://127.0.0.1:0", "media://127.0.0.1:0", "turn://127.0.0.1:0", "s2s://" + at[domain]}
		return peertest.StartParley(t, peertest.ParleyOptions{Config: head + config, Listen: listen})
	}
	server, far := start("localhost"), start("far.test")
	far.AddUser("romeo", "secret")
	romeo := peertest.Dial(t, far.XMPP, "far.test")
	romeo.Login("romeo", "secret")
	romeo.Bind("x")
	summary := make(chan map[string]any, 1)
	go func() {
		defer close(summary)
		summary <- drive(t, server, "--room", "both", "--clients", "1", "--duration", "25", "--do", "20:0:grantOwner('romeo')",
			"--expect", "allJoined", "--expect", "clients[0].participants.some(p => p.id === 'romeo' && p.jid.endsWith('@muc.localhost/romeo'))")
	}()
	presence := func(parts ...string) string {
		t.Helper()
		for until := time.Now().Add(2 * time.Minute); ; {
			got := strings.ReplaceAll(romeo.ReadWithin(time.Until(until)), `"`, "'")
			if got == "" {
				t.Fatalf("romeo's connection ended before %q", parts)
			}
			found := strings.HasPrefix(got, "<presence")
			for _, part := range parts {
				found = found && strings.Contains(got, part)
			}
			if found {
				return got
			}
		}
	}
	for server.Metric("parley_occupants", "") == 0 { // the meeting has not begun
		select {
		case <-summary:
			t.FailNow() // drive has said why
		case <-time.After(200 * time.Millisecond):
		}
	}
	romeo.Send("<presence to='both@muc.localhost/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	presence("from='both@muc.localhost/romeo'", "'110'", "affiliation='none'", "role='participant'")
	presence("from='both@muc.localhost/romeo'", "'110'", "affiliation='owner'", "role='moderator'")
	<-summary
}

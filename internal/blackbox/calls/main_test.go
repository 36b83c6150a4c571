// Package calls lets ordinary clients call: each other, and rooms in which others meet by the Jitsi dialect. What they send and
// receive are media that say whose they are.
package calls

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/callpeer"
	"parley/internal/peertest/desk"
	"parley/internal/peertest/jitsipeer"
)

// server is the binary that the tests share.
var server *peertest.Parley

func TestMain(m *testing.M) {
	peertest.Main(m, func(t testing.TB) {
		if desk.IsApart() { // the test has a server of its own
			return
		}
		server = peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
		for _, name := range []string{"ann", "bob", "carl", "dora"} {
			server.AddUser(name, secret)
		}
	})
}

const (
	secret   = "secret" // of every account
	patience = callpeer.Patience
)

var names atomic.Uint32

// fresh returns a name that no other test has.
func fresh(of string) string { return fmt.Sprintf("%s%d", of, names.Add(1)) }

// login is a client of an account, which is present and has asked for copies of messages.
func login(t testing.TB, name string) *peertest.Client {
	t.Helper()
	c := peertest.Dial(t, server.XMPP, server.Domain)
	c.Login(name, secret)
	c.Bind(fresh("phone"))
	c.Send("<presence xmlns='jabber:client'/>")
	c.Send("<iq xmlns='jabber:client' type='set' id='copies'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
	c.Ping()
	return c
}

// bare is the address without its resource.
func bare(c *peertest.Client) string { return c.JID[:len(c.JID)-len(resource(c.JID))-1] }

func resource(jid string) string {
	for i := range jid {
		if jid[i] == '/' {
			return jid[i+1:]
		}
	}
	return ""
}

// member is a member of a room by the Jitsi dialect, with a camera and a microphone.
func member(t testing.TB, room, nick string, change ...func(*jitsipeer.Options)) *jitsipeer.Peer {
	t.Helper()
	o := jitsipeer.Options{
		URL: "ws://" + server.HTTP + "/xmpp-websocket", Room: room, Nick: nick, Loopback: true, Restart: true,
		Audio: &jitsipeer.Audio{Level: 127}, Video: &jitsipeer.Video{Codec: jitsipeer.VP8},
	}
	for _, f := range change {
		f(&o)
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	p, err := jitsipeer.Join(ctx, o)
	if err != nil {
		t.Fatal(nick, err)
	}
	t.Cleanup(p.Leave)
	return p
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("no %s within %v", what, patience)
		}
	}
}

package commands

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

const secret = "a secret of sixteen or more"

// withComponent is a server with a component at bot.localhost.
func withComponent(t *testing.T) *peertest.Parley {
	t.Helper()
	server := peertest.StartParley(t, peertest.ParleyOptions{
		Config: "listen = [\"component://127.0.0.1:0\"]\n[[component]]\ndomain = \"bot.localhost\"\nsecret = \"" + secret + "\"\n",
		Listen: []string{"xmpp://127.0.0.1:0", "http+admin://127.0.0.1:0", "component://127.0.0.1:0"},
	})
	server.AddUser("ann", "ann")
	return server
}

// join connects the component, with this secret.
func join(t testing.TB, server *peertest.Parley, secret string) *peertest.Client {
	t.Helper()
	c := peertest.Dial(t, server.Component, "bot.localhost")
	c.Raw("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='bot.localhost'>")
	id := peertest.Attr(c.Expect("<stream:stream", "from='bot.localhost'"), "id")
	sum := sha1.Sum([]byte(id + secret))
	c.Raw("<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>")
	return c
}

func TestComponent(t *testing.T) {
	server := withComponent(t)
	ann := enter(t, server, "ann", "ann", "a")
	ann.Send("<iq type='get' id='items' to='localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
	ann.Await("id='items'", "<item jid='bot.localhost'/>")
	ask := "<iq type='get' id='ping' to='bot.localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
	ann.Send(ask)
	ann.Await("id='ping'", "from='bot.localhost'", "<remote-server-timeout ")

	stranger := join(t, server, secret+"!")
	stranger.ExpectEnd("not-authorized")
	bot := join(t, server, secret)
	bot.Expect("<handshake/>")
	join(t, server, secret).ExpectEnd("conflict")
	if n := server.Metric("parley_components", ""); n != 1 {
		t.Errorf("%v components are counted", n)
	}

	ann.Send(ask)
	bot.Await("id='ping'", "from='"+ann.JID+"'")
	bot.Raw("<iq type='result' id='ping' from='bot.localhost' to='" + ann.JID + "'/>")
	ann.Await("id='ping'", "type='result'")
	// Presence and subscriptions, as gateways have them.
	bot.Raw("<presence type='subscribe' from='friend@bot.localhost' to='ann@localhost'/>")
	ann.Send("<presence/>")
	ann.Await("type='subscribe'", "from='friend@bot.localhost'")
	ann.Send("<presence type='subscribed' to='friend@bot.localhost'/>")
	bot.Await("<presence", "to='friend@bot.localhost'", "type='subscribed'")
	bot.Await("<presence", "to='friend@bot.localhost'", "from='"+ann.JID+"'")

	// Two meet in a room; when the component dies its people leave.
	ann.Send("<presence to='r@muc.localhost/ann'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	ann.Await("<presence", "from='r@muc.localhost/ann'", "'110'")
	ann.Send("<iq to='r@muc.localhost' type='set' id='open'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
	ann.Await("id='open'", "type='result'")
	bot.Raw("<presence from='friend@bot.localhost/x' to='r@muc.localhost/friend'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	bot.Await("<presence", "to='friend@bot.localhost/x'", "from='r@muc.localhost/friend'", "'110'")
	ann.Await("<presence", "from='r@muc.localhost/friend'")
	ann.Send("<message to='r@muc.localhost' type='groupchat'><body>hello</body></message>")
	bot.Await("<message", "to='friend@bot.localhost/x'", "<body>hello</body>")
	bot.Raw("<message from='ann@localhost' to='ann@localhost'><body>forged</body></message>")
	bot.Await("<stream:error><invalid-from ")
	ann.Await("<presence", "from='r@muc.localhost/friend'", "type='unavailable'")

	again := join(t, server, secret)
	again.Expect("<handshake/>")
	server.Stop()
	again.Await("<stream:error><system-shutdown ")
}

// The same with a library that others use.
func TestComponentOfSlixmpp(t *testing.T) {
	python := peertest.NeedPython(t, "slixmpp")
	server := withComponent(t)
	host, port, err := net.SplitHostPort(server.Component)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ann := enter(t, server, "ann", "ann", "a")
	ann.Send("<presence to='r@muc.localhost/ann'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	ann.Await("<presence", "from='r@muc.localhost/ann'", "'110'")
	ann.Send("<iq to='r@muc.localhost' type='set' id='open'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
	ann.Await("id='open'", "type='result'")

	var out strings.Builder
	program := exec.CommandContext(ctx, python, "testdata/component.py", host, port, "bot.localhost", secret, "r@muc.localhost")
	program.Stdout, program.Stderr = &out, &out
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer program.Process.Kill()
	for until := time.Now().Add(time.Minute); server.Metric("parley_components", "") == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not connect")
		}
	}
	ann.Send("<iq type='get' id='info' to='bot.localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	ann.Await("result", "Echo") // in its own words, quotes included
	ann.Send("<message to='echo@bot.localhost' type='chat'><body>hi</body></message>")
	ann.Await("<message", "from='echo@bot.localhost", "<body>you said hi</body>")
	ann.Send("<message to='echo@bot.localhost' type='chat'><body>enter</body></message>")
	ann.Await("<presence", "from='r@muc.localhost/echo'")
	ann.Send("<message to='echo@bot.localhost' type='chat'><body>leave</body></message>")
	ann.Await("<presence", "from='r@muc.localhost/echo'", "type='unavailable'")
	if err := program.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	for _, step := range []string{"connected", "answered", "entered", "left"} {
		if !strings.Contains(out.String(), `"`+step+`"`) {
			t.Errorf("not %s:\n%s", step, out.String())
		}
	}
}

package ship

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

const patience = 30 * time.Second

// enter has somebody enter a room by WebSocket.
func enter(t *testing.T, addr, room, nick string) *peertest.Client {
	t.Helper()
	c := peertest.DialWS(t, addr, "localhost", "/xmpp-websocket?room="+room)
	c.Login("", "")
	c.Bind("")
	c.Send(entering(room, nick))
	c.Await("<presence", room+"@muc.localhost/"+nick, "'110'")
	return c
}

// unlock has who created a room let others in.
func unlock(c *peertest.Client, room string) {
	c.Send("<iq xmlns='jabber:client' id='unlock' type='set' to='" + room + "@muc.localhost'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
	c.Await("<iq", "id='unlock'", "type='result'")
}

func entering(room, nick string) string {
	return "<presence xmlns='jabber:client' to='" + room + "@muc.localhost/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
}

// says is what the agent port answers.
func says(t *testing.T, n *peertest.Parley) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", n.Agent, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	line, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(line))
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: " + what)
		}
	}
}

// asks makes a request of a node.
func asks(t *testing.T, n *peertest.Parley, method, path, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+n.HTTP+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if r.Host = "localhost"; body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Timeout: patience}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res
}

func draining(t *testing.T, grace string) *peertest.Parley {
	t.Helper()
	return peertest.StartParley(t, peertest.ParleyOptions{
		Listen: []string{"http://127.0.0.1:0", "agent://127.0.0.1:0"}, Args: []string{"--limits=off"},
		Config: fmt.Sprintf("drain_grace = %q\n[apprtc]\nenabled = true\nauth = \"none\"\n", grace),
	})
}

// A server that is asked to end, and has time for it, opens no rooms by any door, goes on with the one that is open, takes whoever
// enters that, stays healthy, and ends when the last has left.
func TestV22ANodeThatIsToEndWaitsForItsRooms(t *testing.T) {
	n := draining(t, "20m")
	ann := enter(t, n.HTTP, "open", "ann")
	unlock(ann, "open")
	n.Signal(syscall.SIGTERM)
	await(t, "it is told that the node drains", func() bool { return says(t, n) == "up drain" })

	for _, path := range []string{"/health/live", "/health/ready"} {
		if res := asks(t, n, "GET", path, ""); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/xmpp-websocket?room=other", ""},
		{"GET", "/acme/xmpp-websocket?room=open", ""}, // another room than that of no tenant
		{"GET", "/ws?room=other", ""},
		{"POST", "/join/other", "{}"},
		{"POST", "/conference-request/v1?room=other", `{"room":"other@muc.localhost"}`},
	} {
		if res := asks(t, n, c.method, c.path, c.body); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %s, Retry-After %q", c.method, c.path, res.Status, res.Header.Get("Retry-After"))
		}
	}
	if res := asks(t, n, "POST", "/conference-request/v1?room=open", `{"room":"open@muc.localhost"}`); res.StatusCode != http.StatusOK {
		t.Errorf("a conference in a room that is open: %s", res.Status)
	}
	ben := enter(t, n.HTTP, "open", "ben")
	ann.Await("<presence", "open@muc.localhost/ben")
	ben.Send(entering("another", "ben"))
	ben.Await("<presence", "another@muc.localhost/ben", "type='error'", "type='wait'", "<service-unavailable")
	if _, err := n.Command("", "drain", "--undo"); err == nil || !strings.Contains(err.Error(), "asked to end") {
		t.Errorf("what cannot be taken back: %v", err)
	}
	if _, err := n.Command("", "drain", "--wait", "1s"); err == nil || !strings.Contains(err.Error(), "2 are still in rooms") {
		t.Errorf("waiting for people: %v", err)
	}

	leave := func(c *peertest.Client, nick string) {
		c.Send("<presence xmlns='jabber:client' type='unavailable' to='open@muc.localhost/" + nick + "'/>")
		c.Await("<presence", "open@muc.localhost/"+nick, "type='unavailable'", "'110'")
	}
	leave(ann, "ann")
	cara := enter(t, n.HTTP, "open", "cara")
	leave(ben, "ben")
	leave(cara, "cara")
	if code := n.Wait(time.Minute); code != 0 {
		t.Errorf("it ends with %d", code)
	}
}

// When the time is over, or a second signal comes, the connections of those who are there end, and the server.
func TestV22ANodeThatIsToEndDoesNotWaitForEver(t *testing.T) {
	for grace, second := range map[string]bool{"500ms": false, "20m": true} {
		n := draining(t, grace)
		ann := enter(t, n.HTTP, "open", "ann")
		n.Signal(syscall.SIGTERM)
		if second {
			await(t, "it is told that the node drains", func() bool { return says(t, n) == "up drain" })
			ann.Ping()
			n.Signal(syscall.SIGTERM)
		}
		for ann.Read() != "" { // until the connection ends
		}
		if code := n.Wait(time.Minute); code != 0 {
			t.Errorf("after %s: it ends with %d", grace, code)
		}
	}
}

// A room that has ended is opened by another node, though the table of the balancers leads to the one that drains, and stays there. Who
// is in a room whose node ends comes again to the other one, by the same address.
func TestV22RoomsGoFromANodeThatEndsToTheOther(t *testing.T) {
	lbs, nodes := single(t)
	at := func(b *balancer, room string) (node string) { return b.at("127.0.0.1", "/"+room) }
	var over, kept string // rooms of s1
	for i := 0; over == "" || kept == ""; i++ {
		if room := fmt.Sprintf("room-%d", i); at(lbs[i%2], room) == "s1" {
			over, kept = kept, room
		}
	}
	for _, b := range lbs {
		b.knows(over)
		b.knows(kept)
	}
	ann := enter(t, lbs[0].addr, kept, "ann")
	if _, err := nodes[0].Command("", "drain"); err != nil {
		t.Fatal(err)
	}
	for _, b := range lbs {
		b.until("it is told that s1 drains", func() bool { return b.state("shards", "s1") == "DRAIN" })
	}
	ask := func(b *balancer, room string) string {
		t.Helper()
		c := peertest.Dial(t, b.addr, "localhost")
		c.WS = true
		res := c.Upgrade("/xmpp-websocket?room=" + room)
		if res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %s", room, res.Status)
		}
		return res.Header.Get("X-Test-Node")
	}
	if got := ask(lbs[1], kept); got != "s1" {
		t.Errorf("a room that is open: %s", got)
	}
	if got := ask(lbs[0], over); got != "s2" {
		t.Errorf("a room that has ended: %s", got)
	}
	for _, b := range lbs {
		if got := at(b, over); got != "s2" {
			t.Errorf("the page of a room that has ended: %s", got)
		}
	}
	ben := enter(t, lbs[1].addr, over, "ben")

	ann.Ping()
	nodes[0].Stop()
	for _, b := range lbs {
		b.until("the other node takes the room", func() bool {
			node, res := b.ask("127.0.0.1", "/"+kept)
			return res != nil && res.StatusCode == http.StatusOK && node == "s2"
		})
	}
	again := enter(t, lbs[0].addr, kept, "ann")
	nodes[0].Start()
	for _, b := range lbs {
		b.up("shards", "s1", "s2")
		if got := at(b, kept); got != "s2" {
			t.Errorf("where the room has moved to: %s", got)
		}
	}
	again.Ping()
	ben.Ping()
}

package resume

import (
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
)

// kills is how often the server is killed.
func kills() int {
	if os.Getenv("PARLEY_FULL") != "" {
		return 30
	}
	return 3
}

// TestHC9KilledServer kills the server with SIGKILL while clients talk to each other. Each goes on with its session, what
// it had sent is there once, and the counts are right.
func TestHC9KilledServer(t *testing.T) {
	t.Parallel()
	server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
	at := newPlace(server)
	type pair struct{ a, b *traveller }
	var pairs []pair
	for _, doors := range [][2]string{{"starttls", "starttls"}, {"websocket", "websocket"}, {"starttls", "websocket"}} {
		name := doors[0][:1] + doors[1][:1]
		server.AddUser("a"+name, "a"+name)
		server.AddUser("b"+name, "b"+name)
		pairs = append(pairs, pair{newTraveller(t, at, doors[0], "a"+name), newTraveller(t, at, doors[1], "b"+name)})
	}
	for round := range kills() {
		goal := (round + 1) * messages
		var talking sync.WaitGroup
		for _, p := range pairs {
			talking.Go(func() { p.a.talk(p.b.jid, goal, goal) })
			talking.Go(func() { p.b.talk(p.a.jid, goal, goal) })
		}
		time.Sleep(time.Duration(rand.Int64N(int64(150 * time.Millisecond))))
		at.leave()
		server.Kill()
		server.Start()
		if round%3 == 1 { // once more, before anybody is back
			server.Kill()
			server.Start()
		}
		close(at.back)
		talking.Wait()
		for _, p := range pairs {
			p.a.settle()
			p.b.settle()
		}
		if t.Failed() {
			t.Fatalf("kill %d", round+1)
		}
	}
	resumed, repeats := 0, 0
	for _, p := range pairs {
		resumed += p.a.resumed + p.b.resumed
		repeats += p.a.repeats + p.b.repeats
	}
	if resumed < 2*len(pairs) {
		t.Errorf("%d resumptions", resumed)
	}
	t.Logf("%d kills, %d resumptions, %d stanzas sent again", kills(), resumed, repeats)
}

// TestKilledWhileAway has messages come for a client that is away, before and after the server is killed.
func TestKilledWhileAway(t *testing.T) {
	t.Parallel()
	server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
	at := newPlace(server)
	server.AddUser("ann", "ann")
	server.AddUser("bob", "bob")
	for _, door := range []string{"starttls", "websocket"} {
		ann, bob := newTraveller(t, at, door, "ann"), newTraveller(t, at, door, "bob")
		bob.c.Conn.Close()
		for i := range 4 {
			ann.talk(bob.jid, 100*(i+1), 0)
			if i%2 == 0 {
				bob.comeBack() // and takes nothing
				bob.c.Conn.Close()
			}
			server.Kill()
			server.Start()
			ann.comeBack()
		}
		bob.comeBack()
		bob.talk(ann.jid, 10, 400)
		ann.talk(bob.jid, 400, 10)
	}
}

// TestKilledSessionKeepsItsPlace looks at what hangs on a session: presence, who was told of it, and the rest of the
// queue's kinds.
func TestKilledSessionKeepsItsPlace(t *testing.T) {
	t.Parallel()
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	at := newPlace(server)
	server.AddUser("ann", "ann")
	server.AddUser("bob", "bob")
	ann, bob := newTraveller(t, at, "starttls", "ann"), newTraveller(t, at, "websocket", "bob")
	phone := newTraveller(t, at, "starttls", "ann")
	plain := at.dial(t, "starttls") // ends with the server
	plain.Login("ann", "ann")
	plain.Bind("")

	ann.stanza("<presence xmlns='jabber:client'><priority>3</priority></presence>")
	await(ann, "<presence", "from='"+ann.jid+"'")
	phone.stanza("<presence xmlns='jabber:client'><priority>-1</priority></presence>")
	await(ann, "<presence", "from='"+phone.jid+"'")
	plain.Send("<presence/>")
	plain.Send("<presence to='" + bob.jid + "'/>")
	await(ann, "<presence", "from='"+plain.JID+"'")
	await(bob, "<presence", "from='"+plain.JID+"'")
	ann.stanza("<presence xmlns='jabber:client' to='" + bob.jid + "'/>")
	await(bob, "<presence", "from='"+ann.jid+"'")

	server.Kill()
	server.Start()
	for _, v := range []*traveller{ann, bob, phone} {
		v.comeBack()
	}
	// Who was seen and does not live any more is gone.
	await(ann, "<presence", "from='"+plain.JID+"'", "type='unavailable'")
	await(bob, "<presence", "from='"+plain.JID+"'", "type='unavailable'")
	// Priorities: a message to the account goes to the one that takes messages.
	bob.stanza("<message xmlns='jabber:client' to='ann@localhost' type='chat' id='bare'><body>x</body></message>")
	await(ann, "<message", "id='bare'")
	// Presence is known to another session of the account, and its end to whom it was sent.
	tablet := newTraveller(t, at, "starttls", "ann")
	tablet.stanza("<presence xmlns='jabber:client'/>")
	await(tablet, "<presence", "from='"+ann.jid+"'", "<priority>3</priority>")
	ann.send("</stream:stream>")
	await(bob, "<presence", "from='"+ann.jid+"'", "type='unavailable'")
	await(tablet, "<presence", "from='"+ann.jid+"'", "type='unavailable'")
	// A session that has ended does not come back.
	server.Kill()
	server.Start()
	bob.comeBack()
	refused(t, ann)
}

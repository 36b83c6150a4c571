package im

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"parley/xmpp/wire"
)

// RFC 6121 §8.5: what becomes of a message, by its type and by who is there of the account.
func TestWhereMessagesGo(t *testing.T) {
	const (
		session = "to the session"
		all     = "to all that take messages"
		kept    = "kept"
		back    = "back"
		nowhere = "nowhere"
	)
	for _, c := range []struct{ to, normal, chat, groupchat, headline, failed string }{
		// §8.5.2.1, §8.5.2.2, §8.5.3.1, §8.5.3.2, §8.5.1
		{"bob@x.net, who is there", all, all, back, all, nowhere},
		{"bob@x.net, who is away", kept, kept, back, nowhere, nowhere},
		{"bob@x.net/low, who is there", session, session, session, session, session},
		{"bob@x.net/gone, who is there", back, all, back, nowhere, nowhere},
		{"bob@x.net/gone, who is away", back, kept, back, nowhere, nowhere},
		{"nobody@x.net, who is away", back, back, back, nowhere, nowhere},
		{"nobody@x.net/r, who is away", back, back, back, nowhere, nowhere},
	} {
		for typ, want := range map[string]string{"normal": c.normal, "chat": c.chat, "groupchat": c.groupchat, "headline": c.headline, "error": c.failed} {
			to, state, _ := strings.Cut(c.to, ", ")
			t.Run(typ+" to "+c.to, func(t *testing.T) {
				w := newKept(t)
				var bobs []*client
				if state == "who is there" {
					for name, priority := range map[string]string{"high": "5", "zero": "0", "low": "-1", "silent": ""} {
						b := w.login(wire.Addr("bob@x.net/" + name))
						if priority != "" {
							b.send(`<presence><priority>` + priority + `</priority></presence>`)
						}
						bobs = append(bobs, b)
					}
				}
				w.quiet()
				ann := w.login("ann@x.net/a")
				ann.send(`<message to='` + to + `' type='` + typ + `' id='1'><body>x</body></message>`)
				got := []string{}
				for _, b := range bobs {
					if len(b.take()) > 0 {
						got = append(got, b.addr.Resource())
					}
				}
				result := nowhere
				switch len(got) {
				case 1:
					result = session
				case 2:
					result = all
				}
				if list := ann.take(); len(list) > 0 && strings.Contains(list[0], "service-unavailable") {
					result = back
				}
				if len(w.m.accounts["bob@x.net"].offline) > 0 {
					result = kept
				}
				if result != want {
					t.Errorf("went %s (%q), want %s", result, got, want)
				}
				for _, name := range got {
					if name == "silent" || result == all && name == "low" {
						t.Errorf("%s takes messages", name)
					}
				}
				if ann.held.Load() != 0 {
					t.Error("never acknowledged")
				}
			})
		}
	}
}

// XEP-0160, XEP-0203.
func TestMessagesWaitForThoseWhoAreAway(t *testing.T) {
	w := newKept(t)
	ann := w.login("ann@x.net/a")
	for i := range 3 {
		ann.send(fmt.Sprintf(`<message to='bob@x.net' type='chat' id='%d'><body>%d</body></message>`, i, i))
	}
	ann.expect()
	low := w.login("bob@x.net/low")
	low.send(`<presence><priority>-1</priority></presence>`)
	low.expect(`<presence`)
	ann.send(`<message to='bob@x.net' id='3'/>`)
	ann.expect(`service-unavailable`) // it says nothing
	ann.send(`<message to='bob@x.net' id='3'><body>3</body></message>`)
	low.expect()
	low.send(`<presence><priority>1</priority></presence>`)
	low.expect(`<priority>1`,
		`<message to='bob@x.net' from='ann@x.net/a' type='chat' id='0'><body>0</body><delay xmlns='urn:xmpp:delay' from='x.net' stamp='20 … Z'/></message>`,
		`<body>1`, `<body>2`, `<body>3</body><delay`)
	again := w.login("bob@x.net/again")
	again.send(`<presence/>`)
	again.expect(`from='bob@x.net/low'`, `from='bob@x.net/again'`)
	if n := len(w.m.accounts["bob@x.net"].offline); n != 0 {
		t.Errorf("%d messages stay", n)
	}
}

func TestWhatIsNotStored(t *testing.T) {
	w := newKept(t)
	ann := w.login("ann@x.net/a")
	for what, c := range map[string]struct {
		payload string
		stored  bool
	}{
		"a body":                  {`<body>x</body>`, true},
		"a chat state":            {`<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>`, false},
		"a receipt":               {`<received xmlns='urn:xmpp:receipts' id='1'/>`, true},
		"a hint against it":       {`<body>x</body><no-store xmlns='urn:xmpp:hints'/>`, false},
		"another hint against it": {`<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>`, false},
		"a hint for it":           {`<composing xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>`, true},
	} {
		t.Run(what, func(t *testing.T) {
			w.m.accounts["bob@x.net"].offline = nil
			ann.send(`<message to='bob@x.net' type='chat'>` + c.payload + `</message>`)
			back := ann.take()
			if stored := len(w.m.accounts["bob@x.net"].offline) == 1; stored != c.stored || (len(back) == 0) != c.stored {
				t.Errorf("stored: %v; answered %q", stored, back)
			}
		})
	}
}

func TestOfflineMessagesAreBounded(t *testing.T) {
	w := newKept(t)
	w.h.limits.Offline, w.h.limits.OfflineBytes = 3, 10_000
	ann := w.login("ann@x.net/a")
	for range 5 {
		ann.send(`<message to='bob@x.net' type='chat'><body>x</body></message>`)
	}
	ann.expect(`service-unavailable`, `service-unavailable`)
	for range 3 {
		ann.send(`<message to='eve@x.net' type='chat'><body>` + strings.Repeat("x", 4000) + `</body></message>`)
	}
	ann.expect(`service-unavailable`)
}

// Nothing is acknowledged before it is committed, and what cannot be stored comes back.
func TestOfflineMessagesAreHeldUntilTheyAreStored(t *testing.T) {
	w := newKept(t)
	ann := w.login("ann@x.net/a")
	w.m.slow = make(chan struct{})
	ann.send(`<message to='bob@x.net' type='chat'><body>x</body></message>`)
	if ann.held.Load() != 1 {
		t.Error("it is acknowledged before it is stored")
	}
	close(w.m.slow)
	ann.expect()
	if len(w.m.accounts["bob@x.net"].offline) != 1 {
		t.Error("it is not stored")
	}
	w.m.down = true
	ann.send(`<message to='bob@x.net' type='chat' id='2'><body>x</body></message>`)
	ann.expect(`id='2' type='error' … type='wait'><internal-server-error`)
}

// What a session has not received when it ends waits for the next one (RFC 6121 §8.5.2).
func TestWhatASessionDidNotReceiveIsKept(t *testing.T) {
	w := newKept(t)
	ann := w.login("ann@x.net/a")
	tail := func(raw string) wire.Stanza { return parse(t, raw).Stanza("ann@x.net/a") }
	w.r.Bounce(nil, "bob@x.net/gone", tail(`<message id='1'><body>hi</body></message>`))
	ann.expect()
	w.r.Bounce(nil, "bob@x.net/gone", tail(`<message id='2' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>`))
	ann.expect(`id='2' type='error' … recipient-unavailable`)
	bob := w.login("bob@x.net/b")
	bob.send(`<presence/>`)
	bob.expect(`<presence`, `<message to='bob@x.net' from='ann@x.net/a' id='1'><body>hi</body><delay`)
}

// A message that is sent while older ones are being read from the store does not pass them.
func TestOfflineMessagesComeFirst(t *testing.T) {
	w := newKept(t)
	ann := w.login("ann@x.net/a")
	ann.send(`<message to='bob@x.net' type='chat'><body>old</body></message>`)
	ann.expect()
	bob := w.login("bob@x.net/b")
	w.m.slow = make(chan struct{})
	bob.send(`<presence/>`)
	for i := range 20 {
		ann.send(fmt.Sprintf(`<message to='bob@x.net' type='chat'><body>new %d</body></message>`, i))
	}
	close(w.m.slow)
	got := bob.take()
	if len(got) != 22 || !strings.Contains(got[1], "old") {
		t.Fatalf("got %q", got)
	}
	for i, raw := range got[2:] {
		if !strings.Contains(raw, fmt.Sprintf("<body>new %d<", i)) {
			t.Errorf("message %d is %s", i, raw)
		}
	}
}

// HM: an account whose store hangs holds up to so much, then says so.
func TestAHangingStoreIsNoReasonToPileUp(t *testing.T) {
	w := newKept(t)
	ann := w.login("ann@x.net/a")
	w.m.slow = make(chan struct{})
	for range 2*maxWaiting + 10 {
		ann.send(`<message to='bob@x.net' type='chat'><body>x</body></message>`)
	}
	ann.mu.Lock()
	refused := len(ann.got)
	ann.mu.Unlock()
	if refused < 5 {
		t.Errorf("%d were refused", refused)
	}
	close(w.m.slow)
	ann.take()
	if ann.held.Load() != 0 {
		t.Error("some are never acknowledged")
	}
}

// Many senders, one receiver that comes and goes: each sender's messages arrive in order, and none twice or never.
func TestMessagesKeepTheirOrder(t *testing.T) {
	w := newKept(t)
	w.h.limits.Offline, w.h.limits.OfflineBytes = 100_000, 100_000_000
	const senders, each = 4, 200
	var group sync.WaitGroup
	for i := range senders {
		c := w.login(wire.Addr(fmt.Sprintf("ann@x.net/%d", i)))
		group.Go(func() {
			for n := range each {
				c.send(fmt.Sprintf(`<message to='bob@x.net' type='chat' id='%d-%d'><body>x</body></message>`, i, n))
			}
		})
	}
	var got []string
	for range 50 {
		bob := w.login("bob@x.net/b")
		bob.send(`<presence/>`)
		bob.send(`<presence type='unavailable'/>`)
		got = append(got, bob.end()...)
	}
	group.Wait()
	bob := w.login("bob@x.net/b")
	bob.send(`<presence/>`)
	got = append(got, bob.take()...)
	next := make([]int, senders)
	for _, raw := range got {
		if !strings.HasPrefix(raw, "<message") {
			continue
		}
		_, id, _ := strings.Cut(raw, "id='")
		var i, n int
		fmt.Sscanf(id, "%d-%d", &i, &n)
		if next[i] != n {
			t.Fatalf("message %d of sender %d comes when %d is due", n, i, next[i])
		}
		next[i]++
	}
	for i, n := range next {
		if n != each {
			t.Errorf("%d of %d messages of sender %d came", n, each, i)
		}
	}
}

// Nor is a message overtaken that is not stored yet when its receiver comes.
func TestMessagesThatAreNotStoredYetComeFirst(t *testing.T) {
	w := newKept(t)
	ann, bob := w.online("ann@x.net/a"), w.login("bob@x.net/b")
	ready := make(chan struct{})
	w.h.Do("bob@x.net", func(*wire.Batch) { <-ready })
	say := func(body string) {
		ann.send(`<message to='bob@x.net' type='chat'><body>` + body + `</body></message>`)
	}
	say("1")
	w.h.Do("bob@x.net", func(*wire.Batch) { bob.send(`<presence/>`) })
	say("2")
	close(ready)
	bob.expect(`<body>1`, `<body>2`, `<presence`)
	ann.expect()
}

// However busy either account is, nothing passes what the same sender sent before.
func TestNothingOvertakes(t *testing.T) {
	w := newKept(t)
	ann, bob := w.online("ann@x.net/a"), w.online("bob@x.net/b")
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for _, a := range []wire.Addr{"ann@x.net", "bob@x.net"} {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					w.h.Do(a, func(*wire.Batch) {})
				}
			}
		})
	}
	const count = 3000
	for i := range count {
		switch i % 3 {
		case 0:
			ann.send(fmt.Sprintf(`<message to='bob@x.net' type='chat' id='n%d'/>`, i))
		case 1:
			ann.send(fmt.Sprintf(`<iq to='bob@x.net/b' type='get' id='n%d'><q xmlns='u'/></iq>`, i))
		case 2:
			ann.send(fmt.Sprintf(`<presence to='bob@x.net/b' id='n%d'/>`, i))
		}
	}
	close(stop)
	busy.Wait()
	got, next := bob.take(), 0
	for _, raw := range got {
		_, id, _ := strings.Cut(raw, "id='n")
		var n int
		fmt.Sscanf(id, "%d", &n)
		if n < next {
			t.Fatalf("%d comes behind %d", n, next-1)
		}
		next = n + 1
	}
	refused := len(ann.take())
	if len(got)+refused != count {
		t.Errorf("%d came and %d were refused", len(got), refused)
	}
}

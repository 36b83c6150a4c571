package federation

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/way"
)

// flow is how many messages go each way while the connections are cut, and how often they are.
const (
	flow = 400
	cuts = 4
)

// resumed is what our servers log of a stream that is resumed.
const resumed = "stream to a server resumed"

// journey is what became of the messages from one person to another.
type journey struct {
	came  []int // the numbers that arrived, in the order in which they did
	ended int   // how many came back as errors
}

// converse has two people say much to each other while the ways are cut, and returns what became of it: first what the second person
// heard of the first one. Of what was said in the first sure directions everything arrives or comes back. Between two cuts
// the servers have found each other again: mended says so, of so many cuts.
func converse(t *testing.T, sure int, mended func(cuts int) bool, one, other *peertest.Client, ways ...*way.Way) (list [2]journey) {
	t.Helper()
	people := [2]*peertest.Client{one, other}
	for i, c := range people { // both ways are open
		c.Send("<message to='" + people[1-i].JID + "' type='chat' id='hi'><body>hi</body></message>")
		within(t, people[1-i], patience, "<message", "id='hi'", "from='"+c.JID+"'")
	}
	var group sync.WaitGroup
	for i, c := range people {
		to := people[1-i].JID
		group.Go(func() {
			for n := range flow {
				c.Raw(fmt.Sprintf("<message to='%s' type='chat' id='m%d'><body>number %d</body></message>", to, n, n))
				if i == 0 && n%(flow/cuts) == flow/cuts/2 {
					for end := time.Now().Add(patience); !mended(n / (flow / cuts)); time.Sleep(10 * time.Millisecond) {
						if time.Now().After(end) {
							t.Errorf("after %d cuts the servers do not find each other", n/(flow/cuts))
							return
						}
					}
					for _, w := range ways {
						w.Cut()
					}
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	group.Wait()
	known := [2]map[int]bool{{}, {}} // whose end is known
	complete := func() bool { return len(known[0]) == flow && (sure == 1 || len(known[1]) == flow) }
	for end := time.Now().Add(2 * time.Minute); !complete(); {
		if time.Now().After(end) {
			t.Fatalf("of %d, %d and %d have come or come back", flow, len(known[0]), len(known[1]))
		}
		for i, c := range people {
			if complete() {
				break
			}
			from := 1 - i
			got := read(t, c)
			if !strings.HasPrefix(got, "<message") {
				continue
			}
			var n int
			if _, err := fmt.Sscanf(peertest.Attr(got, "id"), "m%d", &n); err != nil {
				continue
			}
			if strings.Contains(strings.ReplaceAll(got, `"`, "'"), "type='error'") {
				from = i
				list[from].ended++
			} else {
				list[from].came = append(list[from].came, n)
			}
			known[from][n] = true
		}
	}
	// What would come twice has come before this.
	for i, c := range people {
		c.Send("<message to='" + people[1-i].JID + "' type='chat' id='last'><body>bye</body></message>")
	}
	for i, c := range people {
		for {
			got := within(t, c, patience, "<message")
			var n int
			if peertest.Attr(got, "id") == "last" {
				break
			}
			if _, err := fmt.Sscanf(peertest.Attr(got, "id"), "m%d", &n); err == nil && !strings.Contains(strings.ReplaceAll(got, `"`, "'"), "type='error'") {
				list[1-i].came = append(list[1-i].came, n)
			}
		}
	}
	return list
}

// read returns the next element. There is one: the answer to what it asks, if nothing else.
func read(t testing.TB, c *peertest.Client) string {
	t.Helper()
	c.Send("<iq type='get' id='tick' to='" + c.Host + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	return c.ReadWithin(patience)
}

// TestCutBetweenOurs: two of our servers lose the connections between them in the middle of a conversation. The streams are resumed
// (XEP-0198 §5): all arrives, once, in order.
func TestCutBetweenOurs(t *testing.T) {
	makeAuthority(t)
	clear(at)
	place(t, open)
	place(t, strict)
	toOpen, toStrict := way.To(t, at[open]), way.To(t, at[strict])
	where := func(domain string, address string) {
		at[domain], at["muc."+domain], at["call."+domain] = address, address, address
	}
	listens := at[strict]
	where(strict, toStrict.Addr())
	first := ours(t, open, `certificates = "valid"`, true)
	where(strict, listens)
	where(open, toOpen.Addr())
	second := ours(t, strict, `certificates = "valid"`, true)
	mended := func(cuts int) bool {
		return strings.Count(first.Log(), resumed) >= cuts && strings.Count(second.Log(), resumed) >= cuts
	}
	list := converse(t, 2, mended, login(t, first.XMPP, open, "ann"), login(t, second.XMPP, strict, "bob"), toOpen, toStrict)
	for i, j := range list {
		if j.ended > 0 || len(j.came) != flow {
			t.Errorf("way %d: %d came back, %d of %d arrived", i, j.ended, len(j.came), flow)
		}
		for n := range j.came {
			if j.came[n] != n {
				t.Fatalf("way %d: %d where %d was due", i, j.came[n], n)
			}
		}
	}
	if n := strings.Count(first.Log(), resumed) + strings.Count(second.Log(), resumed); n < 2*cuts {
		t.Errorf("resumed %d times", n)
	}
}

// TestCutProsody is the same with Prosody, which counts but does not resume. Nothing of ours is lost without a word. What it had not
// acknowledged when the stream was cut is sent again by us, since it may not have come, and may come twice; on a busy machine
// some of it comes back. On the streams that Prosody 0.12 opens itself it asks for acknowledgements only when what had waited for
// the stream is written: of that, what was on the way when the stream was cut is gone.
func TestCutProsody(t *testing.T) {
	makeAuthority(t)
	clear(at)
	place(t, open)
	p := newProsody(t)
	listens, good := at[open], p.domain("good")
	toOpen := way.To(t, listens)
	at[open] = toOpen.Addr()
	p.writeProsody()
	p.start()
	toPeer := way.To(t, at[good])
	at[good], at[open] = toPeer.Addr(), listens
	server := ours(t, open, "", true)
	mended := func(cuts int) bool {
		log := server.Log()
		return strings.Count(log, "stream to a server ended") >= cuts && strings.Count(log, "connected to a server") > cuts
	}
	list := converse(t, 1, mended, login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo"), toOpen, toPeer)
	for i, j := range list {
		seen, twice, last := make(map[int]bool), 0, -1
		for _, n := range j.came {
			if seen[n] {
				twice++
				continue
			}
			seen[n] = true
			if i == 0 && n < last { // Prosody's own come over two streams after a cut, as it pleases
				t.Errorf("%d behind %d", n, last)
			}
			last = n
		}
		t.Logf("way %d: %d arrived, %d of them twice, %d came back", i, len(seen), twice, j.ended)
	}
}

// TestHF10Suspended: our server stands still for longer than it waits for answers. It takes nobody for gone: who was in a room is
// there still, and what was said meanwhile arrives.
func TestHF10Suspended(t *testing.T) {
	makeAuthority(t)
	clear(at)
	place(t, open)
	p := newProsody(t)
	p.writeProsody()
	p.start()
	server := ours(t, open, "attend_interval = \"1s\"\nanswer_timeout = \"2s\"", true)
	ann, romeo := login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo")
	room := "suspended@muc." + open
	create(t, ann, room, "ann")
	enter(t, romeo, room, "romeo")
	within(t, ann, patience, "<presence", "from='"+room+"/romeo'")
	server.Signal(syscall.SIGSTOP)
	for i := range 20 {
		romeo.Send(fmt.Sprintf("<message to='%s' type='chat' id='s%d'><body>%d</body></message>", ann.JID, i, i))
	}
	time.Sleep(6 * time.Second)
	server.Signal(syscall.SIGCONT)
	for i := range 20 {
		within(t, ann, patience, "<message", fmt.Sprintf("id='s%d'", i), fmt.Sprintf("<body>%d</body>", i))
	}
	time.Sleep(6 * time.Second) // as long as it takes to notice that somebody is gone
	romeo.Send("<message to='" + room + "' type='groupchat' id='still'><body>still here</body></message>")
	for {
		got := strings.ReplaceAll(ann.ReadWithin(patience), `"`, "'")
		if strings.Contains(got, "type='unavailable'") || got == "" {
			t.Fatalf("gone: %s", got)
		}
		if strings.Contains(got, "still here") {
			break
		}
	}
}

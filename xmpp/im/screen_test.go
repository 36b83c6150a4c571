package im

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/xmpp/wire"
)

// room has the rooms' service write a stanza to a session.
func (w *keptWorld) room(to wire.Addr, raw string) {
	w.t.Helper()
	kind, tail, _ := strings.Cut(strings.TrimPrefix(raw, "<"), " ")
	kinds := map[string]wire.Kind{"message": wire.Message, "presence": wire.Presence, "iq": wire.IQ}
	var b wire.Batch
	w.r.Deliver(&b, to, wire.Stanza{Kind: kinds[kind], Tail: []byte(" " + tail)})
	b.Flush()
}

// TestBlockingInRooms: what rooms write passes the block list of who it is for, also while nobody else is blocked here.
func TestBlockingInRooms(t *testing.T) {
	w := newKept(t)
	ann := w.online("ann@x.net/a")
	words := []string{
		`<presence from='r@muc.x.net/romeo'><x/></presence>`,
		`<message from='r@muc.x.net/romeo' type='groupchat'><body>1</body></message>`,
		`<message from='r@muc.x.net/romeo' type='chat' id='c'><body>2</body></message>`,
		`<message from='r@muc.x.net/romeo' type='error'><body>3</body></message>`,
		`<iq from='r@muc.x.net/romeo' type='get' id='q'><q xmlns='u'/></iq>`,
		`<iq from='r@muc.x.net/romeo' type='result' id='a'/>`,
		`<message from='r@muc.x.net/juliet' type='groupchat'><body>4</body></message>`,
	}
	all := func() {
		for _, word := range words {
			w.room("ann@x.net/a", word)
		}
	}
	all()
	ann.expect(`<x/>`, `1`, `2`, `3`, `id='q'`, `id='a'`, `4`)
	ann.send(`<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='r@muc.x.net/romeo'/></block></iq>`)
	ann.expect(`id='b' type='result'`)
	w.h.settle()
	w.world.m.got = nil
	all()
	ann.expect(`id='a'`, `<body>4`) // what it asked for, and the others
	if got := strings.Join(w.world.m.got, "; "); got != "ann@x.net/a > r@muc.x.net/romeo error; ann@x.net/a > r@muc.x.net/romeo error" {
		t.Errorf("the room was told %s", got)
	}
	for _, block := range []string{"r@muc.x.net", "muc.x.net", "muc.x.net/juliet"} {
		ann.send(`<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='` + block + `'/></block></iq>`)
		ann.expect(`id='b' type='result'`)
		w.room("ann@x.net/a", words[6])
		ann.expect()
		ann.send(`<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'><item jid='` + block + `'/></unblock></iq>`)
		ann.expect(`id='u' type='result'`)
	}
	ann.send(`<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>`)
	ann.expect(`id='u' type='result'`)
	all()
	ann.expect(`<x/>`, `1`, `2`, `3`, `id='q'`, `id='a'`, `4`)
}

// TestBlockListIsWaitedFor: a client that enters a room first of all is not told what its account blocks, and everything else
// at once: what a room has said is in the session's queue, and in the journal with it.
func TestBlockListIsWaitedFor(t *testing.T) {
	w := newKept(t)
	w.m.accounts["ann@x.net"].blocked["r@muc.x.net/romeo"] = true
	w.m.slow = make(chan struct{})
	bound := make(chan *client)
	go func() { bound <- w.login("ann@x.net/a") }()
	select {
	case <-bound:
		t.Fatal("bound before the store has answered")
	case <-time.After(50 * time.Millisecond):
	}
	close(w.m.slow)
	ann := <-bound
	for i, nick := range []string{"juliet", "romeo", "juliet"} {
		w.room("ann@x.net/a", `<message from='r@muc.x.net/`+nick+`' type='groupchat'><body>`+fmt.Sprint(i)+`</body></message>`)
	}
	ann.expect(`0`, `2`)
}

// TestNoBlockList: a store that fails keeps nobody out of a room, and is not asked for what is said there.
func TestNoBlockList(t *testing.T) {
	w := newKept(t)
	w.m.down, w.m.slow = true, make(chan struct{}, 1)
	w.m.slow <- struct{}{} // one question is answered, by an error
	bob := w.login("bob@x.net/b")
	const words = `<message from='r@muc.x.net/juliet' type='groupchat'><body>x</body></message>`
	w.room("bob@x.net/b", words)
	w.room("bob@x.net/b", words)
	bob.expect(`x`, `x`)
}

// TestBlockListOfAChangeThatFailed: until it is known whether a change was stored, the list from before it holds.
func TestBlockListOfAChangeThatFailed(t *testing.T) {
	w := newKept(t)
	w.m.accounts["ann@x.net"].blocked["r@muc.x.net/romeo"] = true
	ann := w.online("ann@x.net/a")
	w.m.down = true
	ann.send(`<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='x@y.net'/></block></iq>`)
	w.h.settle()
	ann.expect(`type='error'`)
	for i, nick := range []string{"juliet", "romeo", "juliet"} {
		w.room("ann@x.net/a", `<message from='r@muc.x.net/`+nick+`' type='groupchat'><body>`+fmt.Sprint(i)+`</body></message>`)
	}
	ann.expect(`0`, `2`)
}

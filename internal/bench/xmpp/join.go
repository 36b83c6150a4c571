package xmpp

import (
	"bytes"
	"fmt"
	"sync/atomic"
)

// Many people are logged in and join a room at the same moment; one of them has made it. It is over when each who came
// has seen each; what is measured is the server's time per join and how long that took.

// crowd knows whom one of them has seen.
type crowd struct {
	b     *bout
	c     *client
	seen  []uint64
	fewer *atomic.Int64 // how many times somebody has not seen somebody
}

func (p *crowd) element(el *element) {
	if !el.is("presence") {
		return
	}
	if !bytes.Contains(el.attr("from"), []byte("/")) {
		return // the room tells of itself: ejabberd
	}
	i := occupant(el)
	if el.attr("type") != nil || i < 0 || i/64 >= len(p.seen) {
		p.b.fail(wrong(p.c, el))
		return
	}
	if bit := uint64(1) << (i % 64); p.seen[i/64]&bit == 0 {
		p.seen[i/64] |= bit
		p.fewer.Add(-1)
	}
}

func (b *bout) joins() error {
	n := b.o.Joiners
	room := "hall@" + b.srv.MUC
	clients, err := b.sessions(n, plain)
	if err != nil {
		return err
	}
	if err := enter(clients[0], room, 0); err != nil {
		return err
	}
	b.attend(clients[0], quiet)
	var fewer atomic.Int64
	fewer.Store(int64(n-1) * int64(n))
	for _, c := range clients[1:] {
		p := &crowd{b: b, c: c, seen: make([]uint64, n/64+1), fewer: &fewer}
		b.attend(c, &handler{element: p.element})
	}
	if err := b.sleep(b.o.Warm / 2); err != nil { // the logins' last work
		return err
	}
	var unseen int64
	s, err := b.spend(func() (err error) {
		for i, c := range clients[1:] {
			c.write(presence(room, i+1, 0, true))
		}
		unseen, err = b.settled(fewer.Load)
		return err
	})
	if err != nil {
		return err
	}
	s.work = int64(n - 1)
	b.perUnit(fmt.Sprintf("%d join one room: CPU per join", n), s, unseen)
	if unseen > 0 {
		return nil
	}
	b.value(fmt.Sprintf("%d join one room: all see all", n), "s", s.wall.Seconds())
	return nil
}

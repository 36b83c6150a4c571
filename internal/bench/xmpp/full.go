package xmpp

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// One more person comes into a room full of people and goes again, time after time. What is measured is how long it takes until who
// comes has seen everybody and the subject, behind which there is nothing more (XEP-0045 §7.1), and the server's time for coming
// and going, which all the others are told of.

const visits = 20

func (b *bout) fullRoom() error {
	n := b.o.Joiners
	room := "hall@" + b.srv.MUC
	clients, err := b.sessions(n, plain)
	if err != nil {
		return err
	}
	guest := n - 1
	var fewer atomic.Int64
	fewer.Store(2 * visits * int64(n-1))
	for i, c := range clients[:guest] {
		if err := enter(c, room, i); err != nil {
			return err
		}
		b.attend(c, &handler{element: func(el *element) {
			if el.is("presence") && occupant(el) == guest {
				fewer.Add(-1)
			}
		}})
	}
	c := clients[guest]
	if err := b.sleep(b.o.Warm); err != nil {
		return err
	}
	var took []time.Duration
	var unseen int64
	s, err := b.spend(func() (err error) {
		for range visits {
			d, err := visit(c, room, guest)
			if err != nil {
				return err
			}
			took = append(took, d)
		}
		unseen, err = b.settled(fewer.Load)
		return err
	})
	if err != nil {
		return err
	}
	s.work = visits
	b.perUnit(fmt.Sprintf("1 joins %d in a room and leaves: CPU", guest), s, unseen)
	slices.Sort(took)
	b.value(fmt.Sprintf("1 joins %d in a room: sees all and the subject", guest), "ms", milliseconds(took[len(took)/2]))
	return nil
}

// visit enters and leaves; it returns how long it took to see all.
func visit(c *client, room string, guest int) (took time.Duration, err error) {
	seen := 0
	begin := time.Now()
	c.write(presence(room, guest, 0, true))
	err = c.await(func(el *element) (bool, error) {
		switch {
		case el.is("presence") && string(el.attr("type")) == "error":
			return false, fmt.Errorf("joining %s: %q", room, el.raw)
		case el.is("presence") && occupant(el) >= 0:
			seen++
		case el.is("message") && el.has("<subject"):
			if seen != guest+1 {
				return false, fmt.Errorf("%s saw %d of %d before the subject", c.jid, seen, guest+1)
			}
			return true, nil
		}
		return false, nil
	})
	took = time.Since(begin)
	if err != nil {
		return 0, err
	}
	c.write([]byte("<presence type='unavailable' to='" + room + "/" + nick(guest) + "'/>"))
	return took, c.await(func(el *element) (bool, error) {
		return el.is("presence") && string(el.attr("type")) == "unavailable" && occupant(el) == guest, nil
	})
}

package xmpp

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/bench"
)

// present does what a client does after it has logged in: it fetches the roster and sends its presence. Then it is idle.
func present(c *client) error {
	if err := c.iq("", "get", "<query xmlns='jabber:iq:roster'/>"); err != nil {
		return err
	}
	c.send("<presence/>")
	return c.alive()
}

// alive asks the server for a sign (XEP-0199), which also says that it is through with what was sent before.
func (c *client) alive() error {
	return c.iq(c.domain, "get", "<ping xmlns='urn:xmpp:ping'/>")
}

// crew makes n sessions that are present and do not listen: what comes for them stays in their sockets.
func (b *bout) crew(n int, as manner) ([]*client, error) {
	var all []*client
	for len(all) < n {
		more, err := b.sessions(min(1000, n-len(all)), as)
		if err != nil {
			return nil, err
		}
		if err := each(more, present); err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// each does the same with all clients, a few at a time.
func each(clients []*client, f func(c *client) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	var mu sync.Mutex
	var first error
	for range 16 {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(clients) {
					return
				}
				if err := f(clients[i]); err != nil {
					mu.Lock()
					if first == nil {
						first = fmt.Errorf("%s: %w", clients[i].jid, err)
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	group.Wait()
	return first
}

// idle measures what the server holds per session. A few sessions that come and go before make it load what it loads
// once. All are asked at the end whether they live, and the server must hold a descriptor for each.
func (b *bout) idle(row string, as manner) error {
	start, err := bench.ReadMemory(b.srv.PID)
	if err != nil {
		return err
	}
	few, err := b.crew(50, as)
	if err != nil {
		return err
	}
	b.drop(few)
	b.clients = nil
	if err := b.sleep(b.o.Settle); err != nil {
		return err
	}
	var before bench.Memory
	gone, err := b.until(b.o.Patience, func() bool { // until the server has noticed that they are gone
		before, err = bench.ReadMemory(b.srv.PID)
		return err != nil || before.FDs < start.FDs+len(few)/5
	})
	if err != nil {
		return err
	}
	if !gone {
		return fmt.Errorf("%d sessions are closed and the server still has %d more descriptors", len(few), before.FDs-start.FDs)
	}
	all, err := b.crew(b.o.Idle, as)
	if err != nil {
		return err
	}
	if err := b.sleep(b.o.Settle); err != nil {
		return err
	}
	after, err := bench.ReadMemory(b.srv.PID)
	if err != nil {
		return err
	}
	if err := each(all, (*client).alive); err != nil {
		return fmt.Errorf("after %s of silence: %w", b.o.Settle, err)
	}
	if got := after.FDs - before.FDs; got < len(all) {
		return fmt.Errorf("%d sessions are open and the server has %d more descriptors", len(all), got)
	}
	b.value(row, "kB RSS", float64(after.RSS-before.RSS)/1024/float64(len(all)))
	return nil
}

// age measures messages on the fresh server, then lets sessions and rooms come and go and ten thousand sessions stay,
// and measures again with them.
func (b *bout) age() error {
	clients, err := b.sessions(2*b.o.Pairs, plain)
	if err != nil {
		return err
	}
	// A large heap is collected seldom and then for long: the measurement has to be longer than that.
	longer := *b.o
	longer.Duration *= 4
	b.o = &longer
	var rate [2]float64
	measure := func(i int, row string) error {
		var s span
		lost, err := b.converse(clients, func(count func() int64) (err error) {
			s, err = b.steady(count)
			return err
		})
		if err != nil {
			return err
		}
		b.perSecond(row, "stanzas", s, lost)
		rate[i] = b.figures[len(b.figures)-1].Value
		return nil
	}
	if err := measure(0, "1:1 before, fresh heap"); err != nil {
		return err
	}
	if err := b.churn(); err != nil {
		return fmt.Errorf("churn: %w", err)
	}
	crowd, err := b.crew(b.o.Crowd, plain)
	if err != nil {
		return fmt.Errorf("idle sessions: %w", err)
	}
	b.heap = "aged"
	if err := measure(1, fmt.Sprintf("1:1 with %d idle, aged heap", b.o.Crowd)); err != nil {
		return err
	}
	if err := each(crowd, (*client).alive); err != nil {
		return fmt.Errorf("idle sessions: %w", err)
	}
	b.value("loss by idle sessions and age", "%", 100*(1-rate[1]/rate[0]))
	return nil
}

// churn lets sessions come, meet in rooms, talk and go, so that the server's heap has holes.
func (b *bout) churn() error {
	const party = 20
	keep := b.clients
	defer func() { b.clients = keep }()
	body := strings.Repeat("what was said ", 20)
	for i := 0; i < b.o.Churn; i += party {
		b.clients = b.clients[:len(keep):len(keep)]
		some, err := b.sessions(party, plain)
		guests := b.clients[len(keep):]
		if err == nil {
			room := "churn" + strconv.Itoa(i) + "@" + b.srv.MUC
			for j, c := range some {
				if err = enter(c, room, j); err != nil {
					break
				}
				c.send("<message to='" + room + "' type='groupchat' id='x'><body>" + body + "</body></message>")
			}
			if err == nil {
				err = each(some, (*client).alive)
			}
		}
		b.drop(guests)
		if err != nil {
			return err
		}
	}
	return b.sleep(min(b.o.Settle, 2*time.Second))
}

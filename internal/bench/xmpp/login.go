package xmpp

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Sessions over TLS are made and ended as fast as the server lets eight clients at a time.
func (b *bout) logins(mech string) error {
	c, err := login(b.ctx, b.srv, 0, true, mech)
	if errors.Is(err, errNotOffered) {
		return nil // the table shows a gap
	}
	if err != nil {
		return err
	}
	c.close()
	const atOnce = 8
	var done, number atomic.Int64
	var stop atomic.Bool
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for !stop.Load() {
				c, err := login(b.ctx, b.srv, int(number.Add(1)), true, mech)
				if err != nil {
					b.fail(err)
					return
				}
				c.close()
				done.Add(1)
			}
		})
	}
	s, err := b.steady(done.Load)
	stop.Store(true)
	group.Wait()
	if err != nil {
		return err
	}
	b.perUnit(fmt.Sprintf("login, TLS 1.3 and %s", mech), s, 0)
	return nil
}

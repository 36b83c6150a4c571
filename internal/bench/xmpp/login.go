package xmpp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"parley/internal/bench"
)

// Sessions over TLS are made and ended as fast as the server lets eight clients at a time.
func (b *bout) logins(mech string) error {
	return b.loginsBy(fmt.Sprintf("login, TLS 1.3 and %s", mech), func(ctx context.Context, srv *bench.Server, i int) (*client, error) {
		return login(ctx, srv, i, true, mech)
	})
}

// fastLogins is the same with XEP-0388, XEP-0386 and XEP-0484: each account has a token from before.
func (b *bout) fastLogins() error {
	var t tokens
	for i := range b.srv.Users.Count {
		if err := t.fetch(b.ctx, b.srv, i); errors.Is(err, errNotOffered) {
			return nil // the table shows a gap
		} else if err != nil {
			return err
		}
	}
	return b.loginsBy("login, TLS 1.3, SASL2, Bind 2 and FAST", t.login)
}

func (b *bout) loginsBy(row string, login func(context.Context, *bench.Server, int) (*client, error)) error {
	c, err := login(b.ctx, b.srv, 0)
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
				c, err := login(b.ctx, b.srv, int(number.Add(1)))
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
	b.perUnit(row, s, 0)
	return nil
}

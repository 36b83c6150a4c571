package network

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"parley/internal/netem"
)

// Short TCP connections send between 100 and 1,000 kB and pause for ten seconds on average (RFC 8867 §5.7).
const (
	shortLeast = 100 << 10
	shortMost  = 1000 << 10
	shortPause = 10 * time.Second
)

// loads are the TCP connections of a case: their data come from the server's host, each download on a connection of its own.
type loads struct {
	source net.Listener
	sink   *netem.Host
	done   sync.WaitGroup
}

// startLoads listens on the server's host for what is asked for, until the context ends.
func startLoads(ctx context.Context, home, sink *netem.Host) (*loads, error) {
	l, err := home.Listen(netip.AddrPortFrom(home.Addr, 0).String())
	if err != nil {
		return nil, err
	}
	t := &loads{source: l, sink: sink}
	t.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.done.Go(func() { serveLoad(ctx, c) })
		}
	})
	return t, nil
}

// serveLoad reads how many bytes are wanted, as a number of 64 bits, and sends as many.
func serveLoad(ctx context.Context, c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	var n uint64
	if binary.Read(c, binary.BigEndian, &n) == nil {
		io.Copy(c, io.LimitReader(zeros{}, int64(n)))
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// download takes so many bytes, or as many as come until the context ends.
func (t *loads) download(ctx context.Context, n int64) error {
	c, err := t.sink.Dial(ctx, t.source.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if err := binary.Write(c, binary.BigEndian, uint64(n)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, c)
	return err
}

// run keeps the connections of a case going until the context ends.
func (t *loads) run(ctx context.Context, c Case, seed uint64) {
	for range c.Long {
		t.done.Go(func() {
			for ctx.Err() == nil {
				t.download(ctx, 1<<40)
				sleep(ctx, 100*milli) // after a failure
			}
		})
	}
	for i := range c.Short {
		t.done.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for ctx.Err() == nil {
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(random.ExpFloat64() * float64(shortPause))):
					t.download(ctx, shortLeast+random.Int64N(shortMost-shortLeast))
				}
			}
		})
	}
}

// close waits until all connections have ended; the contexts have ended before.
func (t *loads) close() {
	t.source.Close()
	t.done.Wait()
}

// push sends packets into a path as fast as a rate says until the context ends; nobody gets them.
func push(ctx context.Context, d *netem.Driver, p *netem.Path, rate netem.Bitrate) {
	const size = 1200
	packet := make([]byte, size)
	every := time.Duration(float64(size*8) / float64(rate) * float64(time.Second))
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.Send(p, packet, 0, classOther, nil)
		}
	}
}

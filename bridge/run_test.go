package bridge

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/transport"
	"parley/bridge/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The seams to the packages beside.
var (
	_ channel.Endpoint   = (*Endpoint)(nil)
	_ transport.Receiver = (*Endpoint)(nil)
	_ Leg                = (*transport.Endpoint)(nil)
)

func TestRunLetsTimePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{})
		b.Apply(api.Conference{ID: "c", Version: 1, Endpoints: []api.Endpoint{{ID: "a", Receive: api.Receive{Payloads: payloads, Extensions: extensions},
			Sources: []api.Source{videoSource("a-v0", 2000, 1)}}}})
		l := &leg{t: t}
		e := b.Endpoint("c", "a")
		e.Attach(l)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		var pool udp.Pool
		buffer := pool.Copy(in{ssrc: 2000, payload: 100, transport: 1, body: []byte{0x10, 0}}.bytes())
		e.RTP(udp.NewBatch(time.Now()), buffer, time.Now())
		buffer.Release()
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(l.control) == 0 {
			t.Error("no feedback after 200 ms")
		}
	})
}

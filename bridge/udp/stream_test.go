package udp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// pair returns the two ends of a TCP connection over loopback.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestStreamCarriesDatagrams(t *testing.T) {
	here, there := pair(t)
	a, b := NewStream(here), NewStream(there)
	type datagram struct {
		bytes  string
		stream *Stream
	}
	got, done := make(chan datagram, 100), make(chan error, 2)
	go func() {
		done <- b.Run(t.Context(), func(batch *Batch, d *Datagram) {
			if d.From != a.to || d.To != b.to || d.At.IsZero() {
				t.Errorf("from %v to %v at %v", d.From, d.To, d.At)
			}
			got <- datagram{string(d.Bytes), d.Stream}
		})
	}()
	want := []string{"one", string(bytes.Repeat([]byte("two"), 400)), "3", string(make([]byte, frameLargest))}
	w, batch := a.Writer(), NewBatch(time.Now())
	if w.To() != b.to {
		t.Errorf("the writer is to %v, want %v", w.To(), b.to)
	}
	for i, d := range want {
		w.Write(batch, []byte(d), uint32(i), true)
	}
	batch.Done()
	a.Send([]byte("alone"))
	for i, want := range append(want, "alone") {
		if d := <-got; d.bytes != want || d.stream != b {
			t.Errorf("datagram %d is %d bytes, want %d", i, len(d.bytes), len(want))
		}
	}
	a.Close()
	if err := <-done; err != io.EOF {
		t.Errorf("the peer closed: %v", err)
	}
	if s := a.Stats(); s.Packets != 5 || s.Sends == 0 || s.Sends > 5 || s.Dropped+s.Failed != 0 {
		t.Errorf("%+v", s)
	}
	if s := b.Stats(); s.Received != 5 || s.ReceivedBytes != a.Stats().Bytes {
		t.Errorf("%+v", s)
	}
	b.Send([]byte("late"))
	if s := b.Stats(); s.Failed != 1 {
		t.Errorf("sent on a closed stream: %+v", s)
	}
}

func TestStreamInPieces(t *testing.T) {
	for _, c := range []struct {
		name string
		wire []byte
		want []string
		err  error
	}{
		{"frames", []byte("\x00\x03one\x00\x03two"), []string{"one", "two"}, io.EOF},
		{"empty frames", []byte("\x00\x00\x00\x00\x00\x01x\x00\x00"), []string{"x"}, io.EOF},
		{"half a length", []byte("\x00\x01x\x00"), []string{"x"}, io.ErrUnexpectedEOF},
		{"half a datagram", []byte("\x00\x05abc"), nil, io.ErrUnexpectedEOF},
		{"too large", append([]byte("\x00\x01x\x10\x01"), make([]byte, 5000)...), []string{"x"}, ErrFrame},
		{"a TLS hello", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), nil, ErrFrame},
		{"the largest", append([]byte("\x10\x00"), make([]byte, frameLargest)...), []string{string(make([]byte, frameLargest))}, io.EOF},
	} {
		for _, step := range []int{1, 3, len(c.wire)} {
			t.Run(c.name, func(t *testing.T) {
				here, there := net.Pipe()
				go func() {
					for p := c.wire; len(p) > 0; {
						n, err := here.Write(p[:min(step, len(p))])
						if err != nil {
							break
						}
						p = p[n:]
					}
					here.Close()
				}()
				var got []string
				err := NewStream(there).Run(t.Context(), func(_ *Batch, d *Datagram) { got = append(got, string(d.Bytes)) })
				if !errors.Is(err, c.err) {
					t.Errorf("error %v, want %v", err, c.err)
				}
				if len(got) != len(c.want) {
					t.Fatalf("%d datagrams, want %d", len(got), len(c.want))
				}
				for i := range got {
					if got[i] != c.want[i] {
						t.Errorf("datagram %d differs", i)
					}
				}
			})
		}
	}
}

// TestStreamThatTakesNothing: what a peer does not read is bounded, and nobody waits for it.
func TestStreamThatTakesNothing(t *testing.T) {
	here, there := net.Pipe() // has no buffers
	defer there.Close()
	s := NewStream(here)
	w, b := s.Writer(), NewBatch(time.Now())
	packet := make([]byte, 1200)
	for range 1000 {
		w.Write(b, packet, 1, true)
		b.Done()
	}
	got := s.Stats()
	if got.Packets+got.Dropped != 1000 || got.Dropped < 700 || got.Packets < 100 {
		t.Errorf("%+v", got)
	}
	// What the peer reads now are whole frames.
	p := make([]byte, 2+1200)
	for i := range 5 {
		if _, err := io.ReadFull(there, p); err != nil || p[0] != 1200>>8 || p[1] != 1200&0xff {
			t.Fatalf("frame %d: %v, % x", i, err, p[:2])
		}
	}
	s.Close()
}

// TestStreamIsClosedWhenThePeerTakesNothing: not for ever does a connection hold what it holds.
func TestStreamIsClosedWhenThePeerTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		s := NewStream(here)
		began := time.Now()
		s.Send([]byte("x"))
		err := s.Run(t.Context(), func(*Batch, *Datagram) {})
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != patience {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestStreamEndsWithItsContext(t *testing.T) {
	here, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- NewStream(here).Run(ctx, func(*Batch, *Datagram) {}) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestStreamAnswers: what a handler commits leaves after each read.
func TestStreamAnswers(t *testing.T) {
	here, there := pair(t)
	s := NewStream(here)
	w := s.Writer()
	w.SetDelay(time.Millisecond) // a stream's reader does not come back later
	done := make(chan error)
	go func() { done <- s.Run(t.Context(), func(b *Batch, d *Datagram) { w.Write(b, d.Bytes, 1, false) }) }()
	there.Write([]byte("\x00\x02hi"))
	p := make([]byte, 4)
	there.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(there, p); err != nil || string(p) != "\x00\x02hi" {
		t.Errorf("%q, %v", p, err)
	}
	s.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// FuzzFrames hands any bytes to a stream in two pieces. What is handed on is what lies in the frames, wherever they are
// cut, and never more than was there.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x03one\x00\x03two"), 4)
	f.Add([]byte("\x00\x14\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl\x00\x01x"), 9) // a STUN request
	f.Add([]byte("\x00\x00\x00\x00\xff\xff"), 1)
	f.Add([]byte("\x10\x01"), 0)
	f.Fuzz(func(t *testing.T, wire []byte, cut int) {
		if len(wire) > 4*(2+frameLargest) {
			return
		}
		s := &Stream{}
		parse := func(cuts ...int) (all []byte, err error) {
			var d Datagram
			from := 0
			for _, to := range cuts {
				var used int
				used, err = s.hand(wire[from:to], nil, &d, func(_ *Batch, d *Datagram) {
					all = append(append(all, d.Bytes...), '|')
				})
				if from += used; from > to {
					t.Fatalf("used %d bytes of %d", from, to)
				}
				if err != nil {
					break
				}
			}
			return all, err
		}
		whole, err := parse(len(wire))
		parts, partly := parse(min(max(cut, 0), len(wire)), len(wire))
		if !bytes.Equal(whole, parts) || err != partly {
			t.Errorf("whole %q %v, in parts %q %v", whole, err, parts, partly)
		}
	})
}

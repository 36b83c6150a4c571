package c2s

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/xmpp/wire"
)

// text is a source of bytes that come at once.
type text struct{ left string }

func (s *text) wait() (buf []byte, n int, err error) {
	buf = buffers.get()
	n, err = s.readInto(buf)
	return buf, n, err
}

func (s *text) readInto(dst []byte) (int, error) {
	n := copy(dst, s.left)
	if s.left = s.left[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestStanzasOverTheRate come at the rate, also those that were read at once.
func TestStanzasOverTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, burst, stanzas = 10, 5, 65
		srv := New(Defaults(), nil, nil, (*event.Recorder)(nil), nil, nil)
		l := makeLink(srv, netip.Addr{})
		l.limits(&Budget{XML: wire.AfterAuth, Stanzas: limit.Rate{PerSecond: rate, Burst: burst}})
		l.in.c = &text{strings.Repeat("<presence/>", stanzas)}
		begun := time.Now()
		for range stanzas {
			if _, err := l.next(); err != nil {
				t.Fatal(err)
			}
		}
		if took, want := time.Since(begun), (stanzas-burst)*time.Second/rate; took < want-time.Second/rate || took > want+time.Second/rate {
			t.Errorf("%d stanzas take %v, want %v", stanzas, took, want)
		}
	})
}

package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// chat is a chat message of about n bytes, one character in 25 not ASCII and one reference among them.
func chat(n int) []byte {
	head := `<message to='bob@example.net/phone-b5c93ded' id='a1b2c3d4-0001' type='chat'><body>`
	tail := `</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>`
	fill := max(n-len(head)-len(tail), 1)
	return []byte(head + strings.Repeat("hello, wörld &amp; more ", fill/25) + strings.Repeat("x", fill%25) + tail)
}

// offer is a session-initiate of about n bytes: many small elements.
func offer(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`<iq to='bob@example.net/phone-b5c93ded' id='a1b2c3d4-0001' type='set'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='x'><content creator='initiator' name='audio'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>`)
	for i := 0; b.Len() < n-120; i++ {
		fmt.Fprintf(&b, `<payload-type id='%d' name='opus' clockrate='48000' channels='2'><parameter name='useinbandfec' value='1'/></payload-type>`, 96+i%30)
	}
	b.WriteString(`</description></content></jingle></iq>`)
	return b.Bytes()
}

func benchmarkStanzas(b *testing.B, run func(b *testing.B, m []byte)) {
	for _, n := range []int{200, 2000, 8000} {
		b.Run(fmt.Sprintf("chat-%d", n), func(b *testing.B) { run(b, chat(n)) })
	}
	for _, n := range []int{2000, 8000} {
		b.Run(fmt.Sprintf("offer-%d", n), func(b *testing.B) { run(b, offer(n)) })
	}
}

func BenchmarkScan(b *testing.B) {
	benchmarkStanzas(b, func(b *testing.B, m []byte) {
		s := Scanner{Limits: AfterAuth}
		b.SetBytes(int64(len(m)))
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := s.Next(m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkForward(b *testing.B) {
	benchmarkStanzas(b, func(b *testing.B, m []byte) {
		s := Scanner{Limits: AfterAuth}
		out := make([]byte, 0, 16<<10)
		b.SetBytes(int64(len(m)))
		b.ReportAllocs()
		for b.Loop() {
			_, p, err := s.Next(m)
			if err != nil {
				b.Fatal(err)
			}
			out = AppendStart(out[:0], p.Kind, "", "bob@example.net/phone-b5c93ded")
			out = p.AppendTail(out, "alice@example.net/desk")
		}
	})
}

func BenchmarkParseAddr(b *testing.B) {
	for b.Loop() {
		if _, err := ParseAddr("alice@example.net/desk-b5c93ded"); err != nil {
			b.Fatal(err)
		}
	}
}

// The stanza path allocates nothing.
func TestScanAndForwardAllocateNothing(t *testing.T) {
	s := Scanner{Limits: AfterAuth}
	m, out := chat(200), make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		_, p, _ := s.Next(m)
		out = AppendStart(out[:0], p.Kind, "", "bob@example.net/phone")
		out = p.AppendTail(out, "alice@example.net/desk")
	}); n != 0 {
		t.Errorf("%v allocations a stanza", n)
	}
}

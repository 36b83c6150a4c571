package s2s

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"parley/xmpp/wire"
)

// BenchmarkRoomToOneDomain is what a room's message to 100 occupants of one other server costs, up to the bytes that are
// encrypted; with "client" it names the namespace of clients, which must not be seen between servers. The unit is a delivery.
func BenchmarkRoomToOneDomain(b *testing.B) {
	const occupants = 100
	for name, body := range map[string]string{
		"plain":  "<body>" + strings.Repeat("Hello there, how are you? ", 8) + "</body>",
		"client": "<body xmlns='jabber:client'>" + strings.Repeat("Hello there, how are you? ", 8) + "</body>",
	} {
		b.Run(name, func(b *testing.B) {
			srv := lonely(b, (*authority)(nil).issue(b, []string{"a.example"}))
			ours, theirs := net.Pipe()
			defer ours.Close()
			defer theirs.Close()
			s := newStream(srv, ours, true)
			s.secure = true
			s.ack = ack{mute: true}
			s.hush() // the benchmark writes itself
			srv.attach(pair{"a.example", "b.example"}, s)
			var all []wire.Addr
			for i := range occupants {
				all = append(all, wire.Addr(fmt.Sprintf("person%d@b.example/resource", i)))
			}
			st := wire.Stanza{Kind: wire.Message, Tail: []byte(" from='room@a.example/nick' type='groupchat' id='1'>" + body + "</message>")}
			var batch wire.Batch
			var dst []byte
			b.ReportAllocs()
			b.ResetTimer()
			for range (b.N + occupants - 1) / occupants {
				fresh := wire.Stanza{Kind: st.Kind, Tail: append([]byte(nil), st.Tail...)}
				for _, to := range all {
					srv.router.Deliver(&batch, to, fresh)
				}
				s.mu.Lock()
				s.quiet = 0
				for s.pendingLocked() {
					dst = s.takeLocked(dst[:0])
				}
				s.quiet = 1
				s.mu.Unlock()
				batch.Flush()
			}
		})
	}
}

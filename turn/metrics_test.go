package turn

import (
	"testing"
	"time"
)

// Who has an allocation is not carried yet; whose peers have sent as much as media do is, until the allocation ends.
func TestCarrying(t *testing.T) {
	s := start(t, nil)
	a, b := s.connect(t, "udp", "romeo"), s.connect(t, "udp", "juliet")
	call(t, a.relay, b.relay)
	if users := s.Carrying(10_000); len(users) != 0 {
		t.Errorf("carried already: %v", users)
	}
	packet := make([]byte, 1000)
	eventually(t, "romeo is carried", func() bool {
		if _, err := b.relay.WriteTo(packet, a.relay.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		users := s.Carrying(10_000)
		return len(users) == 1 && users[0] == "romeo"
	})
	s.End("romeo")
	eventually(t, "nobody is carried", func() bool { return len(s.Carrying(10_000)) == 0 })
}

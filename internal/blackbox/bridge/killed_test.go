package bridge

import (
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

// TestRelayedCallGoesOnWhileTheServerIsKilled: two members that reach one another through the relay alone do not notice
// that the server dies and another one takes its place.
func TestRelayedCallGoesOnWhileTheServerIsKilled(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	ann, _ := mobile(t, p)
	bob, session := mobile(t, p)
	user := ask(t, p, bob)
	a, b := mustAllocate(t, p, ask(t, p, ann)), mustAllocate(t, p, user)
	a.permit(t, b)
	b.permit(t, a)

	stop, sent := make(chan struct{}), make(chan uint32)
	go func() { // one after the other, each a number
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := uint32(0); ; n++ {
			a.WriteTo(binary.BigEndian.AppendUint32(nil, n), b.LocalAddr())
			select {
			case <-tick.C:
			case <-stop:
				sent <- n
				return
			}
		}
	}()
	heard := make(chan []uint32)
	go func() {
		var list []uint32
		buf := make([]byte, 100)
		for {
			n, _, err := b.ReadFrom(buf)
			if err != nil {
				heard <- list
				return
			}
			if n == 4 {
				list = append(list, binary.BigEndian.Uint32(buf))
			}
		}
	}()
	bridge, media, turn := p.Bridge(), p.Media, p.TURN
	for range rounds() {
		time.Sleep(200 * time.Millisecond)
		p.Kill()
		time.Sleep(200 * time.Millisecond)
		p.Start()
	}
	time.Sleep(200 * time.Millisecond)
	close(stop)
	last := <-sent
	time.Sleep(100 * time.Millisecond)
	b.SetReadDeadline(time.Now())
	list := <-heard
	if len(list) != int(last)+1 || !slices.IsSorted(list) {
		t.Errorf("of %d packets %d came", last+1, len(list))
	}
	if p.Bridge() != bridge || p.Media != media || p.TURN != turn {
		t.Errorf("the bridge is %d at %s and %s, and was %d at %s and %s", p.Bridge(), p.Media, p.TURN, bridge, media, turn)
	}
	if n := p.Metric("parley_turn_allocations", ""); n != 2 {
		t.Errorf("the next server tells of %v allocations", n)
	}
	if n := p.Metric("parley_turn_relayed_packets_total", "up"); n < float64(last) {
		t.Errorf("the next server tells of %v relayed packets", n)
	}
	mustAllocate(t, p, ask(t, p, guest(t, p))) // the credentials of the next server are good

	// The session is the same user to the next server, which ends what is relayed for it when it ends.
	bob = resume(t, p, session)
	if _, again, _ := strings.Cut(ask(t, p, bob).user, ":"); !strings.HasSuffix(user.user, ":"+again) {
		t.Errorf("the session is user %s, and was %s", again, user.user)
	}
	bob.Send("</stream:stream>")
	eventually(t, "the relayed address outlives the session", func() bool { return p.Metric("parley_turn_allocations", "") == 2 })
	if n := len(lines(p.Log(), "the bridge of a former run goes on")); n != rounds() {
		t.Errorf("the bridge was taken over %d times", n)
	}
}

// TestRelayedAddressEndsWithASessionThatDied: a client that cannot come back has no session with the next server.
func TestRelayedAddressEndsWithASessionThatDied(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	credential := ask(t, p, guest(t, p))
	mustAllocate(t, p, credential)
	time.Sleep(1500 * time.Millisecond) // for the server to write down who that is
	p.Kill()
	p.Start()
	eventually(t, "the relayed address outlives the session", func() bool { return p.Metric("parley_turn_allocations", "") == 0 })
	if _, err := allocate(t, p, credential); err == nil {
		t.Error("so does the credential")
	}
}

// TestKilledBridgeIsBackAtOnce: at the ports that it had, though the system chose them, with the relay.
func TestKilledBridgeIsBackAtOnce(t *testing.T) {
	var took []time.Duration
	for range rounds() {
		p := peertest.StartParley(t, peertest.ParleyOptions{})
		c := guest(t, p)
		mustAllocate(t, p, ask(t, p, c))
		media := portOf(t, p.Media)
		old := p.Bridge()
		from := time.Now()
		syscall.Kill(old, syscall.SIGKILL)
		eventually(t, "no other bridge", func() bool { n := p.Bridge(); return n != 0 && n != old })
		eventually(t, "the media port is not taken", func() bool { return !binds(media) })
		took = append(took, time.Since(from))
		nc, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(media)))
		if err != nil {
			t.Error("ICE-TCP:", err)
		} else {
			nc.Close()
		}
		mustAllocate(t, p, ask(t, p, c))
		eventually(t, "the bridge's metrics are not those of the next one", func() bool { return p.Metric("parley_turn_allocations_total", "") == 1 })
		p.Stop()
	}
	slices.Sort(took)
	t.Logf("killed and back: median %v, p95 %v, longest %v of %d", took[len(took)/2], took[(len(took)*95+99)/100-1], took[len(took)-1], len(took))
}

// TestUserThatHasEndedStaysSo: a bridge that is started later refuses the credentials of those who left before.
func TestUserThatHasEndedStaysSo(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	stays, goes := guest(t, p), guest(t, p)
	good, bad := ask(t, p, stays), ask(t, p, goes)
	mustAllocate(t, p, bad)
	goes.Conn.Close()
	eventually(t, "the relayed address outlives the session", func() bool { return p.Metric("parley_turn_allocations", "") == 0 })
	old := p.Bridge()
	p.KillBridge()
	eventually(t, "no other bridge", func() bool { n := p.Bridge(); return n != 0 && n != old })
	eventually(t, "the bridge is not told who has ended", func() bool { _, err := allocate(t, p, bad); return err != nil })
	for range 3 {
		if _, err := allocate(t, p, bad); err == nil {
			t.Error("the credential is good again")
		}
	}
	mustAllocate(t, p, good)
}

// TestBridgeOutlivesAServerThatIsSetUpAlike, and is replaced by one that is set up otherwise.
func TestBridgeOutlivesAServerThatIsSetUpAlike(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	first := p.Bridge()
	p.Kill()
	// Ports that the system may choose are those that the bridge has.
	q := peertest.StartParley(t, peertest.ParleyOptions{Data: p.Data})
	if q.Bridge() != first || q.Media != p.Media || q.TURN != p.TURN || q.TURNS != p.TURNS {
		t.Errorf("bridge %d at %s, %s, %s; was %d at %s, %s, %s", q.Bridge(), q.Media, q.TURN, q.TURNS, first, p.Media, p.TURN, p.TURNS)
	}
	q.Kill()
	r := peertest.StartParley(t, peertest.ParleyOptions{Data: p.Data, Config: "[turn]\nbandwidth = '400 kbit/s'\n"})
	second := r.Bridge()
	if second == first || second == 0 {
		t.Errorf("bridge %d goes on with another bandwidth", second)
	}
	if len(lines(r.Log(), "is set up otherwise, and is replaced")) != 1 {
		t.Error("nothing is said of it")
	}
	r.Kill()
	s := peertest.StartParley(t, peertest.ParleyOptions{Data: p.Data, Listen: []string{"xmpp://127.0.0.1:0", "http+admin://127.0.0.1:0"}, Config: "[turn]\nbandwidth = '400 kbit/s'\n"})
	eventually(t, "a bridge is left that nobody wishes", func() bool { return s.Bridge() == 0 && gone(second) })
}

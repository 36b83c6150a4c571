package media

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/jitsipeer"
)

const (
	soakRooms = 10
	soakPeers = 5
)

// Ten rooms of five, whose members leave and come, mute, show screens, begin their sessions anew and lose their sockets: at the
// end the processes hold what they held at the start. PARLEY_SOAK says for how long; `make test` gives it 20 s, after which
// sessions that were cut have to end.
func TestSoak(t *testing.T) {
	length := 20 * time.Second
	if text := os.Getenv("PARLEY_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	} else if !full {
		t.Skip("make test runs it, or PARLEY_SOAK=1h")
	}
	s := start(t)
	churn(t, s, 5*time.Second, soakRooms) // what is made once is made
	before := settled(t, s, nil)
	ops := churn(t, s, length, soakRooms)
	after := settled(t, s, &before)
	t.Logf("%d changes in %v\nbefore: %v\nafter:  %v", ops, length, before, after)
	if !after.within(&before) {
		t.Errorf("something is left over; descriptors of the signalling: %v", open(s.PID))
	}
}

// levels are what the two processes hold.
type levels struct {
	goroutines, fds, heap   float64 // of the signalling process; heap in bytes, after a collection
	mediaGoroutines         float64
	mediaFDs, mediaResident float64
	buffers, endpoints      float64
}

func (l levels) String() string {
	return fmt.Sprintf("signalling: %.0f goroutines, %.0f descriptors, %.1f MB of heap; bridge: %.0f goroutines, %.0f descriptors, %.1f MB resident, %.0f packets, %.0f endpoints",
		l.goroutines, l.fds, l.heap/1e6, l.mediaGoroutines, l.mediaFDs, l.mediaResident/1e6, l.buffers, l.endpoints)
}

// within allows what a runtime keeps for itself: a few goroutines that wait, and memory that was not given back.
func (l *levels) within(o *levels) bool {
	return l.goroutines <= o.goroutines+5 && l.fds <= o.fds+3 && l.heap <= o.heap*1.5+4e6 &&
		l.mediaGoroutines <= o.mediaGoroutines+5 && l.mediaFDs <= o.mediaFDs+3 && l.mediaResident <= o.mediaResident*2+40e6 &&
		l.buffers <= o.buffers && l.endpoints == 0
}

func measure(t *testing.T, s *peertest.Parley) levels {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + s.Admin + "/debug/pprof/heap?gc=1")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	pid := bridgeOf(t, s)
	return levels{
		goroutines: s.Metric("go_goroutines", ""), fds: descriptors(t, s.PID), heap: s.Metric("go_memstats_heap_alloc_bytes", ""),
		mediaGoroutines: s.Metric("parley_bridge_goroutines", ""), mediaFDs: descriptors(t, pid), mediaResident: resident(t, pid),
		buffers: s.Metric("parley_bridge_buffers", ""), endpoints: s.Metric("parley_bridge_endpoints", ""),
	}
}

func descriptors(t *testing.T, pid int) float64 {
	t.Helper()
	list, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		t.Fatal(err)
	}
	return float64(len(list))
}

// open counts what descriptors are of.
func open(pid int) map[string]int {
	all := make(map[string]int)
	links, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	for _, l := range links {
		to, _ := os.Readlink(l)
		kind, _, _ := strings.Cut(to, ":[")
		all[kind]++
	}
	return all
}

func resident(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "VmRSS:")
	var kB float64
	fmt.Sscan(line, &kB)
	return kB * 1024
}

// settled waits until nobody is there, and then until the levels are what they were.
func settled(t *testing.T, s *peertest.Parley, was *levels) (l levels) {
	t.Helper()
	for until := time.Now().Add(120 * time.Second); time.Now().Before(until); time.Sleep(500 * time.Millisecond) {
		l = measure(t, s)
		alone := s.Metric("parley_sessions", "") == 0 && s.Metric("parley_bridge_conferences", "") == 0 && l.endpoints == 0
		if alone && (was == nil || l.within(was)) {
			break
		}
	}
	return l
}

// churn lets rooms live for a while and returns how often something changed.
func churn(t *testing.T, s *peertest.Parley, length time.Duration, rooms int) uint64 {
	t.Helper()
	var ops atomic.Uint64
	var all sync.WaitGroup
	end := time.Now().Add(length)
	for n := range rooms {
		all.Add(1)
		go func() {
			defer all.Done()
			r := &restless{t: t, s: s, in: room(), random: rand.New(rand.NewPCG(uint64(n), 1))}
			defer r.leave()
			for i := range soakPeers {
				r.peers[i] = r.join(i)
			}
			for time.Now().Before(end) && !t.Failed() {
				time.Sleep(time.Duration(200+r.random.IntN(800)) * time.Millisecond)
				r.change()
				ops.Add(1)
			}
			r.check()
		}()
	}
	all.Wait()
	return ops.Load()
}

// restless is a room in which something happens all the time.
type restless struct {
	t      *testing.T
	s      *peertest.Parley
	in     string
	random *rand.Rand
	peers  [soakPeers]*jitsipeer.Peer
	names  int
	screen [soakPeers]string
}

func (r *restless) join(i int) *jitsipeer.Peer {
	r.names++
	r.screen[i] = ""
	codecs := []jitsipeer.Codec{jitsipeer.VP8, jitsipeer.VP9, jitsipeer.AV1, jitsipeer.H264}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	p, err := jitsipeer.Join(ctx, jitsipeer.Options{
		URL: "ws://" + r.s.HTTP + "/xmpp-websocket", Room: r.in, Nick: fmt.Sprintf("n%d", r.names), Loopback: true, Restart: true,
		Rewriting: i%2 == 1, Audio: &jitsipeer.Audio{Level: 127},
		Video: &jitsipeer.Video{Codec: codecs[i%len(codecs)], FPS: 5, Sizes: []int{200, 300, 400}},
	})
	if err != nil {
		r.t.Error(err)
		return nil
	}
	return p
}

func (r *restless) leave() {
	time.Sleep(500 * time.Millisecond) // until sockets that were cut are back
	for _, p := range r.peers {
		if p != nil {
			p.Leave()
		}
	}
}

// change changes something.
func (r *restless) change() {
	i := r.random.IntN(soakPeers)
	p := r.peers[i]
	if p == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if i > 0 && r.random.IntN(3) == 0 {
		p.Leave()
		r.peers[i] = r.join(i)
		return
	}
	if p.Media(ctx) != nil {
		r.t.Errorf("no media at %s; %s", p.Endpoint(), history(p))
		return
	}
	var err error
	switch r.random.IntN(6) {
	case 0:
		err = p.Mute(p.Source('a', 0), r.random.IntN(2) == 0)
	case 1:
		p.Cut()
	case 2:
		p.Level(20 + 107*r.random.IntN(2))
	case 3:
		p.Want(limited(184 << r.random.IntN(3)))
	case 4:
		if r.screen[i] == "" {
			r.screen[i], err = p.Add(ctx, &jitsipeer.Video{Codec: jitsipeer.VP8, Desktop: true, FPS: 5, Sizes: []int{400}})
		} else {
			err, r.screen[i] = p.Remove(ctx, r.screen[i]), ""
		}
	case 5:
		err = p.RestartICE(ctx)
	}
	if err != nil && !expected(err) {
		r.t.Errorf("%s: %v; %s", p.Endpoint(), err, history(p))
	}
}

// expected reports an answer that is in order among so many changes: too many restarts (jitsi.md §11), or a request that
// crossed with the end of its session.
func expected(err error) bool {
	return strings.Contains(err.Error(), "resource-constraint") || strings.Contains(err.Error(), "no such session")
}

// check wants that everybody receives the first of the room.
func (r *restless) check() {
	first := r.peers[0]
	if first == nil || r.t.Failed() {
		return
	}
	first.Mute(first.Source('a', 0), false)
	for _, p := range r.peers[1:] {
		if p == nil {
			continue
		}
		n := p.Received(first.Source('a', 0)).Frames
		for until := time.Now().Add(patience); p.Received(first.Source('a', 0)).Frames < n+5; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(until) {
				r.t.Errorf("%s does not hear %s any more; %s", p.Endpoint(), first.Endpoint(), history(p))
				return
			}
		}
	}
}

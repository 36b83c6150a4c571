package media

import (
	"testing"
	"time"

	"parley/internal/peertest/jitsipeer"
)

func limited(height int) map[string]any {
	return map[string]any{"defaultConstraints": map[string]int{"maxHeight": height}}
}

// What a receiver gets falls and rises with what it wants, within 2 s, for every codec, and a decoder notices nothing: no
// sequence number is missing, no frame is without its reference, no descriptor jumps.
func TestLayersFollowConstraints(t *testing.T) {
	for i, c := range []jitsipeer.Codec{jitsipeer.VP8, jitsipeer.VP9, jitsipeer.AV1, jitsipeer.H264} {
		for n, way := range []struct {
			name   string
			change func(*jitsipeer.Options)
		}{{"signalled", func(*jitsipeer.Options) {}}, {"rewritten", rewriting}} {
			if !full && (i+n)%2 == 1 {
				continue
			}
			t.Run(string(c)+", "+way.name, func(t *testing.T) {
				t.Parallel()
				in := room()
				ann := join(t, server, in, "ann", codec(c), way.change)
				bob := join(t, server, in, "bob", codec(c), way.change)
				carl := join(t, server, in, "carl", codec(c), way.change) // keeps wanting everything
				connected(t, ann, bob, carl)
				camera := ann.Source('v', 0)
				height := func(p *jitsipeer.Peer) int { return p.Received(camera).Height }
				await(t, patience, "full size", func() bool { return height(bob) == 720 && height(carl) == 720 })
				bob.Reset()
				for _, want := range []struct{ limit, height int }{{200, 184}, {-1, 720}, {360, 360}, {184, 184}, {500, 360}, {2160, 720}} {
					if err := bob.Want(limited(want.limit)); err != nil {
						t.Fatal(err)
					}
					await(t, 2*time.Second+slack, string(c)+" of the height that is wanted", func() bool { return height(bob) == want.height })
					n := bob.Received(camera).Frames
					await(t, 2*time.Second+slack, "frames", func() bool { return bob.Received(camera).Frames >= n+10 })
					if got := height(bob); got != want.height {
						t.Errorf("%d pixels of at most %d, later", got, want.limit)
					}
				}
				time.Sleep(1200 * time.Millisecond)
				for _, p := range []*jitsipeer.Peer{bob, carl} {
					whole(t, p, everything(p, ann, bob, carl)...)
				}
				if s := bob.Received(camera); s.Gap > freeze {
					t.Errorf("nothing decodable for %v", s.Gap)
				}
				if got := height(carl); got != 720 {
					t.Errorf("the other receiver gets %d pixels", got)
				}
			})
		}
	}
}

// slack is what a loaded machine may take on top of a time that is specified.
const slack = 3 * time.Second

// freeze is what a viewer takes for a standstill, on a loaded machine: the layer that was is shown until the new one begins.
const freeze = time.Second

// Whoever wants nothing gets nothing; whoever wants the last of n gets the one that is selected; nobody sends what nobody
// wants.
func TestOnlyWhatIsWantedIsForwarded(t *testing.T) {
	in := room()
	ann, bob, carl := join(t, server, in, "ann"), join(t, server, in, "bob"), join(t, server, in, "carl")
	connected(t, ann, bob, carl)
	one, two := bob.Source('v', 0), carl.Source('v', 0)
	receives(t, ann, one, two)

	stopped := func(p *jitsipeer.Peer, source string) bool {
		n := p.Received(source).Packets
		time.Sleep(300 * time.Millisecond)
		return p.Received(source).Packets == n
	}
	say := func(want map[string]any) {
		t.Helper()
		if err := ann.Want(want); err != nil {
			t.Fatal(err)
		}
	}
	say(map[string]any{"lastN": 1, "selectedSources": []string{two}})
	await(t, patience, "end of what is not selected", func() bool { return stopped(ann, one) })
	receives(t, ann, two)
	say(map[string]any{"lastN": 1, "selectedSources": []string{one}})
	await(t, patience, "end of what is not selected any more", func() bool { return stopped(ann, two) })
	receives(t, ann, one)
	say(map[string]any{"lastN": 0})
	await(t, patience, "end of all video", func() bool { return stopped(ann, one) && stopped(ann, two) })

	// Nobody but ann is left to look at bob's camera: it stops, and goes on when it is wanted again.
	from := bob.Events.Mark()
	if err := carl.Want(map[string]any{"lastN": 0}); err != nil {
		t.Fatal(err)
	}
	height := func(h int) func(jitsipeer.Event) bool {
		return func(e jitsipeer.Event) bool {
			return e.Kind == jitsipeer.Constrained && e.Source == one && e.Height == h
		}
	}
	awaitEvent(t, bob, from, "constraint of nothing", height(0))
	from = bob.Events.Mark()
	say(map[string]any{"lastN": -1, "constraints": map[string]any{one: map[string]int{"maxHeight": 360}}, "defaultConstraints": map[string]int{"maxHeight": 720}})
	awaitEvent(t, bob, from, "constraint of what is wanted", height(360))
	await(t, patience, "picture of the wanted height", func() bool { return ann.Received(one).Height == 360 })
	receives(t, ann, one, two)
	time.Sleep(1200 * time.Millisecond)
	whole(t, ann, one, two)
}

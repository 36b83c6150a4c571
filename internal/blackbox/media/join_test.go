package media

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest/jitsipeer"
)

// Fifty members join within five seconds, and the one who sends is asked for at most one key frame a second.
func TestManyJoinersCostFewKeyFrames(t *testing.T) {
	in := room()
	sender := join(t, server, in, "sender")
	first := join(t, server, in, "first", quiet)
	connected(t, sender, first)
	camera := sender.Source('v', 0)
	receives(t, first, camera)
	time.Sleep(2 * time.Second) // what the first of them cost is paid
	before := len(sender.KeyFrameRequests(camera))

	const joiners, within = 50, 5 * time.Second
	begun := time.Now()
	peers := make([]*jitsipeer.Peer, joiners)
	var all sync.WaitGroup
	for i := range peers {
		all.Add(1)
		go func() {
			defer all.Done()
			time.Sleep(within * time.Duration(i) / joiners)
			o := jitsipeer.Options{URL: "ws://" + server.HTTP + "/xmpp-websocket", Room: in, Nick: fmt.Sprint("joiner", i), Loopback: true, Rewriting: i%2 == 0}
			ctx, stop := context.WithTimeout(context.Background(), patience)
			defer stop()
			var err error
			if peers[i], err = jitsipeer.Join(ctx, o); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	defer func() {
		for _, p := range peers {
			if p != nil {
				p.Leave()
			}
		}
	}()
	if t.Failed() {
		return
	}
	await(t, 2*patience, "picture at everybody", func() bool {
		return !slices.ContainsFunc(peers, func(p *jitsipeer.Peer) bool { return p.Received(camera).Frames < 5 })
	})
	took := time.Since(begun)
	asked := sender.KeyFrameRequests(camera)[before:]
	t.Logf("everybody sees after %v, and %d key frames were asked for", took, len(asked))
	for i := 2; i < len(asked); i++ { // two at once are allowed, then one a second (design §9)
		if gap := asked[i].Sub(asked[i-2]); gap < 900*time.Millisecond {
			t.Errorf("three requests within %v", gap)
		}
	}
	if most := int(took.Seconds()) + 2; len(asked) > most {
		t.Errorf("%d requests in %v", len(asked), took)
	}
	whole(t, first, camera)
}

// quiet sends nothing.
func quiet(o *jitsipeer.Options) { o.Audio, o.Video = nil, nil }

// BenchmarkFirstFrame joins a conference in which somebody sends, again and again: from session-initiate to the first frame
// that is decodable, and the part of it that ICE and DTLS take.
func BenchmarkFirstFrame(b *testing.B) {
	in := room()
	ann, bob := join(b, server, in, "ann"), join(b, server, in, "bob")
	connected(b, ann, bob)
	camera := ann.Source('v', 0)
	receives(b, bob, camera)
	var first, transport []time.Duration
	for i := 0; b.Loop(); i++ {
		p := join(b, server, in, fmt.Sprint("late", i), quiet)
		connected(b, p)
		await(b, patience, "frame", func() bool { return p.Received(camera).Frames > 0 })
		for _, e := range p.Events.Since(0) {
			if e.Kind == jitsipeer.Offered {
				first = append(first, p.Received(camera).Decoded.Sub(e.At))
				break
			}
		}
		times := p.Times()
		transport = append(transport, times.ICE+times.DTLS)
		p.Leave()
	}
	report := func(list []time.Duration, name string) {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Microseconds())/1000, name+"-p50-ms")
		b.ReportMetric(float64(list[len(list)*95/100].Microseconds())/1000, name+"-p95-ms")
	}
	report(first, "first-frame")
	report(transport, "ice+dtls")
	b.ReportMetric(0, "ns/op")
}

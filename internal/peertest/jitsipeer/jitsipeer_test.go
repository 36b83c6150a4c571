package jitsipeer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/jitsipeer"
)

// Two peers and a late one send VP8 and Opus through the binary's bridge, and receive each other whole.
func TestPeersMeetOnTheBridge(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var peers []*jitsipeer.Peer
	for i := range 3 {
		p, err := jitsipeer.Join(ctx, jitsipeer.Options{
			URL: "ws://" + server.HTTP + "/xmpp-websocket", Room: "meet", Nick: fmt.Sprintf("peer%d", i), Loopback: true,
			Audio: &jitsipeer.Audio{Level: 40}, Video: &jitsipeer.Video{Codec: jitsipeer.VP8},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Leave()
		peers = append(peers, p)
	}
	for _, p := range peers {
		if err := p.Media(ctx); err != nil {
			t.Fatal(err, p.Events.Since(0))
		}
	}
	time.Sleep(3 * time.Second)
	for _, p := range peers {
		for _, o := range peers {
			for _, kind := range "av" {
				s := p.Received(o.Source(byte(kind), 0))
				if p == o {
					continue
				}
				t.Logf("%s from %s: %+v p99 %v", p.Endpoint(), s.Source, s.Packets, s.Latency.Quantile(0.99))
				t.Logf("frames %d key %d lost %d missing %d incomplete %d broken %d faults %d %s height %d gap %v", s.Frames, s.KeyFrames, s.Lost, s.Missing, s.Incomplete, s.Broken, s.Faults, s.Fault, s.Height, s.Gap)
			}
		}
	}
}

package jitsipeer

import (
	"embed"
	"fmt"
)

// Grey pictures of VP8 as an encoder makes them, for some heights: a key frame, and one that changes nothing. Decoders do not
// look at what stands behind the last partition of a frame, so the stamp may.
//
//go:embed testdata/grey/*.vp8
var greyFiles embed.FS

// grey is a key frame, and what follows it as often as one likes.
type grey struct{ key, delta []byte }

func greyOf(height int) (g *grey, err error) {
	g = new(grey)
	for kind, to := range map[string]*[]byte{"key": &g.key, "delta": &g.delta} {
		if *to, err = greyFiles.ReadFile(fmt.Sprintf("testdata/grey/%d-%s.vp8", height, kind)); err != nil {
			return nil, fmt.Errorf("jitsipeer: no grey pictures of height %d", height)
		}
	}
	return g, nil
}

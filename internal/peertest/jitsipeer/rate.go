package jitsipeer

import (
	"errors"
	"time"
)

// Cap is a limit of what a source may send, from a time after its first frame on.
type Cap struct {
	After time.Duration
	Rate  int // bits/s of all layers; 0: none
}

const keyTimes = 6 // a key frame is so many times as large as a delta frame

func (v *Video) check() error {
	if v == nil {
		return nil
	}
	n := len(v.layers())
	if n > maxLayers || v.Rates != nil && len(v.Rates) != n || v.Rates == nil && v.Caps != nil {
		return errors.New("jitsipeer: a video whose rates are not those of its layers")
	}
	for _, h := range v.layers() {
		if !v.Grey {
			break
		}
		if _, err := greyOf(h); err != nil {
			return err
		}
		if v.Codec != VP8 {
			return errors.New("jitsipeer: grey pictures are of VP8")
		}
	}
	return nil
}

func (v *Video) layers() []int {
	switch {
	case v.Heights != nil:
		return v.Heights
	case v.Desktop:
		return defaultHeights[2:]
	}
	return defaultHeights
}

// limit is the cap that holds after a time, 0 for none.
func (v *Video) limit(after time.Duration) (rate int) {
	for _, c := range v.Caps {
		if after >= c.After {
			rate = c.Rate
		}
	}
	return rate
}

// allot sets in rates, which holds what the layers have now, what they get of a limit: the lower layers first and in full. A
// layer is left out when a quarter of its rate is not left, and begins again when there is a fifth more than that, as with
// Chromium's encoder. The lowest stays in any case. Layers above a height are left out; a height below 0 is none.
func (v *Video) allot(rates []int, limit, height int) {
	left, on := limit, height != 0
	for i, most := range v.Rates {
		need := most / 4
		if rates[i] == 0 {
			need += need / 5
		}
		if i > 0 && (height > 0 && v.Heights[i] > height || limit > 0 && left < need) {
			on = false
		}
		switch {
		case !on:
			rates[i] = 0
		case limit > 0:
			rates[i] = min(most, left)
			left -= rates[i]
		default:
			rates[i] = most
		}
	}
}

// size is the size in bytes of the next frame of a layer. With a rate, the temporal layers share it as those of libwebrtc do
// (two fifths, a fifth, two fifths), and what a key frame takes more is saved in the frames behind it.
func (e *encoder) size(layer int, key bool, temporal uint8) int {
	if e.rates == nil {
		if key {
			return keyTimes * e.sizes[layer]
		}
		return e.sizes[layer]
	}
	mean := e.rates[layer] / (8 * e.fps)
	if key {
		e.debt[layer] += (keyTimes - 1) * mean
		return keyTimes * mean
	}
	size := mean
	switch {
	case e.codec == H264:
	case temporal == 0:
		size = mean * 8 / 5
	default:
		size = mean * 4 / 5
	}
	saved := min(e.debt[layer], size/4)
	e.debt[layer] -= saved
	return size - saved
}

package loudness

import (
	"errors"
	"time"
)

// ErrOpus is what is not a packet of Opus.
var ErrOpus = errors.New("loudness: not a packet of Opus")

// mostSound is the most that a packet holds (RFC 6716 §3.2.5).
const mostSound = 120 * time.Millisecond

// Packet is what the head of a packet of Opus says of it.
type Packet struct {
	Length time.Duration // of the sound, 2.5 to 120 ms
	Silent bool          // no frame has sound in it, as a sender that pauses has it (DTX)
}

// Parse reads the head of a packet (RFC 6716 §3.1, §3.2). What it lets pass may still not be decodable. It fails with ErrOpus.
func Parse(payload []byte) (p Packet, err error) {
	if len(payload) == 0 {
		return p, ErrOpus
	}
	toc, rest := payload[0], payload[1:]
	frames := 1
	switch toc & 3 {
	case 0:
	case 1:
		if frames = 2; len(rest)%2 != 0 {
			return p, ErrOpus
		}
	case 2:
		frames = 2
		first, n, ok := frameSize(rest)
		if !ok || first > len(rest)-n {
			return p, ErrOpus
		}
		rest = rest[n:]
	case 3:
		if frames, rest, err = counted(rest); err != nil {
			return p, err
		}
	}
	p.Length = time.Duration(frames) * frameLength(toc>>3)
	if p.Length > mostSound {
		return p, ErrOpus
	}
	// RFC 6716 §3.2.1: a frame of no bytes is one that was not sent; encoders that pause send one byte at most.
	p.Silent = len(rest) <= frames
	return p, nil
}

// counted reads the head of a packet of any number of frames (RFC 6716 §3.2.5), and returns the frames' bytes.
func counted(b []byte) (frames int, rest []byte, err error) {
	if len(b) == 0 || b[0]&0x3f == 0 {
		return 0, nil, ErrOpus
	}
	vary, padded := b[0]&0x80 != 0, b[0]&0x40 != 0
	frames, rest = int(b[0]&0x3f), b[1:]
	padding := 0
	for more := padded; more; {
		if len(rest) == 0 {
			return 0, nil, ErrOpus
		}
		n := int(rest[0])
		if more = n == 255; more {
			n = 254
		}
		padding, rest = padding+n, rest[1:]
	}
	if padding > len(rest) {
		return 0, nil, ErrOpus
	}
	rest = rest[:len(rest)-padding]
	if !vary {
		if len(rest)%frames != 0 {
			return 0, nil, ErrOpus
		}
		return frames, rest, nil
	}
	sum := 0
	for range frames - 1 {
		size, n, ok := frameSize(rest)
		if !ok {
			return 0, nil, ErrOpus
		}
		sum, rest = sum+size, rest[n:]
	}
	if sum > len(rest) {
		return 0, nil, ErrOpus
	}
	return frames, rest, nil
}

// frameSize reads the size of a frame, which takes n bytes itself (RFC 6716 §3.2.1).
func frameSize(b []byte) (size, n int, ok bool) {
	switch {
	case len(b) == 0:
		return 0, 0, false
	case b[0] < 252:
		return int(b[0]), 1, true
	case len(b) < 2:
		return 0, 0, false
	}
	return int(b[0]) + 4*int(b[1]), 2, true
}

// frameLength is how long the frames of a configuration are (RFC 6716 §3.1, table 2).
func frameLength(config uint8) time.Duration {
	const ms = time.Millisecond
	switch {
	case config < 12: // SILK
		return [4]time.Duration{10 * ms, 20 * ms, 40 * ms, 60 * ms}[config%4]
	case config < 16: // hybrid
		return [2]time.Duration{10 * ms, 20 * ms}[config%2]
	}
	return [4]time.Duration{2500 * time.Microsecond, 5 * ms, 10 * ms, 20 * ms}[config%4] // CELT
}

package loudness

import (
	"fmt"
	"math"

	"github.com/thesyncim/gopus"
)

const (
	rate    = 16000 // Hz at which is decoded: a voice is below half of that
	samples = rate * int(mostSound/1e6) / 1000

	silence = 127 // -dBov (RFC 6464 §3)
)

// Meter says how loud the packets of one stream of Opus are. The zero Meter is ready to use; it takes 160 kB from its first
// packet on. It is for one goroutine.
type Meter struct {
	decoder decoder
	pcm     []float32
	broken  bool
}

// decoder is gopus's.
type decoder interface {
	Decode(packet []byte, pcm []float32) (samples int, err error)
	Reset()
}

// Reset forgets what came before: the next packet is of another stream.
func (m *Meter) Reset() {
	if m.decoder != nil {
		m.decoder.Reset()
	}
}

// Level decodes a packet, which Parse let pass, and returns its level as RFC 6464 §3 has it: minus dBov, from 0 (loudest) to 127
// (silence). Packets come in the order of their stream; some may be missing. It fails with ErrOpus, and does so for good once the
// decoder has panicked.
func (m *Meter) Level(payload []byte) (level uint8, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			*m = Meter{broken: true}
			level, err = silence, fmt.Errorf("%w: the decoder says %v", ErrOpus, fault)
		}
	}()
	return m.decode(payload)
}

func (m *Meter) decode(payload []byte) (uint8, error) {
	if m.broken {
		return silence, ErrOpus
	}
	if m.decoder == nil {
		d, err := gopus.NewDecoder(gopus.DecoderConfig{SampleRate: rate, Channels: 1, MaxPacketSamples: samples})
		if err != nil {
			return silence, err
		}
		m.decoder, m.pcm = d, make([]float32, samples)
	}
	n, err := m.decoder.Decode(payload, m.pcm)
	if err != nil {
		return silence, fmt.Errorf("%w: %w", ErrOpus, err)
	}
	return level(m.pcm[:n]), nil
}

// level is the power of samples between -1 and 1 against that of the loudest square wave, in -dBov.
func level(pcm []float32) uint8 {
	sum := 0.0
	for _, x := range pcm {
		sum += float64(x) * float64(x)
	}
	power := sum / float64(len(pcm))
	if !(power > 0) || math.IsInf(power, 0) { // also where there is none, or no number
		return silence
	}
	return uint8(min(max(math.Round(-10*math.Log10(power)), 0), silence))
}

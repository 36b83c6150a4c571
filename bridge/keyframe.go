package bridge

import (
	"sync"
	"time"

	"parley/bridge/rtp"
	"parley/bridge/udp"
	"parley/internal/limit"
)

// A source is asked for a key frame twice at once, then once a second, however many ask (HB8). One that was asked for is
// waited for so long before it is asked for again.
var keyframeRate = limit.Rate{PerSecond: 1, Burst: 2}

const keyframeWait = 300 * time.Millisecond

// keyframes are the requests for key frames of one source.
type keyframes struct {
	mu     sync.Mutex // guards what follows
	bucket limit.Bucket
	wanted uint32                // bits of the streams that a key frame is wanted of
	asked  [maxStreams]time.Time // when a stream was asked; zero once a key frame has come
	buffer [8 + 12*maxStreams]byte
	number uint64 // requests sent
}

func (k *keyframes) reset() { k.bucket = limit.NewBucket(keyframeRate) }

// request asks a stream for a key frame: now, or when the rate allows it.
func (s *source) request(b *udp.Batch, index int) {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if at := k.asked[index]; !at.IsZero() && b.Now.Sub(at) < keyframeWait {
		return
	}
	k.wanted |= 1 << index
	s.ask(b)
}

// requests sends what was wanted and not allowed before.
func (s *source) requests(b *udp.Batch) {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wanted != 0 {
		s.ask(b)
	}
}

// arrived says that a key frame of a stream has begun.
func (s *source) arrived(index int) {
	k := &s.keys
	k.mu.Lock()
	k.asked[index] = time.Time{}
	k.wanted &^= 1 << index
	k.mu.Unlock()
}

// ask sends one request for all streams of which a key frame is wanted.
func (s *source) ask(b *udp.Batch) {
	leg, d := s.owner.ready()
	if leg == nil || !s.live() {
		return
	}
	k := &s.keys
	if !k.bucket.Allow(b.Now, 1) {
		return
	}
	out := rtp.AppendReceiverReport(k.buffer[:0], d.videoSSRC, nil)
	for i, st := range s.streams {
		if k.wanted&(1<<i) != 0 {
			out = rtp.AppendPLI(out, d.videoSSRC, st.ssrc.Load())
			k.asked[i] = b.Now
		}
	}
	k.wanted = 0
	k.number++
	leg.RTCP(b, out)
}

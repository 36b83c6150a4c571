package bridge

import (
	"time"

	"parley/bridge/rtp"
	"parley/bridge/udp"
)

const (
	transportEvery = 60 * time.Millisecond // transport-wide feedback (jitsi.md §9.6: 50–100 ms)
	summaryEvery   = time.Second           // receiver reports
	controlSize    = 1150                  // bytes of a compound, about
)

// feedback tells the endpoint what became of what it sent: transport-wide feedback, NACKs and receiver reports.
func (e *Endpoint) feedback(b *udp.Batch) {
	leg, d := e.ready()
	if leg == nil {
		return
	}
	in, now := &e.in, b.Now
	in.mu.Lock()
	defer in.mu.Unlock()
	in.blocks = in.blocks[:0]
	media := uint32(0)
	if now.Sub(in.summary) >= summaryEvery {
		for _, of := range in.table {
			if r := &of.stream.reception; !of.repair && r.active && len(in.blocks) < 31 {
				in.blocks = append(in.blocks, r.block(of.stream.ssrc.Load(), now))
			}
		}
		in.summary = now
	}
	in.out = rtp.AppendReceiverReport(in.out[:0], d.videoSSRC, in.blocks)
	empty := len(in.out)
	if len(in.blocks) > 0 {
		empty = 0
	}
	flush := func(room int) {
		if len(in.out)+room > controlSize && len(in.out) > empty {
			leg.RTCP(b, in.out)
			in.out = rtp.AppendReceiverReport(in.out[:0], d.videoSSRC, nil)
			empty = len(in.out)
		}
	}
	for ssrc, of := range in.table {
		if of.repair {
			continue
		}
		media = ssrc
		if lost := of.stream.missing.due(now); len(lost) > 0 && of.stream.source.live() {
			flush(12 + 4*len(lost))
			in.out = rtp.AppendNACK(in.out, d.videoSSRC, ssrc, lost)
		}
	}
	if in.pending && now.Sub(in.reported) >= transportEvery {
		in.reported, in.pending = now, false
		for more := true; more; {
			flush(600)
			before := len(in.out)
			in.out, more = in.arrivals.Append(in.out, d.videoSSRC, media, 600)
			if len(in.out) == before {
				break
			}
		}
	}
	if len(in.out) > empty {
		leg.RTCP(b, in.out)
	}
}

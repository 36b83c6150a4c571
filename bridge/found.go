package bridge

import "time"

// foundAfter is how long a stream whose SSRC was not signalled may be silent before another SSRC takes its place.
const foundAfter = 500 * time.Millisecond

// finding is a stream whose SSRC was not signalled, with the SSRCs that it was found to have; 0: none yet.
type finding struct {
	stream    *stream
	ssrc, rtx uint32
	last      int64 // the newest packet when the last other SSRC was seen, and when that was
	since     time.Time
}

// find takes an SSRC that was not signalled for the medium that its payload type is of, if that was not signalled either. There
// is one SSRC of media at a time and one of retransmissions, so whoever sends others costs no memory. The caller holds mu.
func (i *ingress) find(p *packet, d *dialect, at time.Time) (of entry, ok bool) {
	k := d.kinds[p.PayloadType()]
	repair := k == rtx
	if repair {
		k = d.kinds[d.apt[p.PayloadType()]]
	}
	if k == unknown || k == rtx {
		return of, false
	}
	for n := range i.unsignalled {
		f := &i.unsignalled[n]
		s := f.stream
		switch {
		case s.source.video != k.video():
			continue
		case repair && f.ssrc == 0:
			return of, false
		case repair:
			delete(i.table, f.rtx)
			f.rtx = p.SSRC()
			of = entry{s, true}
		case f.ssrc != 0 && !f.silent(at):
			return of, false
		default:
			if f.ssrc != 0 {
				delete(i.table, f.ssrc)
				s.restart()
				s.started = false
			}
			f.ssrc, f.since = p.SSRC(), time.Time{}
			s.ssrc.Store(f.ssrc)
			of = entry{s, false}
		}
		i.table[p.SSRC()] = of
		return of, true
	}
	return of, false
}

// silent reports that nothing has come of the stream for a while, during which another SSRC was there.
func (f *finding) silent(at time.Time) bool {
	if newest := f.stream.highest; f.since.IsZero() || newest != f.last {
		f.last, f.since = newest, at
		return false
	}
	return at.Sub(f.since) >= foundAfter
}

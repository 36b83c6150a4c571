package muc

import (
	"time"

	"parley/internal/limit"
	"parley/xmpp/wire"
)

// door lets people into a room one after another, no faster than the limit (hardening.md HM8). Who waits keeps the order
// of what it sent: its later packets wait behind its join.
type door struct {
	rate    limit.Bucket
	waiting []*input
	of      map[wire.Addr]int // how many inputs of an address wait
	joins   int               // how many of them are joins
}

// admitEvery is how often the door is opened while somebody waits.
const admitEvery = 20 * time.Millisecond

func newDoor(limits *Limits) door {
	return door{rate: limit.NewBucket(limits.Admission), of: make(map[wire.Addr]int)}
}

func (d *door) busy() bool { return len(d.waiting) > 0 }

// sender returns whose input it is.
func (in *input) sender() wire.Addr {
	if in.gone != "" {
		return in.gone
	}
	return in.from
}

// hold puts the input into the line if it has to wait and reports that it did, or that it was refused.
func (d *door) hold(r *room, in *input, fx *effects) bool {
	from := in.sender()
	join := in.packet != nil && in.joins && r.byAddr[from] == nil
	switch {
	case d.of[from] > 0: // behind its own join
	case !join:
		return false
	case len(d.waiting) == 0 && d.rate.Allow(in.now, 1):
		return false
	case d.joins >= r.limits.Queue:
		r.refuse(in, fx, errBusy)
		r.absentee(in, fx)
		fx.finish(in)
		return true
	}
	if len(d.waiting) >= 4*r.limits.Queue && in.gone == "" {
		r.refuse(in, fx, errBusy)
		r.absentee(in, fx)
		fx.finish(in)
		return true
	}
	d.waiting = append(d.waiting, in)
	d.of[from]++
	if join {
		d.joins++
	}
	if r.admitAt.IsZero() {
		r.admitAt = in.now.Add(admitEvery)
	}
	return true
}

// admit takes from the line what may enter now.
func (d *door) admit(r *room, now *input, fx *effects) {
	for len(d.waiting) > 0 {
		in := d.waiting[0]
		join := in.packet != nil && in.joins
		if join && r.byAddr[in.from] == nil && !d.rate.Allow(now.now, 1) {
			break
		}
		d.waiting[0] = nil
		d.waiting = d.waiting[1:]
		if from := in.sender(); d.of[from] == 1 {
			delete(d.of, from)
		} else {
			d.of[from]--
		}
		if join {
			d.joins--
		}
		in.now = now.now
		if in.gone != "" {
			r.vanish(in, fx)
		} else {
			r.take(in, fx)
		}
	}
	if len(d.waiting) == 0 {
		d.waiting = nil
		return
	}
	r.admitAt = now.now.Add(admitEvery)
}

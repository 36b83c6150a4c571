package focus

import (
	"time"

	"parley/muc"
	"parley/xmpp/wire"
)

// CallEvent says that a call has begun, or ended. A call lasts from when there are two members until one has been alone for a while,
// or the room ends. One that went on while the process was killed counts from then.
type CallEvent struct {
	Room    wire.Addr
	Meeting string // of the room's conference, in which there may be several calls, one after the other
	Began   time.Time
	Ended   time.Time // zero: it has begun
	Most    int       // members at a time
	Gate    Gate      // the furthest that was needed
}

// WatchCalls has f called with the calls of every room, in the order of its conference. It must not block. It comes before the first
// room.
func (f *Focus) WatchCalls(watch func(CallEvent)) { f.watcher = watch }

// talk is the call that is going on, if began is set.
type talk struct {
	began time.Time
	most  int
	gate  Gate
}

// watch notes what has become of the call.
func (c *conference) watch(now time.Time) {
	t := &c.talk
	if c.open {
		if t.began.IsZero() {
			t.began = now
			c.emit(told{c.callEvent(time.Time{})})
		}
		t.most, t.gate = max(t.most, len(c.members)), max(t.gate, c.gate)
		return
	}
	if !t.began.IsZero() {
		c.emit(told{c.callEvent(now)})
		*t = talk{}
	}
}

func (c *conference) callEvent(ended time.Time) CallEvent {
	return CallEvent{Room: c.room, Meeting: c.meeting, Began: c.talk.began, Ended: ended, Most: c.talk.most, Gate: c.talk.gate}
}

// told is what the watcher of calls is told.
type told struct{ event CallEvent }

func (e told) do(f *Focus, _ *conference, _ *muc.Seat) {
	if f.watcher != nil {
		f.watcher(e.event)
	}
}

package focus

import (
	"slices"
	"time"

	"parley/bridge/api"
	"parley/muc"
	"parley/xmpp/wire"
)

// Attendance is who takes part in the call of a room. It is told whole whenever it changes; without attendees the call is over.
type Attendance struct {
	Room      wire.Addr
	Meeting   string
	Gate      Gate
	Attendees []Attendee
}

// Attendee is a member of the call.
type Attendee struct {
	muc.Occupant          // as it was when it began to take part, or later
	Endpoints    []string // by which the bridge knows it
	Calls        bool     // an ordinary client, that calls or is called
	Audio, Video bool     // it has sources of this kind
}

// Attend has who takes part told to each, and to denied whose conference request or session came to nothing, and why. Both are called
// from any goroutine, each in the order in which it happened to a conference, and must not block. It comes before the first client.
func (f *Focus) Attend(each func(Attendance), denied func(room wire.Addr, cause string)) {
	f.attend, f.denied = each, denied
}

// attended tells that the attendance is another one.
type attended struct{ now Attendance }

func (e attended) do(f *Focus, _ *conference, _ *muc.Seat) { f.attend(e.now) }

// seen is what of an attendee makes another attendance.
type seen struct {
	endpoint     string
	addr         wire.Addr
	joined       time.Time
	parts        int
	audio, video bool
}

func (m *member) seen() seen {
	s := seen{endpoint: m.endpoint, addr: m.addr, joined: m.last.Joined}
	if m.call != nil {
		s.parts = len(m.call.parts)
		for _, u := range m.call.raised {
			s.parts += len(u.parts)
		}
	}
	for i := range m.sending.wish {
		s.audio = s.audio || m.sending.wish[i].Kind == api.Audio
		s.video = s.video || m.sending.wish[i].Kind == api.Video
	}
	return s
}

// attending tells the attendance where it has changed.
func (c *conference) attending() {
	same := len(c.seen) == len(c.members) && c.seenGate == c.gate
	for i := 0; same && i < len(c.members); i++ {
		same = c.members[i].seen() == c.seen[i]
	}
	if same {
		return
	}
	now := Attendance{Room: c.room, Meeting: c.meeting, Gate: c.gate}
	c.seen, c.seenGate = c.seen[:0], c.gate
	for _, m := range c.members {
		s := m.seen()
		c.seen = append(c.seen, s)
		a := Attendee{Occupant: m.last, Endpoints: []string{m.endpoint}, Calls: m.call != nil, Audio: s.audio, Video: s.video}
		if m.call != nil {
			for _, p := range m.call.all() {
				if !slices.Contains(a.Endpoints, p.endpoint) {
					a.Endpoints = append(a.Endpoints, p.endpoint)
				}
			}
		}
		now.Attendees = append(now.Attendees, a)
	}
	c.emit(attended{now})
}

// deny tells that somebody does not take part.
func (f *Focus) deny(room wire.Addr, cause string) {
	if f.denied != nil {
		f.denied(room, cause)
	}
}

// failures are the notes of which some say that a session came to nothing.
var failures = map[string]string{"focus.timeout": "timeout", "dtls.reject": "encryption", "focus.full": "bridge-full"}

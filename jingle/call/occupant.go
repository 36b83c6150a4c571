package call

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"parley/jingle"
	"parley/jingle/focus"
	"parley/jingle/seat"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// occupant is the caller's place in the room, with the caller's bare address and a resource of ours, and what it shows there.
type occupant struct {
	*seat.Seat
	call *session
	name string // as others read it

	mu    sync.Mutex             // guards what follows; nothing is called with it held
	sends [1 + uplinksMost]shown // by the numbers of its sources
	reads string                 // the codec of video that its client reads
}

// shown is what the room is shown of one of the sessions in which a client sends.
type shown struct {
	audio, video bool // there is some
	mute         [2]bool
	screen       bool
}

// resourcePrefix begins the resources of occupants.
const resourcePrefix = "parley-call-"

// IsSeat reports that an address is that of an occupant who calls. It ends with the process.
func IsSeat(a wire.Addr) bool { return strings.HasPrefix(a.Resource(), resourcePrefix) }

func newOccupant(c *session, from route.Sender, offer *focus.Offer, password string) *occupant {
	r, ok := from.(interface{ Remote() bool })
	o := &occupant{call: c, name: c.caller.Local(), reads: offer.Video}
	o.sends[0] = showing(offer)
	o.sends[0].audio = true // it may come later
	if from.Guest() {
		o.name = "Guest"
	}
	o.Seat = seat.New(seat.Place{Router: c.service.router, Rooms: c.service.rooms, Client: o, Room: c.room, Nick: nickOf(c.caller), Password: password,
		Addr:  c.caller.Bare() + wire.Addr("/"+resourcePrefix+digits(8)),
		Guest: from.Guest(), Remote: ok && r.Remote(), Source: from.Source(), Claims: from.Claims(),
		Type: "phone", Features: []string{"urn:xmpp:jingle:apps:rtp:audio", "urn:xmpp:jingle:apps:rtp:video", "http://jitsi.org/protocol/jigasi"},
		Asked: o.asked})
	return o
}

// showing is what an offer brings.
func showing(offer *focus.Offer) (s shown) {
	for _, media := range offer.Contents() {
		s.audio, s.video = s.audio || media == "audio", s.video || media == "video"
	}
	s.screen = offer.Screen
	return s
}

func digits(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// Presence implements seat.Client.
func (o *occupant) Presence(nick string) []byte {
	type source struct {
		Muted     bool   `json:"muted"`
		VideoType string `json:"videoType,omitempty"`
	}
	info, muted := make(map[string]source), [2]bool{true, true}
	o.mu.Lock()
	reads := o.reads
	for n, s := range o.sends {
		if s.audio {
			info[fmt.Sprintf("%s-a%d", nick, n)] = source{Muted: s.mute[0]}
			muted[0] = muted[0] && s.mute[0]
		}
		if s.video {
			v := source{Muted: s.mute[1]}
			if s.screen {
				v.VideoType = "desktop"
			}
			info[fmt.Sprintf("%s-v%d", nick, n)] = v
			muted[1] = muted[1] && s.mute[1]
		}
	}
	o.mu.Unlock()
	text, _ := json.Marshal(info)
	inner := []byte("<nick xmlns='" + nsNick + "'>")
	inner = append(wire.AppendEscaped(inner, o.name), "</nick>"...)
	inner = wire.AppendElem(inner, "SourceInfo", string(text))
	if reads != "" { // nobody translates between codecs: what others send has to be what the caller reads
		inner = wire.AppendElem(inner, "jitsi_participant_codecList", reads)
	}
	inner = fmt.Appendf(inner, "<audiomuted>%t</audiomuted><videomuted>%t</videomuted>", muted[0], muted[1])
	// A member with this feature is none that the others talk to without the bridge (jitsi.md §11.3).
	return append(inner, "<features><feature var='http://jitsi.org/protocol/jigasi'/></features>"...)
}

// muted notes what the client says of its microphone ("audio") or camera ("video"), or of both, in the session with a number; below
// 0 is all.
func (o *occupant) muted(number int, media string, on bool) {
	o.changes(func() {
		for n := range o.sends {
			if s := &o.sends[n]; n == number || number < 0 && (s.audio || s.video) {
				s.mute[0] = s.mute[0] && media == "video" || on && media != "video"
				s.mute[1] = s.mute[1] && media == "audio" || on && media != "audio"
			}
		}
	})
}

// shows notes that video is part of the call too.
func (o *occupant) shows(offer *focus.Offer) {
	o.changes(func() {
		if s := &o.sends[0]; offer.Video != "" && !s.video {
			s.video, s.screen, o.reads = true, offer.Screen, offer.Video
		}
	})
}

// adds notes a further session in which the client sends.
func (o *occupant) adds(number int, offer *focus.Offer) {
	o.changes(func() { o.sends[number] = showing(offer) })
}

// removes notes that the client sends nothing more in a session.
func (o *occupant) removes(number int) { o.changes(func() { o.sends[number] = shown{} }) }

// changes makes a change, and shows it to the room if it is one.
func (o *occupant) changes(make func()) {
	o.mu.Lock()
	sends, reads := o.sends, o.reads
	make()
	news := o.sends != sends || o.reads != reads
	o.mu.Unlock()
	if news {
		o.Show()
	}
}

// watches notes that the client is shown what others send, also if it shows nothing itself: then it reads what every client does
// (RFC 7742 §5).
func (o *occupant) watches() {
	o.changes(func() {
		if o.reads == "" {
			o.reads = "vp8"
		}
	})
}

// Entered implements seat.Client.
func (o *occupant) Entered() {}

// Left implements seat.Client.
func (o *occupant) Left(why seat.Exit) { o.call.end(expelled(why)) }

// expelled says in Jingle's words why somebody is not, or no more, in a room.
func expelled(why seat.Exit) *jingle.Reason {
	if why.Fault != nil {
		return reasonOf(why.Fault)
	}
	reason := &jingle.Reason{Condition: jingle.Success, Text: why.Cause.String()}
	switch why.Cause {
	case seat.Expelled:
		reason.Condition = jingle.Decline
	case seat.Stopping:
		reason.Condition = jingle.Gone
	}
	return reason
}

// asked takes that the focus has muted the occupant (jitsi.md §6.4).
func (o *occupant) asked(from wire.Addr, p *wire.Packet) bool {
	if string(p.Type()) != "set" || from.Resource() != "focus" {
		return false
	}
	for _, media := range []string{"audio", "video"} {
		if p.ChildIs("mute", "http://jitsi.org/jitmeet/"+media) {
			o.Reply(from, p)
			o.muted(-1, media, true)
			return true
		}
	}
	return false
}

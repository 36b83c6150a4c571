package call

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"parley/jingle"
	"parley/jingle/seat"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// occupant is the caller's place in the room, with the caller's bare address and a resource of ours, and what it shows there.
type occupant struct {
	*seat.Seat
	call *session
	name string // as others read it

	mu    sync.Mutex // guards what follows; nothing is called with it held
	audio bool       // it says that it is muted
	video bool
	codec string // of its video; "": it has none
	reads string // the codec of video that its client reads
}

// resourcePrefix begins the resources of occupants.
const resourcePrefix = "parley-call-"

// IsSeat reports that an address is that of an occupant who calls. It ends with the process.
func IsSeat(a wire.Addr) bool { return strings.HasPrefix(a.Resource(), resourcePrefix) }

func newOccupant(c *session, from route.Sender, codec, password string) *occupant {
	r, ok := from.(interface{ Remote() bool })
	o := &occupant{call: c, name: c.caller.Local(), codec: codec, reads: codec}
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

func digits(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// Presence implements seat.Client.
func (o *occupant) Presence(nick string) []byte {
	o.mu.Lock()
	info := map[string]map[string]bool{nick + "-a0": {"muted": o.audio}}
	video, reads := o.codec, o.reads
	if video != "" {
		info[nick+"-v0"] = map[string]bool{"muted": o.video}
	}
	muted := [2]bool{o.audio, o.video || video == ""}
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

// muted notes what the client says of its microphone ("audio") or camera ("video"), or of both.
func (o *occupant) muted(media string, on bool) {
	o.mu.Lock()
	audio, video := o.audio, o.video
	if media != "video" {
		o.audio = on
	}
	if media != "audio" {
		o.video = on
	}
	news := o.audio != audio || o.video != video
	o.mu.Unlock()
	if news {
		o.Show()
	}
}

// shows notes that video is part of the call too.
func (o *occupant) shows(codec string) {
	o.mu.Lock()
	news := codec != "" && o.codec == ""
	if news {
		o.codec, o.reads = codec, codec
	}
	o.mu.Unlock()
	if news {
		o.Show()
	}
}

// watches notes that the client is shown what others send, also if it shows nothing itself: then it reads what every client does
// (RFC 7742 §5).
func (o *occupant) watches() {
	o.mu.Lock()
	news := o.reads == ""
	if news {
		o.reads = "vp8"
	}
	o.mu.Unlock()
	if news {
		o.Show()
	}
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
			o.muted(media, true)
			return true
		}
	}
	return false
}

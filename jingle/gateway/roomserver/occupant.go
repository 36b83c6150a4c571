package roomserver

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"parley/internal/token"
	"parley/jingle/seat"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

const nsNick = "http://jabber.org/protocol/nick"

// occupant is a member's place in the room that everybody is in, and what it shows there.
type occupant struct {
	*seat.Seat
	room   *room
	member *member

	mu      sync.Mutex // guards what follows; nothing is called with it held
	name    string     // as others read it
	devices [devices]bool
	video   string // the codecs of video that it reads, as codecList has them; "": it has not said
}

// resource is that of all occupants.
const resource = "roomserver"

// IsSeat reports that an address is that of a member. It ends with the process.
func IsSeat(a wire.Addr) bool {
	return a.Resource() == resource && strings.HasPrefix(a.Local(), localPrefix)
}

const localPrefix = "roomserver-"

func newOccupant(r *room, m *member, source netip.Addr, claims *token.Claims) *occupant {
	o := &occupant{room: r, member: m, name: m.uname, devices: m.devices}
	parts := r.service.parts
	place := seat.Place{Router: parts.Router, Rooms: parts.MUC, Client: o, Room: r.addr, Nick: seat.Nick(m.uname, "member"),
		Addr:  wire.Addr(localPrefix + strings.ToLower(rand.Text()) + "@" + parts.Domain + "/" + resource),
		Guest: true, Source: source, Claims: claims, Type: "web"}
	if r.service.bridges() {
		place.Saw = r.saw
	}
	o.Seat = seat.New(place)
	return o
}

// Presence implements seat.Client.
func (o *occupant) Presence(nick string) []byte {
	o.mu.Lock()
	name, on, reads := o.name, o.devices, o.video
	o.mu.Unlock()
	muted := func(device int) map[string]bool { return map[string]bool{"muted": !on[device]} }
	info, _ := json.Marshal(map[string]any{nick + "-a0": muted(deviceMicrophone), nick + "-v0": muted(deviceCamera)})
	inner := []byte("<nick xmlns='" + nsNick + "'>")
	inner = append(wire.AppendEscaped(inner, name), "</nick>"...)
	inner = wire.AppendElem(inner, "SourceInfo", string(info))
	if reads != "" {
		inner = wire.AppendElem(inner, "jitsi_participant_codecList", reads)
	}
	inner = fmt.Appendf(inner, "<audiomuted>%t</audiomuted><videomuted>%t</videomuted>", !on[deviceMicrophone], !on[deviceCamera])
	// A member with this feature is none that the others talk to without the bridge (jitsi.md §11.3).
	return append(inner, "<features><feature var='http://jitsi.org/protocol/jigasi'/></features>"...)
}

// reads notes which codecs of video the client has taken.
func (o *occupant) reads(video string) {
	o.mu.Lock()
	news := o.video != video
	o.video = video
	o.mu.Unlock()
	if news {
		o.Show()
	}
}

// shows notes which devices are on, and tells the room if that is news.
func (o *occupant) shows(on [devices]bool) {
	o.mu.Lock()
	news := o.devices != on
	o.devices = on
	o.mu.Unlock()
	if news {
		o.Show()
	}
}

// renamed notes the name that others read.
func (o *occupant) renamed(name string) {
	o.mu.Lock()
	news := o.name != name
	o.name = name
	o.mu.Unlock()
	if news {
		o.Show()
	}
}

// Entered implements seat.Client.
func (o *occupant) Entered() { o.room.Post(func() { o.room.entered(o.member) }) }

// Left implements seat.Client.
func (o *occupant) Left(why seat.Exit) {
	if why.Was {
		o.room.Post(func() { o.member.kicked(why.Cause.String()) })
		return
	}
	f := o.fault(why.Fault)
	o.room.Post(func() { o.room.refused(o.member, f) })
}

// fault says in the door's codes why a room does not let somebody in.
func (o *occupant) fault(e *wire.Error) *fault {
	if e == nil {
		return fail(resultNotAllowed)
	}
	switch e.Condition {
	case mstanza.ServiceUnavailable, mstanza.ResourceConstraint:
		return failFull(o.room.service.capacity())
	case mstanza.ItemNotFound, mstanza.Gone, mstanza.NotAllowed: // there is none, and the member may not make it
		return fail(resultNoRoom)
	case mstanza.InternalServerError, mstanza.RecipientUnavailable:
		return fail(resultBroken)
	}
	return fail(resultNotAllowed)
}

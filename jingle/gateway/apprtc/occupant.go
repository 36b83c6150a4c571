package apprtc

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"unicode"

	"parley/internal/token"
	"parley/jingle/seat"
	"parley/xmpp/wire"
)

const nsNick = "http://jabber.org/protocol/nick"

// occupant is a member's place in the room that everybody is in.
type occupant struct {
	*seat.Seat
	member *member
	name   string // as others read it
	claims *token.Claims

	mu    sync.Mutex // guards what follows; nothing is called with it held
	calls bool       // it talks to the bridge
	video string     // the codecs of video that it reads, as codecList has them; "": it has none
}

// resource is that of all occupants.
const resource = "apprtc"

// IsSeat reports that an address is that of a member. It ends with the process.
func IsSeat(a wire.Addr) bool {
	return a.Resource() == resource && strings.HasPrefix(a.Local(), localPrefix)
}

const localPrefix = "apprtc-"

// newOccupant makes the place of a member. Its nickname says nothing of the client's id: who knows that can speak in its name.
func newOccupant(m *member, name string, claims *token.Claims) *occupant {
	n, err := rand.Int(rand.Reader, big.NewInt(1e4))
	if err != nil {
		panic(err)
	}
	if claims != nil && claims.User.Name != "" {
		name = claims.User.Name
	}
	number := fmt.Sprintf("AppRTC_%04d", n)
	o := &occupant{member: m, name: nameOf(name), claims: claims}
	nick := seat.Nick(o.name, number)
	if o.name == "" {
		nick, o.name = number, strings.ReplaceAll(number, "_", "-")
	}
	s := m.room.service
	o.Seat = seat.New(seat.Place{Router: s.parts.Router, Rooms: s.parts.MUC, Client: o, Room: m.room.addr, Nick: nick, Addr: s.newAddress(),
		Guest: true, Source: m.source, Claims: claims, Type: "web", Features: []string{"urn:xmpp:jingle:apps:rtp:audio", "urn:xmpp:jingle:apps:rtp:video"},
		Saw: o.met})
	return o
}

// newAddress makes an address that nobody has.
func (s *Service) newAddress() wire.Addr {
	return wire.Addr(localPrefix + strings.ToLower(rand.Text()) + "@" + s.parts.Domain + "/" + resource)
}

// nameOf makes a name that can be shown of what somebody has written.
func nameOf(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, text)
	runes := []rune(strings.TrimSpace(text))
	return strings.TrimSpace(string(runes[:min(len(runes), 64)]))
}

// speaks notes that the member talks to the bridge.
func (o *occupant) speaks(video string) {
	o.mu.Lock()
	o.calls, o.video = true, video
	o.mu.Unlock()
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

// Presence implements seat.Client.
func (o *occupant) Presence(nick string) []byte {
	o.mu.Lock()
	calls, video := o.calls, o.video
	o.mu.Unlock()
	inner := []byte("<nick xmlns='" + nsNick + "'>")
	inner = append(wire.AppendEscaped(inner, o.name), "</nick>"...)
	// A member with this feature is none that the others talk to without the bridge (jitsi.md §11.3): they know from the start.
	inner = append(inner, "<features><feature var='http://jitsi.org/protocol/jigasi'/></features>"...)
	if !calls {
		return inner
	}
	sends := map[string]map[string]bool{nick + "-a0": {"muted": false}}
	if video != "" {
		sends[nick+"-v0"] = map[string]bool{"muted": false}
	}
	info, _ := json.Marshal(sends)
	inner = wire.AppendElem(inner, "SourceInfo", string(info))
	if video != "" { // nobody translates between codecs: what others send has to be what the client reads
		inner = wire.AppendElem(inner, "jitsi_participant_codecList", video)
	}
	return fmt.Appendf(inner, "<audiomuted>false</audiomuted><videomuted>%t</videomuted>", video == "")
}

// Entered implements seat.Client.
func (o *occupant) Entered() { o.post(func(r *room, m *member) { r.entered(m) }) }

// Left implements seat.Client.
func (o *occupant) Left(why seat.Exit) {
	o.post(func(r *room, m *member) {
		if why.Was {
			r.expelled(m)
		} else {
			r.refused(m, why)
		}
	})
}

// met takes the presence of others: who is in the call by another protocol says so in it.
func (o *occupant) met(nick string, p *wire.Packet) {
	typ := string(p.Type())
	if nick == "focus" || typ != "" && typ != "unavailable" {
		return
	}
	calls := false
	for it := p.Elem().Children(); typ == "" && it.Next(); {
		switch string(it.Elem.Local()) {
		case "SourceInfo", "jitsi_participant_codecList":
			calls = true
		}
	}
	o.post(func(r *room, _ *member) { r.meet(nick, calls) })
}

// post has something done by the room, as long as the occupant is the member's.
func (o *occupant) post(f func(*room, *member)) {
	r, m := o.member.room, o.member
	r.Post(func() {
		if m.seat == o {
			f(r, m)
		}
	})
}

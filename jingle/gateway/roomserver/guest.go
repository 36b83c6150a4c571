package roomserver

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"

	"parley/xmpp/wire"
)

// guest is somebody who is in the meeting by another protocol.
type guest struct {
	nick    string
	uid     string // as members know it: the nickname, unless a member has that
	uname   string
	devices [devices]bool
}

// focusNick is the server's own part in a room.
const focusNick = "focus"

// Bounds of what presence says.
const (
	maxSourceInfo = 8 << 10 // bytes
	maxName       = 256     // bytes
)

// readGuest reads from presence who somebody is, and what is on; nil: it takes no part in the call. Clients say that by the names
// of their sources (jitsi.md §8.4) or, as older ones, by elements of their own.
func readGuest(nick string, p *wire.Packet) *guest {
	if nick == focusNick || string(p.Type()) != "" {
		return nil
	}
	g := &guest{nick: nick, uid: nick, uname: nick}
	calls, named := false, false
	for it := p.Elem().Children(); it.Next(); {
		switch e := it.Elem; string(e.Local()) {
		case "nick":
			if name := e.Text(); name != "" && len(name) <= maxName && !strings.ContainsFunc(name, unicode.IsControl) {
				g.uname = name
			}
		case "jitsi_participant_codecList":
			calls = true
		case "audiomuted", "videomuted":
			if calls = true; !named {
				g.devices[map[bool]int{true: deviceMicrophone, false: deviceCamera}[string(e.Local()) == "audiomuted"]] = e.Text() == "false"
			}
		case "SourceInfo":
			calls, named = true, true
			g.devices = devicesIn(nick, e.Text())
		}
	}
	if !calls {
		return nil
	}
	return g
}

// devicesIn reads which devices somebody's sources stand for, and are on.
func devicesIn(nick, text string) (on [devices]bool) {
	var info map[string]struct {
		Muted *bool  `json:"muted"`
		Type  string `json:"videoType"`
	}
	if len(text) > maxSourceInfo || json.Unmarshal([]byte(text), &info) != nil {
		return on
	}
	for name, s := range info {
		letter, own := strings.CutPrefix(name, nick+"-")
		switch {
		case !own || s.Muted == nil || *s.Muted:
		case strings.HasPrefix(letter, "a"):
			on[deviceMicrophone] = true
		case strings.HasPrefix(letter, "v") && s.Type == "desktop":
			on[deviceScreen] = true
		case strings.HasPrefix(letter, "v"):
			on[deviceCamera] = true
		}
	}
	return on
}

// saw takes presence of somebody else in the room, as one member's occupant is shown it. What is not looked at yet gives way to
// what is said later.
func (r *room) saw(nick string, p *wire.Packet) {
	g := readGuest(nick, p)
	r.mu.Lock()
	first := len(r.news) == 0
	if r.news == nil {
		r.news = make(map[string]*guest)
	}
	r.news[nick] = g
	r.mu.Unlock()
	if first {
		r.Post(r.look)
	}
}

// look brings the guests in line with what was seen.
func (r *room) look() {
	r.mu.Lock()
	news := r.news
	r.news = nil
	r.mu.Unlock()
	for nick, g := range news {
		old := r.guests[nick]
		switch {
		case g == nil && old != nil:
			delete(r.guests, nick)
			r.guestLeft(old)
		case g == nil:
		case r.seated(nick):
			// A member's occupant, or the nickname that one tries: it is told once more of whoever has that.
		case old == nil:
			r.guestCame(g)
		default:
			r.guestChanged(old, g)
		}
	}
	r.weigh()
}

// seated reports that a nickname is one of a member's.
func (r *room) seated(nick string) bool {
	for _, m := range r.order {
		if m.asked && m.seat.Nick() == nick {
			return true
		}
	}
	return false
}

// guestMost is how many people of other protocols members are told of.
const guestMost = 1000

func (r *room) guestCame(g *guest) {
	if len(r.guests) >= guestMost {
		return
	}
	for n := 2; r.members[g.uid] != nil || r.guestOf(g.uid) != nil; n++ {
		g.uid = g.nick + "_" + strconv.Itoa(n)
	}
	if r.guests == nil {
		r.guests = make(map[string]*guest)
	}
	r.guests[g.nick] = g
	r.weigh() // so that members are not asked to offer to somebody who has no sessions with them
	for _, m := range r.order {
		if !m.inside || m.joining != nil {
			continue
		}
		m.conn.Send(newFrame("req", "notifyNewPeer").text("uid", g.uid).text("uname", g.uname).number("userType", 0).number("talkType", talkBoth).
			raw("rtcConfig", m.bridgeConfig()).end())
		m.showAll()
	}
}

func (r *room) guestLeft(g *guest) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	for _, m := range r.order {
		if m.withoutView(g.nick); m.inside && m.joining == nil {
			m.conn.Send(newFrame("relay", "relayLeave").text("appId", m.appID).text("sessionId", "").number("gate", r.gate).text("roomId", m.roomID).
				text("uid", g.uid).text("uname", g.uname).number("userType", 0).text("time", now).end())
		}
		delete(m.guestSubs, g.uid)
	}
}

// guestChanged tells members what somebody has turned on or off.
func (r *room) guestChanged(old, g *guest) {
	was := old.devices
	old.uname, old.devices = g.uname, g.devices
	for _, m := range r.order {
		for i, on := range g.devices {
			if on != was[i] && m.inside && m.joining == nil {
				m.tellDevice(old, i)
			}
		}
	}
}

// tellDevice tells a member whether a device of somebody is on.
func (m *member) tellDevice(g *guest, device int) {
	m.conn.Send(newFrame("relay", "relayTurnTalkType").text("uid", g.uid).text("uname", g.uname).number("index", device).raw("enable", flag(g.devices[device])).end())
}

// guestOf finds somebody by uid.
func (r *room) guestOf(uid string) *guest {
	if g := r.guests[uid]; g != nil && g.uid == uid {
		return g
	}
	for _, g := range r.guests {
		if g.uid == uid {
			return g
		}
	}
	return nil
}

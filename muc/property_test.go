package muc

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"parley/xmpp/wire"
)

// move is one thing that somebody does in the model.
type move struct {
	who, whom, what, how int
	pause                bool // time passes before the next one
}

const (
	players = 5
	moves   = 21
)

// perform carries out a move.
func perform(w *world, all []*client, m move) {
	c := all[m.who]
	nick := fmt.Sprintf("n%d", m.whom)
	bare := all[m.whom].addr.Bare()
	flag := fmt.Sprint(m.how % 2)
	rank := []string{"owner", "admin", "member", "none", "outcast"}[m.how%5]
	role := []string{"none", "visitor", "participant", "moderator"}[m.how%4]
	iq := func(ns, payload string) {
		c.send("<iq to='r@muc.x' type='set' id='i'><query xmlns='%s'>%s</query></iq>", ns, payload)
	}
	switch m.what {
	case 0, 1, 2, 3, 4, 5:
		c.send("<presence to='r@muc.x/n%d'>%s</presence>", m.who, join)
	case 6:
		c.send("<presence to='r@muc.x/n%d' type='unavailable'/>", m.who)
	case 7:
		w.s.Gone(c.addr)
		w.settle()
	case 8:
		c.send("<presence to='r@muc.x/%s'/>", nick)
	case 9:
		c.send("<presence to='r@muc.x/n%d'><status>%d</status></presence>", m.who, m.how)
	case 10, 11:
		iq(NSAdmin, fmt.Sprintf("<item affiliation='%s' jid='%s'/>", rank, bare))
	case 12, 13:
		iq(NSAdmin, fmt.Sprintf("<item nick='%s' role='%s'/>", nick, role))
	case 14:
		c.submit("r", cfgMembers, flag)
	case 15:
		c.submit("r", cfgModerated, flag)
	case 16:
		c.submit("r", cfgPersistent, flag)
	case 17:
		c.submit("r", cfgWhois, whois[m.how%2])
	case 18:
		if m.how == 0 {
			iq(NSOwner, "<destroy/>")
		}
	case 19:
		w.s.Conference(c, "r@muc.x", FirstOwns, func(Meeting, *wire.Error) {})
		w.settle()
	case 20:
		c.submit("r", cfgBroadcast, []string{"moderator", "participant", "visitor"}[m.how%3])
	}
	if m.pause {
		w.pass(200 * time.Millisecond)
	}
}

// watch brings what a client knows of the room up to date with what it was sent, and says what is wrong with that.
func watch(view map[string]string, got []string) error {
	for _, raw := range got {
		if !strings.HasPrefix(raw, "<presence") || strings.Contains(raw, "type='error'") {
			continue
		}
		p := wire.ParseElem([]byte(raw))
		from := wire.Addr(p.AttrString("from")).Resource()
		x := p.Child("x", NSUser)
		item := x.Child("item", NSUser)
		self := strings.Contains(raw, "code='110'")
		if p.AttrString("type") == "unavailable" {
			if _, known := view[from]; !known && !self {
				return fmt.Errorf("is told that %s leaves, of whom it has not heard: %s", from, raw)
			}
			delete(view, from)
			if self && !strings.Contains(raw, "code='303'") {
				clear(view)
			}
			continue
		}
		view[from] = item.AttrString("affiliation") + " " + item.AttrString("role")
	}
	return nil
}

// roomState returns the room as it is, nil if there is none. Nothing must be under way.
func (w *world) roomState(addr wire.Addr) *room {
	w.s.mu.Lock()
	c := w.s.cells[addr]
	w.s.mu.Unlock()
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.room
}

// judge says what is wrong with the world.
func judge(w *world, all []*client, views []map[string]string, owned bool) error {
	r := w.roomState("r@muc.x")
	truth := make(map[string]string)
	inside := make(map[wire.Addr]*session)
	owners := 0
	if r != nil && r.phase == open {
		for _, o := range r.occupants {
			if len(o.sessions) == 0 || r.byNick[o.key] != o {
				return fmt.Errorf("%s has %d sessions", o.nick, len(o.sessions))
			}
			if o.listed != r.shows(o.role) {
				return fmt.Errorf("%s is listed: %v", o.nick, o.listed)
			}
			truth[o.nick] = o.affiliation.String() + " " + o.role.String()
			if want := r.affiliation(o.bare); !r.isFocus(o) && o.affiliation != want {
				return fmt.Errorf("%s is %s and shown as %s", o.nick, want, o.affiliation)
			}
			if r.settings.MembersOnly && o.affiliation < Member || o.role == NoRole || o.affiliation == Outcast {
				return fmt.Errorf("%s should not be here: %s", o.nick, truth[o.nick])
			}
			for _, s := range o.sessions {
				inside[s.addr] = s
			}
		}
		for _, s := range r.standings {
			if s.affiliation == Owner {
				owners++
			}
		}
		if owned && owners == 0 {
			return fmt.Errorf("the room has lost its last owner")
		}
		if len(r.pending) > 0 || len(r.deferred) > 0 || r.door.busy() || len(r.dirty) > 0 {
			return fmt.Errorf("something is left to do")
		}
	}
	for i, c := range all {
		if err := watch(views[i], c.take()); err != nil {
			return fmt.Errorf("%s %w", c.addr, err)
		}
		want := make(map[string]string)
		if s := inside[c.addr]; s != nil {
			for nick, words := range truth {
				if o := r.occupantOf(nick); o.listed || o == s.occupant {
					want[nick] = words
				}
			}
		}
		if !maps.Equal(views[i], want) {
			return fmt.Errorf("%s sees %v where there is %v", c.addr, views[i], want)
		}
		if w.s.index.in(c.addr, "r@muc.x") != (inside[c.addr] != nil) {
			return fmt.Errorf("%s: the index has it the other way round", c.addr)
		}
		if c.holds() != 0 {
			return fmt.Errorf("%s: %d acknowledgements are held", c.addr, c.holds())
		}
	}
	if got := w.s.Stats().Occupants; r != nil && got != len(r.sessions) {
		return fmt.Errorf("%d occupants are counted", got)
	}
	return nil
}

// TestOccupantsAgree plays games at random: all who are inside see the same, nothing is left over, and no room that has
// owners loses the last.
func TestOccupantsAgree(t *testing.T) {
	number := func(n int) *rapid.Generator[int] { return rapid.IntRange(0, n-1) }
	one := rapid.Custom(func(t *rapid.T) move {
		return move{number(players).Draw(t, "who"), number(players).Draw(t, "whom"), number(moves).Draw(t, "what"), number(20).Draw(t, "how"), rapid.Bool().Draw(t, "pause")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		game := rapid.SliceOfN(one, 1, 60).Draw(rt, "game")
		coalesce := rapid.SampledFrom([]int{1, 100}).Draw(rt, "coalesce")
		var wrong error
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Limits.CoalesceAbove = coalesce })
			var all []*client
			views := make([]map[string]string, players)
			for i := range players {
				all = append(all, w.client(fmt.Sprintf("p%d@x/1", i)))
				views[i] = make(map[string]string)
			}
			owned, was := false, (*room)(nil)
			for n, m := range game {
				r := w.roomState("r@muc.x")
				if r != was {
					owned, was = false, r
				}
				if r != nil {
					for _, s := range r.standings {
						owned = owned || s.affiliation == Owner
					}
				}
				perform(w, all, m)
				if w.roomState("r@muc.x") != was {
					owned = false
				}
				if !m.pause {
					continue
				}
				if err := judge(w, all, views, owned); err != nil {
					wrong = fmt.Errorf("after move %d, %+v: %w", n, m, err)
					break
				}
			}
			w.close()
		})
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}

package focus

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

// MujiSession says that a session is with a participant of a room's Muji conference.
type MujiSession struct {
	Peer wire.Addr // real full address
	SID  string
	Ours bool // the focus has begun it
}

// Muji is who speaks with participants of Muji conferences from the focus's address. The methods are called from any goroutine, and
// must not block.
type Muji interface {
	// Begin begins a session, of which o.Muji says with whom; what comes of it is told as with any call.
	Begin(room wire.Addr, o *Offer)
	// Broke ends a session of which the process that was killed had all that there was.
	Broke(s MujiSession)
}

// TakeMuji has the focus take part in Muji conferences with clients of the accounts of a domain. It comes before the first room.
func (f *Focus) TakeMuji(domain string, m Muji) { f.muji, f.mujiDomain = m, domain }

// Address is the full address at which rooms list the focus.
func (f *Focus) Address() wire.Addr { return wire.Addr(f.cfg.Address) }

// Participant says, by done, whether an address is of somebody who speaks Muji in a room in which the focus does too. What the
// client had sent to the room before counts. Done is called once, perhaps from the room's runner.
func (f *Focus) Participant(room, addr wire.Addr, done func(bool)) {
	f.mu.Lock()
	c := f.conferences[room]
	f.mu.Unlock()
	if c == nil {
		done(false)
		return
	}
	c.mu.Lock()
	seat := c.seat
	c.mu.Unlock()
	if seat == nil {
		done(false)
		return
	}
	seat.Done(func() {
		c.mu.Lock()
		takes := !c.ended && !c.restoring && c.muji.takes(addr)
		c.mu.Unlock()
		done(takes)
	})
}

// mujiCall begins a session with a participant.
type mujiCall struct {
	room  wire.Addr
	offer *Offer
}

func (e mujiCall) do(f *Focus, _ *conference, _ *muc.Seat) { f.muji.Begin(e.room, e.offer) }

// mujiFence asks the room to say when it has what the focus shows.
type mujiFence struct{ shown int }

func (e mujiFence) do(f *Focus, c *conference, seat *muc.Seat) {
	seat.Done(func() { f.step(c, func(now time.Time) { c.mujiShown(e.shown, now) }) })
}

// mujiBroke ends a session that did not survive the process.
type mujiBroke struct{ session MujiSession }

func (e mujiBroke) do(f *Focus, _ *conference, _ *muc.Seat) {
	if f.muji != nil {
		f.muji.Broke(e.session)
	}
}

// mujiSaved are the sessions with participants, as the journal has them: their media end with the process, and their clients would
// wait for more. After it was killed they are told that the sessions have ended, and those who are still there are called anew.
func (c *conference) mujiSaved() string {
	var list []MujiSession
	for _, k := range c.calls {
		if k.peer != "" && !k.over {
			list = append(list, MujiSession{k.peer, k.sid, k.client == jingle.Responder})
		}
	}
	list = append(list, c.muji.stale...)
	if len(list) == 0 {
		return ""
	}
	slices.SortFunc(list, func(a, b MujiSession) int { return cmp.Or(cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.SID, b.SID)) })
	b, err := json.Marshal(list)
	if err != nil {
		panic(err) // of plain values
	}
	return string(b)
}

// mujiLoad takes them from the journal.
func (c *conference) mujiLoad(saved string) {
	c.muji.stale = nil
	if saved != "" {
		if json.Unmarshal([]byte(saved), &c.muji.stale) != nil {
			c.muji.stale = nil // it is of no use
		}
	}
}

// mujiResume ends what the process that was killed has left.
func (c *conference) mujiResume() {
	for _, s := range c.muji.stale {
		c.emit(mujiBroke{s})
	}
	c.muji.stale = nil
}

package focus

import (
	"parley/bridge/api"
	"parley/muc"
	"parley/xmpp/wire"
)

// effect is something that a conference wants done outside of it. Effects are carried out in order and without a lock.
type effect interface {
	do(f *Focus, c *conference, seat *muc.Seat)
}

// ask is an IQ to an occupant.
type ask struct {
	nick, typ, id string
	payload       []byte
}

// answer is the result of an IQ.
type answer struct {
	to      muc.FocusStanza
	payload []byte
}

// refuse is the error that answers an IQ. With an event it is counted.
type refuse struct {
	to    muc.FocusStanza
	why   *wire.Error
	event string
}

// note counts what was left out without a refusal.
type note struct{ event, endpoint, text string }

// present is a new payload of the focus's presence.
type present struct{ children []byte }

// apply is a new wish to the bridge.
type apply struct{ wish api.Conference }

// done acknowledges a stanza to its sender.
type done struct{ release func() }

func (e ask) do(_ *Focus, _ *conference, seat *muc.Seat)     { seat.Ask(e.nick, e.typ, e.id, e.payload) }
func (e answer) do(_ *Focus, _ *conference, seat *muc.Seat)  { seat.Answer(e.to, e.payload) }
func (e present) do(_ *Focus, _ *conference, seat *muc.Seat) { seat.Present(e.children) }
func (e apply) do(f *Focus, _ *conference, _ *muc.Seat)      { f.bridge.Apply(e.wish) }

func (e done) do(_ *Focus, _ *conference, seat *muc.Seat) { seat.Done(e.release) }

func (e record) do(f *Focus, c *conference, seat *muc.Seat) {
	b := e.entry.marshal(c.meeting)
	seat.Note(func() { c.ledger.write(f.journal, e, b) })
}

func (e note) do(f *Focus, _ *conference, seat *muc.Seat) {
	f.rec.Reject(e.event, string(seat.Room())+"/"+e.endpoint, "text", e.text)
	if cause := failures[e.event]; cause != "" {
		f.deny(seat.Room(), cause)
	}
}

func (e refuse) do(f *Focus, _ *conference, seat *muc.Seat) {
	if e.event != "" {
		f.rec.Reject(e.event, string(e.to.Addr), "room", string(e.to.Room), "text", e.why.Text)
	}
	seat.Refuse(e.to, e.why)
}

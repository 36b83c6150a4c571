package hook

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"parley/internal/store"
	"parley/jingle/focus"
	"parley/muc"
	"parley/xmpp/wire"
)

// message is something that has happened, for the hooks that want to know.
type message struct {
	hooks []string
	id    string
	body  []byte
	at    time.Time
}

// envelope is what is sent (Standard Webhooks 1.0.0, payload structure).
type envelope struct {
	Type string    `json:"type"`
	Time time.Time `json:"timestamp"`
	Data any       `json:"data"`
}

type room struct {
	Room    string `json:"room"`    // its name
	Address string `json:"address"` // in XMPP
}

type member struct {
	room
	Nick   string `json:"nick"`
	ID     string `json:"id"` // the same for a person in a room, whatever the nickname
	Door   string `json:"door,omitempty"`
	Guest  bool   `json:"guest,omitempty"`
	User   *user  `json:"user,omitempty"`
	Reason string `json:"reason,omitempty"` // of leaving
}

// user is whom the member's token was issued to.
type user struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type call struct {
	room
	Meeting string     `json:"meeting"`
	Began   time.Time  `json:"began"`
	Ended   *time.Time `json:"ended,omitempty"`
	Seconds int        `json:"seconds,omitempty"`
	Members int        `json:"members"` // at a time, at most
	Gate    string     `json:"gate"`    // the furthest that was needed
}

var reasons = map[muc.Why]string{
	muc.LeftSelf: "left", muc.LeftGone: "gone", muc.LeftKicked: "kicked", muc.LeftBanned: "banned", muc.LeftRank: "members-only", muc.LeftClosed: "closed", muc.LeftEnded: "room-ended",
}

func roomOf(a wire.Addr) room { return room{a.Local(), string(a)} }

// Observe takes what happens in rooms, from their runners. It does not block, and does next to nothing while no hook wants to know.
func (s *Service) Observe(e muc.Event) {
	if len(*s.hooks.Load()) == 0 {
		return
	}
	switch e := e.(type) {
	case muc.RoomCreated:
		s.tell(RoomCreated, func() any { return roomOf(e.Room) })
	case muc.RoomDestroyed:
		s.tell(RoomEnded, func() any { return roomOf(e.Room) })
	case muc.OccupantJoined:
		s.tell(MemberJoined, func() any {
			m := member{room: roomOf(e.Room), Nick: e.Nick, ID: e.ID, Door: s.door(&e.Occupant), Guest: e.Guest}
			if c := e.Claims; c != nil && (c.User.ID != "" || c.User.Name != "") {
				m.User = &user{c.User.ID, c.User.Name}
			}
			return m
		})
	case muc.OccupantLeft:
		if e.ID == "" {
			return // the focus
		}
		s.tell(MemberLeft, func() any { return member{room: roomOf(e.Room), Nick: e.Nick, ID: e.ID, Reason: reasons[e.Why]} })
	}
}

// Call takes calls that begin and end.
func (s *Service) Call(e focus.CallEvent) {
	kind := CallStarted
	if !e.Ended.IsZero() {
		kind = CallEnded
	}
	s.tell(kind, func() any {
		c := call{room: roomOf(e.Room), Meeting: e.Meeting, Began: e.Began.UTC(), Members: e.Most, Gate: e.Gate.String()}
		if kind == CallEnded {
			ended := e.Ended.UTC()
			c.Ended, c.Seconds = &ended, int(e.Ended.Sub(e.Began)/time.Second)
		}
		return c
	})
}

// Ping has a hook told that it was asked for, whatever else it wants to know.
func (s *Service) Ping(hook store.Hook) {
	s.put([]string{hook.ID}, Ping, struct {
		App string `json:"app"`
	}{hook.App})
}

func (s *Service) tell(kind string, data func() any) {
	if hooks := s.wanted(kind); len(hooks) > 0 {
		s.put(hooks, kind, data())
	}
}

func (s *Service) put(hooks []string, kind string, data any) {
	now := time.Now()
	body, err := json.Marshal(envelope{kind, now.UTC(), data})
	if err != nil {
		s.rec.Hurt("hook.drop", "", "err", err.Error())
		return
	}
	m := message{hooks, "msg_" + rand.Text(), body, now}
	s.mu.Lock()
	full := len(s.pending) >= mostPending
	if !full {
		s.pending = append(s.pending, m)
	}
	s.mu.Unlock()
	if full {
		s.rec.Hurt("hook.drop", "", "text", "more happens than the store takes")
		return
	}
	nudge(s.wake)
}

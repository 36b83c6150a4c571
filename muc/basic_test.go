package muc

import (
	"testing"

	"parley/xmpp/wire"
)

func TestJoinMessageAndLeaveReachEverybody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/orchard"), w.client("juliet@x/balcony")
		romeo.join("r", "romeo")
		juliet.join("r", "juliet")
		romeo.want("from='r@muc.x/juliet'", "role='participant'")
		romeo.send("<message to='r@muc.x' type='groupchat' id='m1'><body>Hark!</body></message>")
		romeo.want("from='r@muc.x/romeo'", "id='m1'", "<body>Hark!</body>", "stanza-id")
		juliet.want("from='r@muc.x/romeo'", "<body>Hark!</body>")
		juliet.send("<message to='r@muc.x/romeo' type='chat'><body>psst</body></message>")
		romeo.want("from='r@muc.x/juliet'", "type='chat'", "psst")
		romeo.send("<iq to='r@muc.x/juliet' type='set' id='j1'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate'/></iq>")
		juliet.want("from='r@muc.x/romeo'", "id='j1'", "session-initiate")
		juliet.send("<iq to='r@muc.x/romeo' type='result' id='j1'/>")
		romeo.want("from='r@muc.x/juliet'", "type='result'", "id='j1'")
		juliet.send("<iq to='r@muc.x/romeo' type='result' id='j1'/>")
		romeo.wantNot("type='result'")
		juliet.send("<presence to='r@muc.x/juliet' type='unavailable'/>")
		juliet.want("type='unavailable'", "status code='110'")
		romeo.want("type='unavailable'", "from='r@muc.x/juliet'")
		if got := w.s.Stats(); got != (Stats{1, 1}) {
			t.Errorf("stats %+v", got)
		}
		romeo.gone()
		if got := w.s.Stats(); got != (Stats{}) {
			t.Errorf("stats %+v after all have left", got)
		}
	})
}

func TestFocusSitsInAConference(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann, ben := w.client("ann@guest.x/1"), w.client("ben@guest.x/1")
		var m Meeting
		w.s.Conference(ann, "r@muc.x", FirstOwns, func(got Meeting, err *wire.Error) {
			if err != nil {
				t.Error(err)
			}
			m = got
		})
		w.settle()
		if !m.Born || len(m.ID) != 36 || m.Seat == nil {
			t.Fatalf("meeting %+v", m)
		}
		m.Seat.Present([]byte("<conference-properties xmlns='http://jitsi.org/protocol/focus'/>"))
		w.settle()
		ann.send("<presence to='r@muc.x/0f3a9c1e'><x xmlns='" + NSMUC + "'/></presence>")
		got := ann.take()
		if len(got) != 3 || !holds(got[0], []string{"from='r@muc.x/focus'", "affiliation='owner' role='moderator' jid='focus@auth.x/focus'", "conference-properties"}) ||
			!holds(got[1], []string{"code='110'", "role='moderator'"}) {
			t.Fatalf("ann got %q", got)
		}
		w.s.Conference(ben, "r@muc.x", FirstOwns, func(Meeting, *wire.Error) {})
		ben.join("r", "11111111")
		ann.want("r@muc.x/11111111", "role='participant'", "jid='ben@guest.x/1'")

		ben.send("<iq to='r@muc.x/focus' type='set' id='f1'><mute xmlns='http://jitsi.org/jitmeet/audio'/></iq>")
		asked := w.last(t).(FocusStanza)
		if asked.Nick != "11111111" || string(asked.Packet.ID()) != "f1" {
			t.Fatalf("the focus got %+v", asked)
		}
		m.Seat.Answer(asked, nil)
		w.settle()
		ben.want("from='r@muc.x/focus'", "type='result'", "id='f1'")
		m.Seat.Ask("11111111", "set", "q1", []byte("<jingle xmlns='urn:xmpp:jingle:1'/>"))
		w.settle()
		ben.want("from='r@muc.x/focus'", "id='q1'", "jingle")
		ben.send("<iq to='r@muc.x/focus' type='result' id='q1'/>")
		if answer := w.last(t).(FocusStanza); string(answer.Packet.Type()) != "result" || answer.Addr != "ben@guest.x/1" {
			t.Fatalf("the focus got %+v", answer)
		}
		ann.gone()
		ben.want("r@muc.x/11111111", "role='moderator'", "code='110'")
		ben.gone()
		if _, ok := w.last(t).(RoomDestroyed); !ok {
			t.Errorf("the last event is %#v", w.last(t))
		}
	})
}

func (w *world) last(t *testing.T) Event {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 {
		t.Fatal("no event")
	}
	return w.events[len(w.events)-1]
}

package focus

import (
	"errors"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// stage is how far a session has come.
type stage uint8

const (
	idle    stage = iota // there is none
	waiting              // for the bridge's transport and the client's features
	offered
	active // accepted
	barren // it failed or the client ended it: none is begun until something changes
)

// session is the Jingle session between the focus and a member (jitsi.md §7). It knows no clock and does no I/O.
type session struct {
	stage     stage
	number    int            // api.Endpoint.Session
	sid       string         // Jingle session id
	bridge    string         // id of bridge-session
	attempts  int            // that a slow client has let pass
	offerID   string         // id of the IQ
	resultBy  time.Time      // zero when the offer was acknowledged
	acceptBy  time.Time      // zero when it was accepted
	transport *api.Transport // the bridge's side

	restart   int       // ICE restarts, api.Endpoint.Restart
	restartBy time.Time // when an ICE restart counts as failed; zero for none under way

	// What the client has accepted.
	remote  *api.Remote
	receive api.Receive

	sending   // what the member sends
	knowledge // what the client knows of the others
}

// The reasons for which the focus ends sessions.
var (
	gone     = &jingle.Reason{Condition: jingle.Gone}
	expired  = &jingle.Reason{Condition: jingle.Expired, Text: "nobody else is there"}
	tooSlow  = &jingle.Reason{Condition: jingle.Timeout}
	moved    = &jingle.Reason{Condition: jingle.Success, Text: "restart"}
	insecure = &jingle.Reason{Condition: jingle.SecurityError}
)

// begin starts a session: the bridge is asked for a transport, the client for its features.
func (c *conference) begin(m *member, now time.Time) {
	c.sessions++
	m.session = session{stage: waiting, number: c.sessions, attempts: m.attempts, sid: c.random(4), bridge: c.random(8)}
	m.receive = api.Receive{AudioSSRC: c.audioSSRC, VideoSSRC: c.videoSSRC}
	c.changed = true
	if m.call != nil {
		c.beginCall(m)
		return
	}
	c.learn(m, now)
}

// end ends a member's session, if there is one. Without a reason the client is not told.
func (c *conference) end(m *member, why *jingle.Reason) {
	switch {
	case m.call != nil:
		c.starve(m)
		for _, u := range m.call.raised {
			c.lowered(u, why)
		}
		m.call.raised = nil
		if why != nil && m.stage != idle && m.stage != barren {
			c.emit(tell{m.call.caller, nil, why})
		}
	case why != nil && (m.stage == offered || m.stage == active):
		j := jingle.Jingle{Action: jingle.SessionTerminate, Initiator: string(c.focus()), SID: m.sid, Reason: why,
			Bridge: &jingle.BridgeSession{ID: m.bridge}}
		c.emit(ask{m.endpoint, "set", c.iq(), j.Append(nil)})
	}
	if m.stage != idle {
		c.changed = true
	}
	c.setSources(m, jingle.Sources{})
	m.session = session{attempts: m.attempts}
}

// drop takes a member out of the call.
func (c *conference) drop(m *member, why *jingle.Reason) {
	c.end(m, why)
	if m.call != nil {
		c.release(m.call)
	}
	for i := range c.members {
		if c.members[i] == m {
			c.members = append(c.members[:i:i], c.members[i+1:]...)
			break
		}
	}
}

// again ends the session and begins a new one, in which the client stays in the room.
func (c *conference) again(m *member, why *jingle.Reason, now time.Time) {
	c.end(m, why)
	c.begin(m, now)
}

// retry is the answer to an offer that came to nothing: one more, and then none.
func (c *conference) retry(m *member, why *jingle.Reason, now time.Time) {
	c.emit(note{"focus.timeout", m.endpoint, string(why.Condition)})
	if m.attempts++; m.attempts > 1 {
		c.end(m, why)
		m.stage = barren
		return
	}
	c.again(m, why, now)
}

// expire does what the time has come for.
func (c *conference) expire(m *member, now time.Time) {
	if due(m.question.by, now) {
		c.know(m, modern)
	}
	if due(m.callBy(), now) {
		c.emit(note{"focus.timeout", m.endpoint, "call"})
		m.stage = waiting // it may not even have begun
		c.hangUp(m, &jingle.Reason{Condition: jingle.GeneralError, Text: "the call took too long"})
	}
	if due(m.restartBy, now) {
		m.restartBy = time.Time{} // the client falls back to a new session by itself (jitsi.md §11.2)
	}
	if due(m.resultBy, now) || due(m.acceptBy, now) {
		c.retry(m, tooSlow, now)
	}
}

func due(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

var (
	errForbidden = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden}
	errNoFeature = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented}
	errNoItem    = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound}
	errOften     = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too many restarts, wait"}
	errBridge    = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "no such bridge session"}
)

func bad(text string) *wire.Error {
	return &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: text}
}

// fault is the stanza error in an error of the jingle package.
func fault(err error) *wire.Error {
	var e *wire.Error
	if err == nil {
		return nil
	}
	if !errors.As(err, &e) {
		e = bad(err.Error())
	}
	return e
}

// answered takes what an occupant answers to the focus.
func (c *conference) answered(e muc.FocusStanza, now time.Time) {
	m := c.members.of(e.Nick)
	if m == nil {
		return
	}
	failed := string(e.Packet.Type()) == "error"
	switch id := string(e.Packet.ID()); {
	case id == m.question.id && id != "":
		c.described(m, e.Packet)
	case id == m.offerID && m.stage == offered && failed:
		c.retry(m, &jingle.Reason{Condition: jingle.GeneralError}, now)
	case id == m.offerID:
		m.resultBy = time.Time{}
	default:
		c.acknowledged(m, id)
	}
}

// negotiate takes a Jingle element and answers it.
func (c *conference) negotiate(e muc.FocusStanza, now time.Time) {
	j, err := jingle.Parse(e.Packet.Elem().Child("jingle", jingle.NSJingle), jingle.DefaultLimits)
	if err != nil {
		c.emit(refuse{e, fault(err), "sdp.reject"})
		return
	}
	m := c.members.of(e.Nick)
	if m == nil || m.call != nil || m.stage != offered && m.stage != active || m.sid != j.SID || m.addr != e.Addr {
		c.emit(refuse{e, jingle.ErrUnknownSession, ""})
		return
	}
	var why *wire.Error
	event := "sdp.reject"
	var after func() // what follows the answer
	switch j.Action {
	case jingle.SessionAccept:
		why, event = c.accept(m, &e.Occupant, j)
	case jingle.SourceAdd:
		why, event = c.addSources(m, &e.Occupant, j), "media.ssrc"
	case jingle.SourceRemove:
		why, event = c.removeSources(m, j), "media.ssrc"
	case jingle.TransportInfo:
		why = c.transportInfo(m, j)
	case jingle.SessionTerminate:
		why, after = c.terminated(m, j, now)
		event = "focus.restart"
	case jingle.SessionInfo:
		why, after = c.sessionInfo(m, j, now)
		event = "focus.restart"
	default:
		why, event = errNoFeature, ""
	}
	if why != nil {
		c.emit(refuse{e, why, event})
	} else {
		c.emit(answer{e, nil})
	}
	if after != nil {
		after()
	}
}

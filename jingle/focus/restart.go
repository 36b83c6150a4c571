package focus

import (
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/xmpp/wire"
)

// pace bounds what a client may ask for again: five a minute, five seconds apart (jitsi.md §11.1).
type pace struct{ last []time.Time }

const (
	paceMost  = 5
	paceIn    = time.Minute
	paceApart = 5 * time.Second
)

// allow counts one more, if that is not too often.
func (p *pace) allow(now time.Time) bool {
	for len(p.last) > 0 && now.Sub(p.last[0]) >= paceIn {
		p.last = p.last[1:]
	}
	if n := len(p.last); n >= paceMost || n > 0 && now.Sub(p.last[n-1]) < paceApart {
		return false
	}
	p.last = append(p.last, now)
	return true
}

// terminated takes session-terminate. The session ends in any case but that of a wrong bridge session; a new one begins
// where the client asks for it and not too often.
func (c *conference) terminated(m *member, j *jingle.Jingle, now time.Time) (why *wire.Error, after func()) {
	if b := j.Bridge; b != nil && b.ID != "" && b.ID != m.bridge {
		return errBridge, nil
	}
	if j.Bridge == nil || !j.Bridge.Restart {
		return nil, func() { c.stop(m, nil) }
	}
	if !m.restarts.allow(now) {
		return errOften, func() { c.stop(m, nil) }
	}
	return nil, func() { c.again(m, nil, now) }
}

// stop ends a session so that none follows by itself.
func (c *conference) stop(m *member, why *jingle.Reason) {
	c.end(m, why)
	m.stage = barren
}

// sessionInfo takes session-info: the wish for an ICE restart, the legacy notice that ICE has failed, and what XEP-0167 has,
// which means nothing here.
func (c *conference) sessionInfo(m *member, j *jingle.Jingle, now time.Time) (why *wire.Error, after func()) {
	if b := j.Bridge; b != nil && b.ID != m.bridge {
		return errBridge, nil
	}
	switch {
	case j.Bridge != nil && j.Bridge.ICERestart:
		switch {
		case m.stage != active:
			return jingle.ErrOutOfOrder, nil
		case !m.restarts.allow(now):
			return errOften, nil
		}
		return nil, func() {
			m.restart++
			m.restartBy = now.Add(restartTime)
			c.changed = true
		}
	case j.Info != nil && j.Info.Kind == jingle.ICEState:
		if j.Info.Text != "failed" {
			return nil, nil
		}
		if !m.restarts.allow(now) {
			return errOften, nil
		}
		return nil, func() { c.again(m, moved, now) }
	case j.Info == nil && len(j.Extensions) > 0:
		return jingle.ErrUnsupportedInfo, nil
	}
	return nil, nil // XEP-0166 §6.8: an empty one asks whether the session is alive
}

// restartTime is how long an ICE restart may take (jitsi.md §11.2).
const restartTime = 20 * time.Second

// transport takes the bridge's side of a transport: of a new session, or of an ICE restart.
func (c *conference) transport(t *api.Transport) {
	if m, p := c.members.part(t.Endpoint); p != nil {
		c.transported(m, p, t)
		return
	}
	if m, f, p := c.members.feed(t.Endpoint); f != nil {
		c.feedable(m, f, p, t)
		return
	}
	if m, u, p := c.members.uplink(t.Endpoint); u != nil {
		c.raised(m, u, p, t)
		return
	}
	m := c.members.of(t.Endpoint)
	if m == nil || m.number != t.Session || m.restart != t.Restart {
		return // of what is not wished any more
	}
	switch {
	case m.stage == waiting:
		m.transport = t
	case m.stage == active && t.Restart > 0 && m.transport.Restart < t.Restart:
		m.transport = t
		fresh := c.transportOf(m)
		fresh.ICEGeneration, fresh.WebSockets = t.Restart, nil
		j := jingle.Jingle{Action: jingle.TransportInfo, Initiator: string(c.focus()), SID: m.sid, Contents: []jingle.Content{
			{Creator: jingle.Initiator, Name: c.describe(m)[0].Name, Senders: jingle.Both, Transport: fresh},
		}}
		c.emit(ask{m.endpoint, "set", c.iq(), j.Append(nil)})
	}
}

// transportInfo takes transport-info: candidates, or the client's new credentials of an ICE restart.
func (c *conference) transportInfo(m *member, j *jingle.Jingle) *wire.Error {
	if m.stage != active {
		return jingle.ErrOutOfOrder
	}
	remote := *m.remote
	done := false
	for i := range j.Contents {
		t := j.Contents[i].Transport
		if t == nil {
			continue
		}
		switch {
		case t.ICEGeneration != 0 && (t.ICEGeneration != m.restart || m.transport.Restart != m.restart):
			return bad("not the ICE generation that was offered")
		case t.ICEGeneration != 0 && t.Ufrag == "":
			return bad("an ICE restart without credentials")
		case t.ICEGeneration != 0 && !done:
			if remote.Ufrag != t.Ufrag {
				remote.Candidates = nil
			}
			remote.Ufrag, remote.Pwd, done = t.Ufrag, t.Password, true
		case t.ICEGeneration == 0 && t.Ufrag != "" && (t.Ufrag != remote.Ufrag || t.Password != remote.Pwd):
			return bad("credentials of another ICE generation")
		}
		remote.Candidates = c.candidates(m, remote.Candidates, t.Candidates)
	}
	if done {
		m.restartBy = time.Time{}
	}
	m.remote = &remote
	c.changed = true
	return nil
}

// fullTime is when a bridge that had no room for a member is asked again.
const fullTime = 10 * time.Second

// state takes what the bridge says of an endpoint. A certificate that is not the signalled one ends the session for good
// (hardening.md HB4). A bridge without room for a transport is asked again, for as long as the member is there. What fails before
// the client has accepted is an offer that came to nothing. After that the client knows of it as well, and asks for what it can do
// about it.
func (c *conference) state(s *api.State, now time.Time) {
	if m, p := c.members.part(s.Endpoint); p != nil {
		if p.number == s.Session && s.State == api.Failed {
			c.failed(m, s.Reason)
		}
		return
	}
	if m, f, p := c.members.feed(s.Endpoint); f != nil {
		if p.number == s.Session && s.State == api.Failed {
			c.unfeedable(m, f, s.Reason)
		}
		return
	}
	if m, u, p := c.members.uplink(s.Endpoint); u != nil {
		if p.number == s.Session && s.State == api.Failed {
			c.lower(m, m.call, u, c.failure(m, s.Reason))
		}
		return
	}
	m := c.members.of(s.Endpoint)
	if m == nil || m.number != s.Session || s.State != api.Failed {
		return
	}
	switch {
	case s.Reason == "security-error":
		c.emit(note{"dtls.reject", m.endpoint, s.Reason})
		c.stop(m, insecure)
	case s.Reason == "resource-constraint" && m.stage == waiting:
		c.emit(note{"focus.full", m.endpoint, s.Reason})
		m.attempts, m.acceptBy = 0, now.Add(fullTime)
	case (s.Reason == "timeout" || s.Reason == "connectivity-error") && (m.stage == waiting || m.stage == offered):
		c.retry(m, &jingle.Reason{Condition: jingle.Condition(s.Reason)}, now)
	}
}

// failed ends a session of a call of which a transport has failed: the call itself, unless the client sends in others too.
func (c *conference) failed(m *member, reason string) {
	why, k := c.failure(m, reason), m.call
	if len(k.raised) == 0 {
		c.hangUp(m, why)
		return
	}
	var names []string
	for _, p := range k.parts {
		for i := range p.contents {
			names = append(names, p.contents[i].Name)
		}
	}
	c.reduce(m, names)
	c.emit(tell{k.caller, &jingle.Jingle{Action: jingle.SessionTerminate, Reason: why}, nil})
}

// failure says in Jingle's words why a transport of a member that calls has failed, and notes it.
func (c *conference) failure(m *member, reason string) (why *jingle.Reason) {
	why = &jingle.Reason{Condition: jingle.ConnectivityError}
	switch reason {
	case "security-error":
		c.emit(note{"dtls.reject", m.endpoint, reason})
		why = insecure
	case "resource-constraint":
		c.emit(note{"focus.full", m.endpoint, reason})
		why = &jingle.Reason{Condition: jingle.Busy, Text: "the bridge is full"}
	case "timeout":
		why = tooSlow
	}
	return why
}

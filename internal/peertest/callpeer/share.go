package callpeer

import (
	"fmt"

	pwebrtc "github.com/pion/webrtc/v4"

	"parley/jingle"
)

// Shared is a further session in which a phone that attends a conference sends a picture (XEP-0521 §4).
type Shared struct {
	SID    string
	Ended  *jingle.Reason // nil while it goes on
	leg    *leg
	remote *jingle.Jingle
}

// OfferShare begins such a session without waiting for the answer. Its packets say that they are of the phone's picture with the number; a
// screen is said to be one (XEP-0507).
func (p *Phone) OfferShare(sid string, number int, screen bool) *Shared {
	p.T.Helper()
	s := &Shared{SID: sid, leg: p.newLeg("video")}
	s.leg.streams[0].source = fmt.Sprintf("%s-v%d", p.Name, number)
	j := s.leg.describe(p.T, false, jingle.Initiator)
	j.Action, j.Initiator = jingle.SessionInitiate, p.JID
	d := j.Contents[0].Description
	d.Sources, d.SourceGroups, d.Streams = nil, nil, nil
	if screen {
		d.Categories = []string{jingle.Slides}
	}
	p.shares = append(p.shares, s)
	p.say(sid, j)
	return s
}

// Share is OfferShare, and waits until the session is accepted or refused.
func (p *Phone) Share(sid string, number int, screen bool) *Shared {
	p.T.Helper()
	s := p.OfferShare(sid, number, screen)
	p.Attending("answer to "+sid, func() bool { return s.remote != nil || s.Ended != nil })
	return s
}

// Accepted reports that the conference has accepted the session.
func (s *Shared) Accepted() bool { return s.remote != nil }

// Unshare ends a session.
func (p *Phone) Unshare(s *Shared) {
	p.say(s.SID, &jingle.Jingle{Action: jingle.SessionTerminate, Reason: &jingle.Reason{Condition: jingle.Success}})
	s.leg.close()
}

// CloseFirst ends the session that the phone has called with, and keeps the others.
func (p *Phone) CloseFirst() {
	p.T.Helper()
	id := p.Request(&jingle.Jingle{Action: jingle.SessionTerminate, Reason: &jingle.Reason{Condition: jingle.Success}})
	p.Until("<iq", "id='"+id+"'") // before its transports are closed
	for _, l := range p.legs {
		l.close()
	}
	p.legs = nil
}

// shared is what the conference says in such a session; false if it is of another one.
func (p *Phone) shared(j *jingle.Jingle) bool {
	p.T.Helper()
	for _, s := range p.shares {
		if s.SID != j.SID {
			continue
		}
		switch j.Action {
		case jingle.SessionAccept:
			if c := j.Conference; c == nil || !c.Focus {
				p.T.Errorf("%s: what accepts %s is no focus: %+v", p.JID, s.SID, c)
			}
			s.remote = j
			s.leg.apply(p.T, j, pwebrtc.SDPTypeAnswer, jingle.Responder)
			p.feed([]*leg{s.leg})
		case jingle.TransportInfo:
			s.leg.candidates(p.T, j)
		case jingle.SessionTerminate:
			if s.Ended = j.Reason; s.Ended == nil {
				s.Ended = &jingle.Reason{}
			}
			s.leg.close()
		}
		return true
	}
	return false
}

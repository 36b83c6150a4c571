package callpeer

import (
	"fmt"
	"slices"
	"time"

	pwebrtc "github.com/pion/webrtc/v4"

	"parley/jingle"
)

// Brought is a session in which a conference brings a stream to a phone that attends it (XEP-0521 §6).
type Brought struct {
	SID    string
	Entity string // whose it is, as the conference says (XEP-0298)
	Name   string // of them, for people
	Muji   string // the chat room that the conference names
	Media  []string
	Screen bool            // its picture is a screen (XEP-0507)
	Muted  map[string]bool // media that their sender has muted
	Ended  *jingle.Reason  // nil while it goes on
	legs   []*leg
}

func (b *Brought) close() {
	for _, l := range b.legs {
		l.close()
	}
}

// say sends a Jingle element in a session that brings a stream.
func (p *Phone) say(sid string, j *jingle.Jingle) {
	p.ids++
	j.SID = sid
	p.Send(fmt.Sprintf("<iq xmlns='jabber:client' type='set' to='%s' id='j%d'>%s</iq>", p.Peer, p.ids, j.Append(nil)))
}

// bring is what the conference says in a session that brings a stream.
func (p *Phone) bring(j *jingle.Jingle) {
	p.T.Helper()
	if j.Action == jingle.SessionInitiate {
		p.accept(j)
		return
	}
	for _, b := range p.brings {
		if b.SID != j.SID {
			continue
		}
		switch j.Action {
		case jingle.SessionTerminate:
			if b.Ended = j.Reason; b.Ended == nil {
				b.Ended = &jingle.Reason{}
			}
			b.close()
		case jingle.TransportInfo:
			for _, l := range b.legs {
				l.candidates(p.T, j)
			}
		case jingle.ContentRemove:
			for _, c := range j.Contents {
				b.Media = slices.DeleteFunc(b.Media, func(name string) bool { return name == c.Name })
			}
		case jingle.SessionInfo:
			if j.Info != nil {
				b.Muted[j.Info.Name] = j.Info.Kind == jingle.Mute
			}
		}
		return
	}
	p.T.Errorf("%s: %s in the session %s, which there is not", p.JID, j.Action, j.SID)
}

// accept takes a stream.
func (p *Phone) accept(j *jingle.Jingle) {
	p.T.Helper()
	b := &Brought{SID: j.SID, Muted: make(map[string]bool)}
	if c := j.Conference; c == nil || !c.Focus || len(c.Users) != 1 {
		p.T.Errorf("%s: it is not said whose the stream is: %+v", p.JID, c)
	} else {
		b.Entity, b.Name = c.Users[0].Entity, c.Users[0].Name
	}
	if j.Muji != nil {
		b.Muji = j.Muji.Room
	}
	for _, c := range j.Contents {
		if c.Senders != jingle.InitiatorSends {
			p.T.Errorf("%s: in %s %s send", p.JID, c.Name, c.Senders)
		}
		b.Media = append(b.Media, c.Name)
		screen := slices.Contains(c.Description.Categories, jingle.Slides)
		b.Screen = b.Screen || screen
		if j.Conference != nil && len(j.Conference.Users) == 1 {
			if m := j.Conference.Users[0].Media; !slices.ContainsFunc(m, func(m jingle.UserMedia) bool {
				return m.ID == c.Name && m.Type == c.Description.Media && (m.Name == "screen") == screen
			}) {
				p.T.Errorf("%s: of %s, a screen %t, it is said %+v (XEP-0298)", p.JID, c.Name, screen, m)
			}
		}
		if len(b.legs) == 0 || j.Bundle() == nil {
			b.legs = append(b.legs, &leg{pc: p.peerConnection(), stop: make(chan struct{})})
		}
		l := b.legs[len(b.legs)-1]
		l.names = append(l.names, c.Name)
		l.streams = append(l.streams, newStream(c.Description.Media))
	}
	p.brings = append(p.brings, b)
	answer := &jingle.Jingle{Action: jingle.SessionAccept, Responder: p.JID, Groups: j.Groups}
	for _, l := range b.legs {
		l.listen()
		l.apply(p.T, j, pwebrtc.SDPTypeOffer, jingle.Initiator)
		answer.Contents = append(answer.Contents, l.describe(p.T, true, jingle.Responder).Contents...)
	}
	p.say(j.SID, answer)
}

// Streams are those that the phone is brought at present.
func (p *Phone) Streams() (list []*Brought) {
	for _, b := range p.brings {
		if b.Ended == nil {
			list = append(list, b)
		}
	}
	return list
}

// Heard returns what has come of a medium in the session so far.
func (b *Brought) Heard(kind string) Heard {
	return heard(b.legs, kind)
}

// Attending does what the conference asks for until something holds.
func (p *Phone) Attending(what string, ok func() bool) {
	p.T.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			for _, b := range p.brings {
				p.T.Logf("%s: %s of %s: %v muted %v ended %+v; audio %+v video %+v", p.JID, b.SID, b.Entity, b.Media, b.Muted, b.Ended, b.Heard("audio"), b.Heard("video"))
			}
			p.T.Fatalf("%s: no %s within %v", p.JID, what, Patience)
		}
		p.ids++
		id := fmt.Sprintf("tick%d", p.ids)
		p.Send("<iq xmlns='jabber:client' type='get' id='" + id + "'><ping xmlns='urn:xmpp:ping'/></iq>")
		p.Until("<iq", "id='"+id+"'")
	}
}

// Gets waits until packets of a source come in a session whose stream is somebody's, and returns the session.
func (p *Phone) Gets(entity, source string) (from *Brought) {
	p.T.Helper()
	kind := map[byte]string{'a': "audio", 'v': "video"}[source[len(source)-2]]
	before := make(map[string]int)
	for _, b := range p.brings {
		before[b.SID] = b.Heard(kind).Sources[source]
	}
	p.Attending(source+" of "+entity, func() bool {
		for _, b := range p.Streams() {
			if b.Entity == entity && b.Heard(kind).Sources[source] > before[b.SID]+5 {
				from = b
				return true
			}
		}
		return false
	})
	return from
}

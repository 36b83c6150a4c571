package jitsipeer

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/jingle"
	"parley/xmpp/wire"
)

const (
	nsFocus   = "http://jitsi.org/protocol/focus"
	nsMUC     = "http://jabber.org/protocol/muc"
	nsMUCUser = "http://jabber.org/protocol/muc#user"
	nsDisco   = "http://jabber.org/protocol/disco#info"
	nsJingle  = "urn:xmpp:jingle:1"
	nsMute    = "http://jitsi.org/jitmeet/"

	identity = "client/web//jitsipeer<"
	capsNode = "https://jitsi.org/jitsi-meet"
)

// features are what is told by disco#info.
func (p *Peer) features() []string {
	list := []string{
		nsDisco, nsJingle, "urn:xmpp:jingle:apps:rtp:1", "urn:xmpp:jingle:apps:rtp:audio", "urn:xmpp:jingle:apps:rtp:video",
		"urn:xmpp:jingle:transports:ice-udp:1", "urn:xmpp:jingle:apps:dtls:0", "urn:xmpp:jingle:transports:dtls-sctp:1", "urn:ietf:rfc:4588",
		"http://jitsi.org/source-name", "http://jitsi.org/receive-multiple-video-streams",
	}
	switch {
	case p.o.REMB > 0:
		list = append(list, "http://jitsi.org/remb")
	case !p.o.NoTCC:
		list = append(list, "http://jitsi.org/tcc")
	}
	if p.o.RED || p.o.Audio != nil && p.o.Audio.RED {
		list = append(list, "http://jitsi.org/opus-red")
	}
	if !p.o.XMLSources {
		list = append(list, "http://jitsi.org/json-encoded-sources")
	}
	if p.o.Rewriting {
		list = append(list, "http://jitsi.org/ssrc-rewriting-1")
	}
	if p.o.MidDemux {
		list = append(list, "http://jitsi.org/rtp-mid-demux")
	}
	list = append(list, p.o.Features...)
	slices.Sort(list)
	return slices.Compact(list)
}

// ver is the hash of the features (XEP-0115 §5.1).
func (p *Peer) ver() string {
	sum := sha1.Sum([]byte(identity + strings.Join(p.features(), "<") + "<"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// enter asks for the conference and goes into the room.
func (p *Peer) enter(ctx context.Context) error {
	for wait := 200 * time.Millisecond; ; wait *= 2 {
		e, err := p.stream.ask(ctx, "set", p.o.Focus, "<conference xmlns='"+nsFocus+"' room='"+escape(p.room)+"' machine-uid='jitsipeer'/>")
		if err != nil {
			return err
		}
		if e.Child("conference", nsFocus).AttrString("ready") == "true" {
			break
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	mark := p.Events.Mark()
	if err := p.present("<x xmlns='" + nsMUC + "'/>"); err != nil {
		return err
	}
	e, err := p.Events.Await(ctx, mark, func(e Event) bool {
		return e.Endpoint == p.nick && (e.Kind == Entered || e.Kind == Left) || e.Kind == StreamEnded
	})
	if err == nil && e.Kind != Entered {
		err = fmt.Errorf("jitsipeer: not in the room: %s %s", e.Kind, e.Text)
	}
	return err
}

// present sends our presence.
func (p *Peer) present(join string) error {
	info := make(map[string]map[string]any)
	for _, s := range p.own() {
		one := map[string]any{"muted": s.muted.Load()}
		if s.video != nil && s.video.Desktop {
			one["videoType"] = "desktop"
		}
		info[s.name] = one
	}
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return p.stream.send("<presence xmlns='jabber:client' to='" + escape(p.room+"/"+p.nick) + "'>" + join +
		"<stats-id>jitsipeer</stats-id><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='" + capsNode + "' ver='" + p.ver() + "'/>" +
		"<SourceInfo>" + escape(string(text)) + "</SourceInfo><jitsi_participant_codecList>" + escape(p.o.Codecs) + "</jitsi_participant_codecList>" +
		"<nick xmlns='http://jabber.org/protocol/nick'>" + escape(p.nick) + "</nick></presence>")
}

// handle takes what the server sends.
func (p *Peer) handle(e wire.Elem) {
	from := e.AttrString("from")
	switch string(e.Local()) {
	case "presence":
		if nick, ok := strings.CutPrefix(from, p.room+"/"); ok {
			p.presence(nick, e)
		}
	case "iq":
		p.request(from, e)
	}
}

func (p *Peer) presence(nick string, e wire.Elem) {
	x := e.Child("x", nsMUCUser)
	switch e.AttrString("type") {
	case "":
		p.mu.Lock()
		known := p.occupants[nick]
		p.occupants[nick] = true
		p.mu.Unlock()
		if info := e.Child("SourceInfo", "jabber:client"); info.Ok() {
			p.Events.add(Event{Kind: SourceInfo, Endpoint: nick, Text: info.Text()})
		}
		if !known {
			p.Events.add(Event{Kind: Entered, Endpoint: nick})
		}
	case "unavailable", "error":
		var codes []string
		for it := x.Children(); it.Next(); {
			if it.Elem.Is("status", nsMUCUser) {
				codes = append(codes, it.Elem.AttrString("code"))
			}
		}
		if e.AttrString("type") == "error" {
			codes = []string{stanzaError(e).Condition}
		}
		p.mu.Lock()
		delete(p.occupants, nick)
		p.mu.Unlock()
		p.Events.add(Event{Kind: Left, Endpoint: nick, Text: strings.Join(codes, " ")})
	}
}

// Occupants are the nicks in the room, sorted, with the focus and our own.
func (p *Peer) Occupants() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for nick := range p.occupants {
		list = append(list, nick)
	}
	slices.Sort(list)
	return list
}

// request answers a request.
func (p *Peer) request(from string, e wire.Elem) {
	payload := e.First()
	answer := ""
	switch {
	case payload.Is("query", nsDisco):
		answer = "<query xmlns='" + nsDisco + "'"
		if node := payload.AttrString("node"); node != "" {
			answer += string(wire.AppendAttr(nil, "node", node))
		}
		answer += "><identity category='client' type='web' name='jitsipeer'/>"
		for _, f := range p.features() {
			answer += "<feature var='" + f + "'/>"
		}
		answer += "</query>"
	case payload.Is("jingle", nsJingle) && from == p.focus():
		j, err := jingle.Parse(payload, jingle.DefaultLimits)
		if err == nil {
			err = p.jingle(j)
		}
		if err != nil {
			p.refuse(from, e, "bad-request", err.Error())
			return
		}
	case string(payload.Local()) == "mute" && strings.HasPrefix(string(payload.NS()), nsMute) && from == p.focus():
		p.muted(strings.TrimPrefix(string(payload.NS()), nsMute))
	case payload.Is("ping", "urn:xmpp:ping"):
	default:
		p.refuse(from, e, "service-unavailable", "")
		return
	}
	p.stream.send("<iq xmlns='jabber:client' type='result' id='" + escape(e.AttrString("id")) + "' to='" + escape(from) + "'>" + answer + "</iq>")
}

func (p *Peer) refuse(to string, e wire.Elem, condition, text string) {
	p.stream.send("<iq xmlns='jabber:client' type='error' id='" + escape(e.AttrString("id")) + "' to='" + escape(to) + "'><error type='cancel'><" + condition +
		" xmlns='" + nsStanza + "'/><text xmlns='" + nsStanza + "'>" + escape(text) + "</text></error></iq>")
}

// muted obeys a moderator (jitsi.md §6.4).
func (p *Peer) muted(kind string) {
	for _, s := range p.own() {
		if kind == "audio" && s.audio != nil || kind == "video" && s.video != nil && !s.video.Desktop || kind == "desktop" && s.video != nil && s.video.Desktop {
			s.muted.Store(!p.o.Disobeys)
		}
	}
	p.Events.add(Event{Kind: ForcedMute, Text: kind})
	p.present("")
}

// jingle takes an element of the focus. It runs in the stream's reader, so that sources are known before their media.
func (p *Peer) jingle(j *jingle.Jingle) error {
	if j.Action == jingle.SessionInitiate {
		x, err := newSession(p, j)
		if err != nil {
			return err
		}
		p.receiver.anew(x.own)
		p.sourcesOf(j, p.receiver.learn)
		p.Events.add(Event{Kind: Offered, Text: j.SID})
		x.done.Add(1)
		p.mu.Lock()
		old, before, left := p.session, p.latest, p.left
		if !left {
			p.session, p.latest = x, x
		}
		p.mu.Unlock()
		if old != nil {
			p.drop(old)
		}
		if left {
			x.done.Done()
			x.close()
			return nil
		}
		go func() {
			defer x.done.Done()
			if before != nil {
				select {
				case <-before.closed:
				case <-x.ctx.Done():
					return
				}
			}
			x.run(before != nil)
		}()
		return nil
	}
	x := p.current()
	if x == nil || x.sid != j.SID {
		return fmt.Errorf("no session %s", j.SID)
	}
	switch j.Action {
	case jingle.SourceAdd:
		p.Events.add(Event{Kind: SourcesAdded, Text: p.sourcesOf(j, p.receiver.learn)})
	case jingle.SourceRemove:
		p.Events.add(Event{Kind: SourcesRemoved, Text: p.sourcesOf(j, p.receiver.forget)})
	case jingle.SessionTerminate:
		condition := ""
		if j.Reason != nil {
			condition = string(j.Reason.Condition)
		}
		p.Events.add(Event{Kind: Terminated, Text: condition})
		p.drop(x)
	case jingle.TransportInfo:
		if len(j.Contents) > 0 && j.Contents[0].Transport != nil && j.Contents[0].Transport.ICEGeneration > 0 {
			p.spawn(func() { x.restart(j) })
		}
	}
	return nil
}

// sourcesOf hands the sources of an element, in either form, to f and returns their names.
func (p *Peer) sourcesOf(j *jingle.Jingle, f func(jingle.Sources)) string {
	list := j.Sources
	if list == nil {
		list = []jingle.OwnedSources{{Sources: jingle.SourcesIn(j.Contents)}}
	}
	var names []string
	for _, o := range list {
		f(o.Sources)
		for _, s := range append(o.Audio[:len(o.Audio):len(o.Audio)], o.Video...) {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

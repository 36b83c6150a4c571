package focus

import (
	"slices"
	"strconv"
	"time"

	"parley/bridge/api"
	"parley/jingle"
)

// beginFeed asks the bridge for the transports of a session that brings sources of o to m.
func (c *conference) beginFeed(m, o *member, sources []api.Source, now time.Time) {
	k := m.call
	f := &feed{sid: c.random(16), owner: o.endpoint, voices: c.newVoices(), sources: make(map[string]string), muted: make(map[string]bool),
		stage: waiting, by: now.Add(callTime + acceptTime)}
	for _, s := range sources {
		name := s.Kind
		if k.muji != "" && k.names[s.Kind] != "" {
			name = k.names[s.Kind] // XEP-0272 §3: they are the names of the conference
		}
		content := jingle.Content{Creator: jingle.Initiator, Name: name, Senders: jingle.InitiatorSends, Description: describeFeed(s.Kind)}
		if s.VideoType == api.Desktop {
			content.Description.Categories = []string{jingle.Slides}
		}
		f.sources[name] = s.Name
		if k.bundles && len(f.parts) > 0 {
			f.parts[0].contents = append(f.parts[0].contents, content)
			continue
		}
		f.parts = append(f.parts, &part{proposal: proposal{ours: true, contents: []jingle.Content{content}, receive: api.Receive{Single: true, Chosen: true}}})
	}
	for _, p := range f.parts {
		c.sessions++
		p.number = c.sessions
		p.endpoint = m.endpoint + "." + strconv.Itoa(p.number)
		p.hear(f.voices)
	}
	k.feeds = append(k.feeds, f)
	c.changed = true
}

// describeFeed is what a stream is offered with: every codec that somebody may send.
func describeFeed(media string) *jingle.Description {
	d := &jingle.Description{Media: media, RTCPMux: true}
	if media == api.Audio {
		d.HeaderExtensions = []jingle.HeaderExtension{{ID: extLevel, URI: uriLevel, Senders: jingle.Both}}
		d.PayloadTypes = []jingle.PayloadType{{ID: ptOpus, Name: "opus", ClockRate: 48000, Channels: 2,
			Parameters: []jingle.Parameter{{Name: "minptime", Value: "10"}, {Name: "useinbandfec", Value: "1"}}}}
		return d
	}
	d.HeaderExtensions = []jingle.HeaderExtension{{ID: extTCC, URI: uriTCC, Senders: jingle.Both}}
	d.PayloadTypes = everyCodec()
	return d
}

// feedable takes the bridge's side of a transport, and offers the session when all of them are there.
func (c *conference) feedable(m *member, f *feed, p *part, t *api.Transport) {
	if p.number != t.Session || p.transport != nil || f.stage != waiting {
		return
	}
	p.transport = t
	if slices.ContainsFunc(f.parts, func(p *part) bool { return p.transport == nil }) {
		return
	}
	f.stage = offered
	j := c.propose(f.parts, f.voices, jingle.Initiator, f.owner)
	j.Action = jingle.SessionInitiate
	j.Conference = &jingle.Conference{Focus: true}
	if o := c.members.of(f.owner); o != nil {
		u := o.user()
		for i := range j.Contents {
			d := j.Contents[i].Description
			name := map[string]string{api.Audio: "microphone", api.Video: api.Camera}[d.Media]
			if screen(d) {
				name = "screen"
			}
			u.Media = append(u.Media, jingle.UserMedia{ID: j.Contents[i].Name, Name: name, Type: d.Media})
		}
		j.Conference.Users = []jingle.User{u}
	}
	if m.call.muji != "" {
		j.Muji = &jingle.Muji{Room: m.call.muji}
	}
	c.sayFeed(m, f, &j)
}

// sayFeed says something in a session.
func (c *conference) sayFeed(m *member, f *feed, j *jingle.Jingle) {
	j.SID = f.sid
	c.emit(bring{m.call.caller, j})
}

// answerFeed takes what the client says in a session.
func (c *conference) answerFeed(m *member, f *feed, j *jingle.Jingle) {
	switch j.Action {
	case jingle.SessionAccept:
		if f.stage == offered {
			c.acceptFeed(m, f, j)
		}
	case jingle.TransportInfo:
		for i := range j.Contents {
			for _, p := range f.parts {
				if t := j.Contents[i].Transport; t != nil && p.carries(j.Contents[i].Name) {
					var unusable int
					if p.remote.Candidates, unusable = usable(p.remote.Candidates, t.Candidates); unusable > 0 {
						c.emit(note{"ice.filter", p.endpoint, "candidate"})
					}
				}
			}
		}
		c.changed = true
	case jingle.ContentRemove:
		for _, x := range j.Contents {
			c.without(f, x.Name)
		}
		if len(f.parts) == 0 {
			c.closeFeed(m, f, &jingle.Reason{Condition: jingle.Success})
		}
	case jingle.SessionTerminate:
		f.refuse()
		c.free(f.voices)
		c.changed = true
	}
}

func (p *part) carries(content string) bool {
	return slices.ContainsFunc(p.contents, func(c jingle.Content) bool { return c.Name == content })
}

// acceptFeed takes the answer to an offer: contents that it leaves out are not wanted.
func (c *conference) acceptFeed(m *member, f *feed, j *jingle.Jingle) {
	for _, p := range f.parts {
		p.receive.Payloads, p.receive.Extensions = nil, make(map[string]int)
		var transport *jingle.Transport
		p.contents = slices.DeleteFunc(slices.Clone(p.contents), func(offer jingle.Content) bool {
			answer := j.Content(offer.Name)
			if answer == nil || answer.Description == nil || answer.Senders != jingle.InitiatorSends || !p.agreed(&offer, answer) {
				return true
			}
			if transport == nil {
				transport = answer.Transport
			}
			return false
		})
		if len(p.contents) == 0 {
			continue
		}
		if transport == nil {
			c.giveUp(m, f, &jingle.Reason{Condition: jingle.FailedTransport, Text: "no transport"})
			return
		}
		early := p.remote.Candidates
		var why *jingle.Reason
		if p.remote, why = remoteIn(transport); why != nil {
			c.giveUp(m, f, why)
			return
		}
		for _, k := range early {
			if !slices.Contains(p.remote.Candidates, k) {
				p.remote.Candidates = append(p.remote.Candidates, k)
			}
		}
	}
	f.parts = slices.DeleteFunc(f.parts, func(p *part) bool { return len(p.contents) == 0 })
	if len(f.parts) == 0 {
		c.closeFeed(m, f, &jingle.Reason{Condition: jingle.FailedApplication, Text: "no codec in common"})
		return
	}
	f.stage, f.by = active, time.Time{}
	c.changed = true
	if o := c.members.of(f.owner); o != nil && m.call.mesh == nil {
		c.hush(m, f, hushedIn(o))
	}
}

package focus

import (
	"strconv"
	"time"

	"parley/bridge/api"
	"parley/jingle"
)

// How long a client may take (jitsi.md §7.4 gives the focus the first of them too).
const (
	resultTime = 10 * time.Second // to acknowledge an offer
	acceptTime = 30 * time.Second // to accept it
)

// offer sends session-initiate when everything is known that it is made of (jitsi.md §7).
func (c *conference) offer(m *member, now time.Time) {
	if m.call != nil || m.stage != waiting || !m.learned || m.transport == nil {
		return
	}
	j := jingle.Jingle{
		Action: jingle.SessionInitiate, Initiator: string(c.focus()), SID: m.sid, Contents: c.describe(m),
		Bridge: &jingle.BridgeSession{ID: m.bridge, Region: c.region},
	}
	group := jingle.Group{Semantics: "BUNDLE"}
	for i := range j.Contents {
		j.Contents[i].Transport = c.transportOf(m)
		if j.Contents[i].Name == contentData {
			j.Contents[i].Transport.SCTP = &jingle.SCTP{Port: 5000, Protocol: "webrtc-datachannel", Streams: 1024}
		}
		group.Contents = append(group.Contents, j.Contents[i].Name)
	}
	j.Groups = []jingle.Group{group}
	m.receive = api.Receive{Rewriting: m.features.Has(Rewriting), MidDemux: m.features.Has(Rewriting | MidDemux),
		AudioSSRC: c.audioSSRC, VideoSSRC: c.videoSSRC}
	sources := append([]jingle.OwnedSources{c.bridgeSources()}, c.others(m)...)
	c.attach(&j, m, sources)
	m.stage, m.offerID = offered, c.iq()
	m.resultBy, m.acceptBy = now.Add(resultTime), now.Add(acceptTime)
	c.changed = true
	c.emit(ask{m.endpoint, "set", m.offerID, j.Append(nil)})
}

// transportOf is the bridge's side of a member's transport.
func (c *conference) transportOf(m *member) *jingle.Transport { return c.transportVia(m.transport) }

func (c *conference) transportVia(t *api.Transport) *jingle.Transport {
	out := &jingle.Transport{Ufrag: t.Ufrag, Password: t.Pwd, RTCPMux: true, Fingerprints: []jingle.Fingerprint{
		{Hash: t.Fingerprint.Hash, Value: t.Fingerprint.Value, Setup: jingle.Setup(t.Setup), Required: true},
	}}
	for i, k := range t.Candidates {
		out.Candidates = append(out.Candidates, jingle.Candidate{ID: "c" + strconv.Itoa(i+1), Component: 1, Foundation: k.Foundation,
			Generation: t.Restart, IP: k.IP, Port: k.Port, Priority: k.Priority, Protocol: k.Protocol, Type: k.Type, TCPType: k.TCPType})
	}
	if t.Channel != "" && c.channels != "" {
		out.WebSockets = []string{c.channels + t.Channel}
	}
	return out
}

// bridgeOwner is the owner of the bridge's own sources.
const bridgeOwner = "jvb"

// bridgeSources are the senders of the bridge's RTCP, which stand first in each medium (jitsi.md §8.3).
func (c *conference) bridgeSources() jingle.OwnedSources {
	source := func(ssrc uint32, name, label string) []jingle.Source {
		return []jingle.Source{{SSRC: ssrc, Name: name, Parameters: []jingle.Parameter{{Name: "msid", Value: "mixedmslabel " + label}}}}
	}
	return jingle.OwnedSources{Owner: bridgeOwner, Sources: jingle.Sources{
		Video: source(c.videoSSRC, "jvb-v0", "mixedlabelvideo0"), Audio: source(c.audioSSRC, "jvb-a0", "mixedlabelaudio0"),
	}}
}

// attach puts sources into an element, in the form that the client reads (jitsi.md §8.2).
func (c *conference) attach(j *jingle.Jingle, m *member, list []jingle.OwnedSources) {
	if m.features.Has(CompactSources) {
		j.Sources = list
		return
	}
	var all jingle.Sources
	for _, o := range list {
		owner := o.Owner
		if owner != bridgeOwner {
			owner = string(c.room) + "/" + owner
		}
		for _, s := range o.Video {
			s.Owner = owner
			all.Video = append(all.Video, s)
		}
		for _, s := range o.Audio {
			s.Owner = owner
			all.Audio = append(all.Audio, s)
		}
		all.VideoGroups, all.AudioGroups = append(all.VideoGroups, o.VideoGroups...), append(all.AudioGroups, o.AudioGroups...)
	}
	for _, content := range all.Contents() {
		if at := j.Content(content.Name); at != nil {
			at.Description.Sources, at.Description.SourceGroups = content.Description.Sources, content.Description.SourceGroups
		} else if j.Action != jingle.SessionInitiate {
			j.Contents = append(j.Contents, content)
		}
	}
}

package bridge

import (
	"slices"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
)

// statsMost is the size of a conference above which EndpointStats go only to those who see their sender.
const statsMost = 20

// Opened takes a bridge channel in place of the one before, and sends the whole state (jitsi.md §10.1).
func (e *Endpoint) Opened(conn channel.Conn) {
	c := e.Conference
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endpoints[e.ID] != e {
		conn.Close(channel.CloseExpired, "the endpoint is gone")
		return
	}
	e.channel = conn
	for _, s := range e.sources {
		if s.wasTold {
			conn.Send(channel.SenderSourceConstraints{SourceName: s.name, MaxHeight: s.told})
		}
	}
	if e.dialect.Load().rewriting {
		e.out.mu.Lock()
		now := time.Now()
		for _, s := range e.out.slots {
			s.doubtful, s.announced = false, now
		}
		if m := mappings(e.out.audio); len(m) > 0 {
			conn.Send(channel.AudioSourcesMap{MappedSources: m})
		}
		if m := mappings(e.out.video); len(m) > 0 {
			conn.Send(channel.VideoSourcesMap{MappedSources: m})
		}
		e.out.mu.Unlock()
	}
	conn.Send(channel.ForwardedSources{Sources: e.told})
	if len(c.speaker.recent) > 0 {
		conn.Send(c.speaker.message())
	}
	for _, o := range c.order {
		if o != e && o.activity == inactive {
			conn.Send(channel.EndpointConnectivityStatusChangeEvent{Endpoint: o.ID, Active: false})
		}
	}
	c.dirty.Store(true)
}

// Closed notices that the channel has ended. Slots whose announcement may have been lost with it send nothing until the next
// channel repeats it.
func (e *Endpoint) Closed(conn channel.Conn, arrived time.Time) {
	c := e.Conference
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.channel != conn {
		return
	}
	e.channel = nil
	e.out.mu.Lock()
	for _, s := range e.out.slots {
		if s.pooled && !s.announced.Before(arrived) {
			s.doubtful = true
			s.turnOff()
		}
	}
	e.out.mu.Unlock()
	c.dirty.Store(true)
}

func mappings(slots []*slot) (list []channel.Mapping) {
	for _, s := range slots {
		if s.source != nil && !s.source.gone {
			list = append(list, s.mapping())
		}
	}
	return list
}

// Receive takes a message of the endpoint's client.
func (e *Endpoint) Receive(m channel.Message) {
	c := e.Conference
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endpoints[e.ID] != e {
		return
	}
	switch m := m.(type) {
	case channel.ReceiverVideoConstraints:
		e.receive.take(m)
		if m.AssumedBandwidth != nil {
			e.out.mu.Lock()
			e.out.downlink.assumed = *m.AssumedBandwidth
			e.out.mu.Unlock()
		}
	case channel.LastNChangedEvent:
		e.receive.take(channel.ReceiverVideoConstraints{LastN: &m.LastN})
	case channel.ReceiverAudioSubscription:
		e.receive.audio = m
	case channel.SourceVideoTypeMessage:
		c.retype(e, m)
	case channel.EndpointMessage:
		if m.To == "" {
			c.tellOthers(e, m)
		} else if o := c.endpoints[m.To]; o != nil && o != e && o.channel != nil {
			o.channel.Send(m)
		}
		return
	case channel.EndpointStats:
		if len(c.order) <= statsMost {
			c.tellOthers(e, m)
			return
		}
		m2 := channel.Shared(m)
		for _, o := range c.order {
			if o != e && o.channel != nil && slices.ContainsFunc(e.sources, func(s *source) bool { return slices.Contains(o.told, s.name) }) {
				o.channel.Send(m2)
			}
		}
		return
	default:
		return
	}
	c.dirty.Store(true)
}

// retype takes what a client shows in one of its own sources. Receivers that were told of its mapping are told again.
func (c *Conference) retype(e *Endpoint, m channel.SourceVideoTypeMessage) {
	for _, s := range e.sources {
		if s.name != m.SourceName || !s.video {
			continue
		}
		s.disabled.Store(m.VideoType == channel.None)
		if m.VideoType == channel.None || s.videoType == string(m.VideoType) {
			continue
		}
		s.videoType = string(m.VideoType)
		for _, to := range *s.slots.Load() {
			if to.pooled && to.receiver.channel != nil {
				to.receiver.channel.Send(channel.VideoSourcesMap{MappedSources: []channel.Mapping{to.mappingOf(s)}})
			}
		}
	}
}

// tellOthers sends a message to all endpoints but one. The caller holds mu.
func (c *Conference) tellOthers(e *Endpoint, m channel.Message) {
	m = channel.Shared(m)
	for _, o := range c.order {
		if o != e && o.channel != nil {
			o.channel.Send(m)
		}
	}
}

// tellSpeaker tells the endpoints and the focus who speaks.
func (c *Conference) tellSpeaker() {
	s := &c.speaker
	if len(s.recent) > 0 {
		c.tellOthers(nil, s.message())
	}
	c.bridge.event(api.Event{Speaker: &api.Speaker{Conference: c.ID, Recent: slices.Clone(s.recent), Silence: s.silence}})
}

func (s *speaker) message() channel.Message {
	return channel.DominantSpeakerEndpointChangeEvent{
		DominantSpeakerEndpoint: s.recent[0], PreviousSpeakers: slices.Clone(s.recent[1:]), Silence: s.silence,
	}
}

package channel

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	longestName = 256     // bytes of an endpoint's, a source's or a slot's name
	mostHeight  = 1 << 16 // pixels; frames per second too
	mostBitrate = 1 << 53 // bits per second: what a script can count

	mostFromServer = 64 << 10 // bytes: a relayed message has grown by its sender, and maps may be long
)

var (
	errClass   = errors.New("channel: no such class from this side")
	errMissing = errors.New("missing")
	errName    = errors.New("empty or too long")
)

// FromClient decodes a message that a client sent. EndpointMessage and EndpointStats come without From, whatever the
// client wrote there. Members that a class does not have are left out, null is as good as absent, and any other fault is
// an error: ErrTooBig and ErrTooDeep are to close the connection.
func FromClient(text []byte) (Message, error) {
	return decode(text, MaxMessage, func(class string, f *fields) Message {
		switch class {
		case "ClientHello":
			return ClientHello{}
		case "ReceiverVideoConstraints":
			return f.receiverVideoConstraints()
		case "LastNChangedEvent":
			return LastNChangedEvent{LastN: int(f.integer("lastN", -1, math.MaxInt32))}
		case "ReceiverAudioSubscription":
			return f.receiverAudioSubscription()
		case "SourceVideoTypeMessage":
			return SourceVideoTypeMessage{SourceName: f.name("sourceName"), VideoType: f.videoType()}
		case "VideoTypeMessage":
			return VideoTypeMessage{VideoType: f.videoType()}
		case "EndpointMessage":
			return EndpointMessage{To: f.text("to"), Fields: f.rest()}
		case "EndpointStats":
			return EndpointStats{Fields: f.rest()}
		}
		return nil
	})
}

// FromServer decodes a message that a bridge sent, by the same rules, but of up to 64 KiB.
func FromServer(text []byte) (Message, error) {
	return decode(text, mostFromServer, func(class string, f *fields) Message {
		switch class {
		case "ServerHello":
			return ServerHello{Version: f.text("version")}
		case "DominantSpeakerEndpointChangeEvent":
			m := DominantSpeakerEndpointChangeEvent{
				DominantSpeakerEndpoint: f.name("dominantSpeakerEndpoint"), PreviousSpeakers: f.list("previousSpeakers"), Silence: f.flag("silence", false),
			}
			m.PreviousSpeakers = m.PreviousSpeakers[:min(len(m.PreviousSpeakers), MaxPreviousSpeakers)]
			return m
		case "ForwardedSources":
			return ForwardedSources{Sources: f.list("forwardedSources")}
		case "SenderSourceConstraints":
			return SenderSourceConstraints{SourceName: f.name("sourceName"), MaxHeight: int(f.quantity("maxHeight", mostHeight))}
		case "VideoSourcesMap":
			return VideoSourcesMap{MappedSources: f.mappings(true)}
		case "AudioSourcesMap":
			return AudioSourcesMap{MappedSources: f.mappings(false)}
		case "ConnectionStats":
			return ConnectionStats{EstimatedDownlinkBandwidth: f.quantity("estimatedDownlinkBandwidth", mostBitrate), Limit: f.text("limit"), Reduced: f.reduced(), Troubles: f.troubles()}
		case "EndpointConnectivityStatusChangeEvent":
			return EndpointConnectivityStatusChangeEvent{Endpoint: f.name("endpoint"), Active: f.textFlag("active")}
		case "SyntheticSourceSendingChangeEvent":
			f.need("sending")
			return SyntheticSourceSendingChangeEvent{
				SourceName: f.name("sourceName"), Sending: f.flag("sending", false), Timestamp: uint32(f.integer("timestamp", 0, math.MaxUint32)),
			}
		case "EndpointMessage":
			return EndpointMessage{From: f.text("from"), To: f.text("to"), Fields: f.rest()}
		case "EndpointStats":
			return EndpointStats{From: f.text("from"), Fields: f.rest()}
		}
		return nil
	})
}

func decode(text []byte, most int, as func(class string, f *fields) Message) (Message, error) {
	if len(text) > most {
		return nil, ErrTooBig
	}
	members, err := parse(string(text))
	if err != nil {
		return nil, err
	}
	f := fields{members: members}
	class := f.name("colibriClass")
	if f.err != nil {
		return nil, f.err
	}
	m := as(class, &f)
	if m == nil {
		return nil, fmt.Errorf("%w: %.64q", errClass, class)
	}
	if f.err != nil {
		return nil, fmt.Errorf("channel: %s: %w", m.Class(), f.err)
	}
	return m, nil
}

// fields are the members of an object that is being decoded, and the first fault that was found.
type fields struct {
	members []member
	err     error
}

func (f *fields) fail(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %w", name, err)
	}
}

// get returns a member's value; null is as good as absent.
func (f *fields) get(name string) (raw string, ok bool) {
	for _, m := range f.members {
		if m.name == name {
			return m.raw, m.raw != "null"
		}
	}
	return "", false
}

func (f *fields) need(name string) (raw string) {
	raw, ok := f.get(name)
	if !ok {
		f.fail(name, errMissing)
		return ""
	}
	return raw
}

// text returns a short string, which may be absent. It is a copy: the message can go.
func (f *fields) text(name string) string {
	raw, ok := f.get(name)
	if !ok {
		return ""
	}
	s, err := text(raw)
	if err != nil {
		f.fail(name, err)
	}
	return s
}

// name returns a short string that must be there and not be empty.
func (f *fields) name(name string) string {
	f.need(name)
	s := f.text(name)
	if s == "" {
		f.fail(name, errName)
	}
	return s
}

func text(raw string) (string, error) {
	if raw[0] != '"' {
		return "", errType
	}
	s, err := unquote(raw[1 : len(raw)-1])
	if err != nil {
		return "", err
	}
	if len(s) > longestName {
		return "", errName
	}
	return strings.Clone(s), nil
}

// list returns strings that are not empty; nil where the list is absent, and not nil where it is empty.
func (f *fields) list(name string) []string {
	raw, ok := f.get(name)
	if !ok {
		return nil
	}
	list := []string{}
	f.each(name, raw, func(raw string) {
		s, err := text(raw)
		if err == nil && s == "" {
			err = errName
		}
		if err != nil {
			f.fail(name, err)
			return
		}
		list = append(list, s)
	})
	return list
}

func (f *fields) each(name, raw string, do func(raw string)) {
	p := scanner{s: raw}
	if p.peek() != '[' {
		f.fail(name, errType)
	} else if err := p.array(do); err != nil {
		f.fail(name, err)
	}
}

func (f *fields) flag(name string, absent bool) bool {
	raw, ok := f.get(name)
	switch {
	case !ok:
		return absent
	case raw == "true":
		return true
	case raw != "false":
		f.fail(name, errType)
	}
	return false
}

// textFlag returns a flag that is written as a string (jitsi.md §10.2).
func (f *fields) textFlag(name string) bool {
	s := f.name(name)
	if s != "true" && s != "false" {
		f.fail(name, errType)
	}
	return s == "true"
}

// number returns a number that must be there and within the limits.
func (f *fields) number(name string, low, high float64) float64 {
	raw := f.need(name)
	if raw == "" {
		return 0
	}
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		f.fail(name, errType)
		return 0
	}
	n, err := strconv.ParseFloat(raw, 64)
	if err != nil || n < low || n > high {
		f.fail(name, errNumber)
		return 0
	}
	return n
}

func (f *fields) integer(name string, low, high float64) int64 {
	n := f.number(name, low, high)
	if n != math.Trunc(n) {
		f.fail(name, errType)
	}
	return int64(n)
}

// quantity returns a measure of which −1 means no limit. As scripts compute it, it may have a fraction, which is cut off,
// and be greater than makes sense, which means the same as the most.
func (f *fields) quantity(name string, most float64) int64 {
	return int64(min(f.number(name, -1, math.MaxFloat64), most))
}

// videoType ignores case.
func (f *fields) videoType() VideoType {
	v := VideoType(strings.ToLower(f.name("videoType")))
	if !v.known() {
		f.fail("videoType", errType)
	}
	return v
}

// rest returns the members that we do not interpret, encoded again, in the order of the sender.
func (f *fields) rest() []Field {
	var rest []Field
	for _, m := range f.members {
		if !reserved(m.name) {
			rest = append(rest, Field{strings.Clone(m.name), string(appendValue(make([]byte, 0, len(m.raw)), m.raw))})
		}
	}
	return rest
}

func (f *fields) receiverVideoConstraints() Message {
	m := ReceiverVideoConstraints{SelectedSources: f.list("selectedSources"), OnStageSources: f.list("onStageSources")}
	if _, ok := f.get("lastN"); ok {
		n := int(f.integer("lastN", -1, math.MaxInt32))
		m.LastN = &n
	}
	if raw, ok := f.get("defaultConstraints"); ok {
		c := f.constraints("defaultConstraints", raw)
		m.DefaultConstraints = &c
	}
	if raw, ok := f.get("constraints"); ok {
		sources, err := within(raw)
		if err != nil {
			f.fail("constraints", err)
		}
		m.Constraints = make(map[string]VideoConstraints, len(sources))
		for _, s := range sources {
			if s.name == "" || len(s.name) > longestName {
				f.fail("constraints", errName)
			}
			m.Constraints[strings.Clone(s.name)] = f.constraints("constraints", s.raw)
		}
	}
	if _, ok := f.get("assumedBandwidthBps"); ok {
		n := f.quantity("assumedBandwidthBps", mostBitrate)
		m.AssumedBandwidth = &n
	}
	return m
}

func (f *fields) constraints(name, raw string) VideoConstraints {
	members, err := within(raw)
	if err != nil {
		f.fail(name, err)
		return VideoConstraints{}
	}
	in := fields{members: members}
	c := VideoConstraints{MaxHeight: int(in.quantity("maxHeight", mostHeight)), MaxFrameRate: -1}
	if _, ok := in.get("maxFrameRate"); ok {
		if c.MaxFrameRate = min(in.number("maxFrameRate", -1, math.MaxFloat64), mostHeight); c.MaxFrameRate < 0 {
			c.MaxFrameRate = -1
		}
	}
	if in.err != nil {
		f.fail(name, in.err)
	}
	return c
}

// receiverAudioSubscription ignores the case of the legacy mode.
func (f *fields) receiverAudioSubscription() Message {
	mode := f.text("mode")
	if mode == "" {
		return ReceiverAudioSubscription{All: f.flag("all", true), Include: f.list("include"), Exclude: f.list("exclude")}
	}
	list := f.list("list")
	switch strings.ToLower(mode) {
	case "all":
		return ReceiverAudioSubscription{All: true}
	case "none":
		return ReceiverAudioSubscription{}
	case "include":
		return ReceiverAudioSubscription{Include: list}
	case "exclude":
		return ReceiverAudioSubscription{All: true, Exclude: list}
	}
	f.fail("mode", errType)
	return ReceiverAudioSubscription{}
}

func (f *fields) reduced() (list []Reduced) {
	f.objects("reduced", func(in *fields) {
		list = append(list, Reduced{Source: in.name("source"), MaxHeight: int(in.quantity("maxHeight", mostHeight))})
	})
	return list
}

func (f *fields) troubles() (list []Trouble) {
	f.objects("troubles", func(in *fields) {
		list = append(list, Trouble{Endpoint: in.name("endpoint"), Part: in.text("part")})
	})
	return list
}

// objects calls take with each object of a list, if there is one.
func (f *fields) objects(name string, take func(in *fields)) {
	raw, ok := f.get(name)
	if !ok {
		return
	}
	f.each(name, raw, func(raw string) {
		members, err := within(raw)
		if err != nil {
			f.fail(name, err)
			return
		}
		in := &fields{members: members}
		take(in)
		if in.err != nil {
			f.fail(name, in.err)
		}
	})
}

func (f *fields) mappings(video bool) []Mapping {
	if f.need("mappedSources") == "" {
		return nil
	}
	var mappings []Mapping
	f.objects("mappedSources", func(in *fields) {
		p := Mapping{
			Source: in.name("source"), Owner: in.name("owner"), SSRC: uint32(in.integer("ssrc", 0, math.MaxUint32)), MID: in.text("mid"),
		}
		if video {
			p.RTX, p.VideoType = uint32(in.integer("rtx", 0, math.MaxUint32)), in.videoType()
		}
		mappings = append(mappings, p)
	})
	return mappings
}

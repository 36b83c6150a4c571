package channel

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

func appendName(dst []byte, name string) []byte {
	dst = append(dst, ',')
	dst = appendText(dst, name)
	return append(dst, ':')
}

func appendString(dst []byte, name, s string) []byte {
	return appendText(appendName(dst, name), s)
}

func appendBool(dst []byte, name string, b bool) []byte {
	return strconv.AppendBool(appendName(dst, name), b)
}

func appendInt(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(dst, name), n, 10)
}

func appendList(dst []byte, name string, list []string) []byte {
	dst = append(appendName(dst, name), '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, s)
	}
	return append(dst, ']')
}

// appendObjects writes a list of objects; fields writes what stands between the braces of one.
func appendObjects[T any](dst []byte, name string, list []T, fields func(dst []byte, x T) []byte) []byte {
	dst = append(appendName(dst, name), '[')
	for i, x := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(fields(append(dst, '{'), x), '}')
	}
	return append(dst, ']')
}

func appendFields(dst []byte, fields []Field) []byte {
	for _, f := range fields {
		if !reserved(f.Name) {
			dst = append(appendName(dst, f.Name), f.Value...)
		}
	}
	return dst
}

func (m ServerHello) appendTo(dst []byte) []byte {
	if m.Version == "" {
		return dst
	}
	return appendString(dst, "version", m.Version)
}

func (m DominantSpeakerEndpointChangeEvent) appendTo(dst []byte) []byte {
	dst = appendString(dst, "dominantSpeakerEndpoint", m.DominantSpeakerEndpoint)
	dst = appendList(dst, "previousSpeakers", m.PreviousSpeakers[:min(len(m.PreviousSpeakers), MaxPreviousSpeakers)])
	return appendBool(dst, "silence", m.Silence)
}

func (m ForwardedSources) appendTo(dst []byte) []byte {
	return appendList(dst, "forwardedSources", m.Sources)
}

func (m SenderSourceConstraints) appendTo(dst []byte) []byte {
	dst = appendString(dst, "sourceName", m.SourceName)
	return appendInt(dst, "maxHeight", int64(m.MaxHeight))
}

func (m VideoSourcesMap) appendTo(dst []byte) []byte {
	return appendMappings(dst, m.MappedSources, true)
}
func (m AudioSourcesMap) appendTo(dst []byte) []byte {
	return appendMappings(dst, m.MappedSources, false)
}

// appendMappings writes the video type in upper case, as JVB does (jitsi.md §10.3).
func appendMappings(dst []byte, mappings []Mapping, video bool) []byte {
	return appendObjects(dst, "mappedSources", mappings, func(dst []byte, p Mapping) []byte {
		dst = appendText(append(dst, `"source":`...), p.Source)
		dst = appendString(dst, "owner", p.Owner)
		dst = appendInt(dst, "ssrc", int64(p.SSRC))
		if video {
			dst = appendInt(dst, "rtx", int64(p.RTX))
			dst = appendString(dst, "videoType", strings.ToUpper(string(p.VideoType)))
		}
		if p.MID != "" {
			dst = appendString(dst, "mid", p.MID)
		}
		return dst
	})
}

func (m ConnectionStats) appendTo(dst []byte) []byte {
	dst = appendInt(dst, "estimatedDownlinkBandwidth", m.EstimatedDownlinkBandwidth)
	if m.Limit != "" {
		dst = appendString(dst, "limit", m.Limit)
	}
	if len(m.Reduced) > 0 {
		dst = appendObjects(dst, "reduced", m.Reduced, func(dst []byte, r Reduced) []byte {
			return appendInt(appendText(append(dst, `"source":`...), r.Source), "maxHeight", int64(r.MaxHeight))
		})
	}
	if len(m.Troubles) > 0 {
		dst = appendObjects(dst, "troubles", m.Troubles, func(dst []byte, x Trouble) []byte {
			return appendString(appendText(append(dst, `"endpoint":`...), x.Endpoint), "part", x.Part)
		})
	}
	return dst
}

func (m EndpointConnectivityStatusChangeEvent) appendTo(dst []byte) []byte {
	dst = appendString(dst, "endpoint", m.Endpoint)
	return appendString(dst, "active", strconv.FormatBool(m.Active))
}

func (m SyntheticSourceSendingChangeEvent) appendTo(dst []byte) []byte {
	dst = appendString(dst, "sourceName", m.SourceName)
	dst = appendBool(dst, "sending", m.Sending)
	return appendInt(dst, "timestamp", int64(m.Timestamp))
}

func (m EndpointMessage) appendTo(dst []byte) []byte {
	if m.From != "" {
		dst = appendString(dst, "from", m.From)
	}
	return appendFields(appendString(dst, "to", m.To), m.Fields)
}

func (m EndpointStats) appendTo(dst []byte) []byte {
	if m.From != "" {
		dst = appendString(dst, "from", m.From)
	}
	return appendFields(dst, m.Fields)
}

func (ClientHello) appendTo(dst []byte) []byte { return dst }

func (m ReceiverVideoConstraints) appendTo(dst []byte) []byte {
	if m.LastN != nil {
		dst = appendInt(dst, "lastN", int64(*m.LastN))
	}
	if m.SelectedSources != nil {
		dst = appendList(dst, "selectedSources", m.SelectedSources)
	}
	if m.OnStageSources != nil {
		dst = appendList(dst, "onStageSources", m.OnStageSources)
	}
	if m.DefaultConstraints != nil {
		dst = m.DefaultConstraints.append(appendName(dst, "defaultConstraints"))
	}
	if m.Constraints != nil {
		dst = append(appendName(dst, "constraints"), '{')
		for i, source := range slices.Sorted(maps.Keys(m.Constraints)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, source), ':')
			dst = m.Constraints[source].append(dst)
		}
		dst = append(dst, '}')
	}
	if m.AssumedBandwidth != nil {
		dst = appendInt(dst, "assumedBandwidthBps", *m.AssumedBandwidth)
	}
	return dst
}

func (c VideoConstraints) append(dst []byte) []byte {
	dst = append(dst, `{"maxHeight":`...)
	dst = strconv.AppendInt(dst, int64(c.MaxHeight), 10)
	if c.MaxFrameRate >= 0 {
		dst = strconv.AppendFloat(appendName(dst, "maxFrameRate"), c.MaxFrameRate, 'g', -1, 64)
	}
	return append(dst, '}')
}

func (m LastNChangedEvent) appendTo(dst []byte) []byte {
	return appendInt(dst, "lastN", int64(m.LastN))
}

func (m ReceiverAudioSubscription) appendTo(dst []byte) []byte {
	dst = appendBool(dst, "all", m.All)
	dst = appendList(dst, "include", m.Include)
	return appendList(dst, "exclude", m.Exclude)
}

func (m SourceVideoTypeMessage) appendTo(dst []byte) []byte {
	dst = appendString(dst, "sourceName", m.SourceName)
	return appendString(dst, "videoType", string(m.VideoType))
}

func (m VideoTypeMessage) appendTo(dst []byte) []byte {
	return appendString(dst, "videoType", string(m.VideoType))
}

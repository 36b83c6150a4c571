package jingle

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// The candidate attribute of SDP (RFC 8839 §5.1):
//
//	candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type>
//	  [raddr <address>] [rport <port>] [tcptype <type>] [generation <n>] [ufrag <fragment>] [network-id <n>] ...

// ParseCandidate reads a candidate as browsers report it, with or without "candidate:" or "a=candidate:" before it. The
// fragment is "" where the candidate does not carry one. The error is a *wire.Error.
func ParseCandidate(s string) (c Candidate, ufrag string, err error) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "a="), "candidate:")
	bad := badRequest("the candidate cannot be read")
	if !isText(s, maxText) {
		return Candidate{}, "", bad
	}
	f := strings.Fields(s)
	if len(f) < 8 || f[6] != "typ" || len(f)%2 != 0 || len(f) > 2*maxParameters {
		return Candidate{}, "", bad
	}
	ok := true
	number := func(s string, bits int) uint64 {
		n, fine := parseUint(s, bits)
		ok = ok && fine
		return n
	}
	c = Candidate{
		Foundation: f[0], Component: int(number(f[1], 16)), Protocol: strings.ToLower(f[2]), Priority: uint32(number(f[3], 32)),
		IP: f[4], Port: uint16(number(f[5], 16)), Type: f[7],
	}
	for i := 8; i < len(f); i += 2 {
		switch value := f[i+1]; f[i] {
		case "raddr":
			c.RelAddr = value
		case "rport":
			c.RelPort = uint16(number(value, 16))
		case "tcptype":
			c.TCPType = value
		case "generation":
			c.Generation = int(number(value, 31))
		case "network-id":
			c.Network = int(number(value, 31))
		case "ufrag":
			ufrag = value
		}
	}
	if c.RelAddr == "" {
		c.RelPort = 0
	}
	if !ok || ufrag != "" && !isICE(ufrag, 4, 256) || c.check() != nil {
		return Candidate{}, "", bad
	}
	c.ID = c.makeID()
	return c, ufrag, nil
}

// makeID returns an id for Jingle, where SDP has none: the same candidate has the same id, so that it may be told twice.
func (c *Candidate) makeID() string {
	h := fnv.New64a()
	h.Write(c.appendSDP(nil))
	return "c" + strconv.FormatUint(h.Sum64(), 36)
}

// SDP returns the value of the candidate attribute, "candidate:" before it, as RTCIceCandidate wants it.
func (c *Candidate) SDP() string { return "candidate:" + string(c.appendSDP(nil)) }

func (c *Candidate) appendSDP(dst []byte) []byte {
	dst = append(dst, c.Foundation...)
	dst = strconv.AppendInt(append(dst, ' '), int64(c.Component), 10)
	dst = append(append(dst, ' '), c.Protocol...)
	dst = strconv.AppendUint(append(dst, ' '), uint64(c.Priority), 10)
	dst = append(append(dst, ' '), c.IP...)
	dst = strconv.AppendUint(append(dst, ' '), uint64(c.Port), 10)
	dst = append(append(dst, " typ "...), c.Type...)
	if c.RelAddr != "" {
		dst = append(append(dst, " raddr "...), c.RelAddr...)
		dst = strconv.AppendUint(append(dst, " rport "...), uint64(c.RelPort), 10)
	}
	if c.TCPType != "" {
		dst = append(append(dst, " tcptype "...), c.TCPType...)
	}
	dst = strconv.AppendInt(append(dst, " generation "...), int64(c.Generation), 10)
	if c.Network != 0 {
		dst = strconv.AppendInt(append(dst, " network-id "...), int64(c.Network), 10)
	}
	return dst
}

// inSDP reports that SDP can say the candidate: one over TCP needs its tcptype (RFC 6544 §4.5).
func (c *Candidate) inSDP() bool { return c.Protocol != "tcp" || c.TCPType != "" }

// Trickle is what an ICE agent reports while it gathers (RFC 8838), in the words of RTCIceCandidateInit. Mid may be ""
// where only the index is known, and the other way round with a negative index.
type Trickle struct {
	Mid       string
	Index     int
	Ufrag     string
	Candidate Candidate
	End       bool // no more candidates; Candidate is empty
}

// ParseTrickle reads the members of an RTCIceCandidateInit. An empty candidate ends the gathering. The error is a *wire.Error.
func ParseTrickle(candidate, mid string, index int, ufrag string) (Trickle, error) {
	t := Trickle{Mid: mid, Index: index, Ufrag: ufrag}
	if !isText(mid, maxName) || ufrag != "" && !isICE(ufrag, 4, 256) {
		return Trickle{}, badRequest("the candidate cannot be read")
	}
	if candidate == "" {
		t.End = true
		return t, nil
	}
	c, own, err := ParseCandidate(candidate)
	if err != nil {
		return Trickle{}, err
	}
	if own != "" {
		t.Ufrag = own
	}
	t.Candidate = c
	return t, nil
}

// Content returns the content of a transport-info for the candidate. The description says what the medium is called and,
// since Jingle repeats them (XEP-0176 §5.3), its credentials; it is the sender's own, by whose creator the content is named. The
// result is false where no content fits, or where the fragment is of another ICE generation.
func (t *Trickle) Content(of *Jingle) (Content, bool) {
	for i := range of.Contents {
		c := &of.Contents[i]
		if t.Mid != "" && c.Name != t.Mid || t.Mid == "" && i != t.Index || c.Transport == nil {
			continue
		}
		if t.Ufrag != "" && c.Transport.Ufrag != "" && t.Ufrag != c.Transport.Ufrag {
			return Content{}, false
		}
		tr := &Transport{Ufrag: c.Transport.Ufrag, Password: c.Transport.Password, GatheringComplete: t.End}
		if !t.End {
			tr.Candidates = []Candidate{t.Candidate}
		}
		return Content{Creator: c.Creator, Name: c.Name, Senders: c.Senders, Transport: tr}, true
	}
	return Content{}, false
}

// Trickles returns the candidates of a transport-info for a browser. Those that SDP cannot say are left out. The index is
// that of the content in the session, or negative where the session has no such content.
func Trickles(info, session *Jingle) []Trickle {
	var all []Trickle
	for i := range info.Contents {
		c := &info.Contents[i]
		if c.Transport == nil {
			continue
		}
		index := -1
		for k := range session.Contents {
			if session.Contents[k].Name == c.Name {
				index = k
			}
		}
		for _, candidate := range c.Transport.Candidates {
			if candidate.inSDP() {
				all = append(all, Trickle{Mid: c.Name, Index: index, Ufrag: c.Transport.Ufrag, Candidate: candidate})
			}
		}
		if c.Transport.GatheringComplete {
			all = append(all, Trickle{Mid: c.Name, Index: index, Ufrag: c.Transport.Ufrag, End: true})
		}
	}
	return all
}

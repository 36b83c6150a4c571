package livekitpeer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"parley/internal/peertest/jitsipeer"
	"parley/jingle"
	"parley/jingle/sdp"
)

// limits bound a description of the server: it has two media for each other member.
var limits = sdp.Limits{Bytes: messageMost, Lines: 20000, Line: 4096, Media: 256, Formats: 128}

// remote is what a member reads out of a description of the server.
type remote struct {
	transport  jingle.Transport // of all media: they are bundled
	candidates []string
	media      jitsipeer.Negotiated
}

// read reads a description. It fails when that has no transport.
func read(d *sdp.Description) (r remote, err error) {
	r.media = jitsipeer.Negotiated{Extensions: make(map[string]int), Video: make(map[jitsipeer.Codec]uint8), RTX: make(map[uint8]uint8), Repairs: make(map[uint32]uint32)}
	r.side(d.Attributes)
	for i := range d.Media {
		m := &d.Media[i]
		r.side(m.Attributes)
		for _, a := range m.Attributes {
			switch a.Name {
			case "extmap":
				id, uri, _ := strings.Cut(a.Value, " ")
				if n, err := strconv.Atoi(id); err == nil {
					r.media.Extensions[uri] = n
				}
			case "rtpmap", "fmtp":
				id, value, _ := strings.Cut(a.Value, " ")
				if n, err := strconv.ParseUint(id, 10, 7); err == nil {
					r.format(m.Type, uint8(n), value)
				}
			case "ssrc-group":
				var media, again uint32
				if n, _ := fmt.Sscanf(a.Value, "FID %d %d", &media, &again); n == 2 {
					r.media.Repairs[again] = media
				}
			}
		}
	}
	if t := &r.transport; t.Ufrag == "" || t.Password == "" || len(t.Fingerprints) == 0 {
		return r, errors.New("livekitpeer: a description without transport")
	}
	return r, nil
}

// side takes what attributes say of the transport.
func (r *remote) side(list sdp.Attributes) {
	for _, a := range list {
		switch a.Name {
		case "ice-ufrag":
			r.transport.Ufrag = a.Value
		case "ice-pwd":
			r.transport.Password = a.Value
		case "fingerprint":
			hash, value, _ := strings.Cut(a.Value, " ")
			r.transport.Fingerprints = []jingle.Fingerprint{{Hash: hash, Value: value}}
		case "candidate":
			r.candidates = append(r.candidates, a.Value)
		}
	}
}

// format takes what an rtpmap or fmtp says of a payload type.
func (r *remote) format(kind string, id uint8, value string) {
	switch value {
	case "opus/48000/2":
		r.media.Opus = id
	case "VP8/90000":
		r.media.Video[jitsipeer.VP8], r.media.NACK = id, true
	}
	if of, ok := strings.CutPrefix(value, "apt="); ok && kind == "video" {
		if n, err := strconv.ParseUint(of, 10, 7); err == nil {
			r.media.RTX[id] = uint8(n)
		}
	}
}

// lines are those of a description that is being written.
type lines struct{ strings.Builder }

func (l *lines) add(format string, a ...any) { fmt.Fprintf(l, format+"\r\n", a...) }

func (l *lines) begin(id int) {
	l.add("v=0")
	l.add("o=- %d 1 IN IP4 127.0.0.1", id)
	l.add("s=-")
	l.add("t=0 0")
}

// medium begins a medium with the own side of the transport.
func (l *lines) medium(kind, protocol string, formats []string, own *jingle.Transport) {
	l.add("m=%s 9 %s %s", kind, protocol, strings.Join(formats, " "))
	l.add("c=IN IP4 0.0.0.0")
	l.add("a=ice-ufrag:%s", own.Ufrag)
	l.add("a=ice-pwd:%s", own.Password)
	l.add("a=ice-options:trickle")
	for _, f := range own.Fingerprints {
		l.add("a=fingerprint:%s %s", f.Hash, f.Value)
		l.add("a=setup:%s", f.Setup)
	}
}

// answer takes all that the server offers to send, and sends nothing.
func answer(offer *sdp.Description, own *jingle.Transport) string {
	var l lines
	l.begin(2)
	for group := range offer.Attributes.All("group") {
		l.add("a=group:%s", group)
	}
	for i := range offer.Media {
		m := &offer.Media[i]
		l.medium(m.Type, m.Protocol, m.Formats, own)
		for _, a := range m.Attributes {
			switch a.Name {
			case "sendrecv", "sendonly":
				l.add("a=recvonly")
			case "recvonly", "inactive":
				l.add("a=inactive")
			case "rtcp-mux", "rtcp-rsize":
				l.add("a=%s", a.Name)
			case "mid", "rtpmap", "fmtp", "rtcp-fb", "extmap", "sctp-port", "max-message-size":
				l.add("a=%s:%s", a.Name, a.Value)
			}
		}
	}
	return l.String()
}

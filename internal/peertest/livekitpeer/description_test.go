package livekitpeer

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/internal/peertest/jitsipeer"
	"parley/jingle"
	"parley/jingle/sdp"
)

// What a server offers that is made of pion: a data channel, a voice, and a camera with retransmissions.
const offered = `v=0
o=- 4596489990601351948 1700000000 IN IP4 0.0.0.0
s=-
t=0 0
a=msid-semantic:WMS *
a=fingerprint:sha-256 AB:CD
a=extmap-allow-mixed
a=group:BUNDLE 0 1 2
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=sendrecv
a=sctp-port:5000
a=ice-ufrag:theirs
a=ice-pwd:their-password-of-22-characters
a=candidate:1 1 udp 2130706431 10.78.0.1 7882 typ host
a=candidate:2 1 tcp 1675624447 10.78.0.1 7881 typ host tcptype passive
m=audio 9 UDP/TLS/RTP/SAVPF 111 63
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:1
a=ice-ufrag:theirs
a=ice-pwd:their-password-of-22-characters
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=sendonly
a=ssrc:7 cname:juliet
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:2
a=ice-ufrag:theirs
a=ice-pwd:their-password-of-22-characters
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=fmtp:300 apt=96
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:2/sendonly urn:a-direction
a=ssrc-group:FID 8 9
a=ssrc-group:SIM 8
a=sendonly
m=video 0 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:3
a=inactive
`

var own = &jingle.Transport{Ufrag: "ours", Password: "our-password", Fingerprints: []jingle.Fingerprint{{Hash: "sha-256", Value: "EF:01", Setup: jingle.Active}}}

func parsed(t *testing.T, text string) *sdp.Description {
	t.Helper()
	d, err := sdp.Parse(text, limits)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return d
}

func TestAnOfferIsRead(t *testing.T) {
	r, err := read(parsed(t, offered))
	if err != nil {
		t.Fatal(err)
	}
	want := remote{
		transport:  jingle.Transport{Ufrag: "theirs", Password: "their-password-of-22-characters", Fingerprints: []jingle.Fingerprint{{Hash: "sha-256", Value: "AB:CD"}}},
		candidates: []string{"1 1 udp 2130706431 10.78.0.1 7882 typ host", "2 1 tcp 1675624447 10.78.0.1 7881 typ host tcptype passive"},
		media: jitsipeer.Negotiated{Opus: 111, Video: map[jitsipeer.Codec]uint8{jitsipeer.VP8: 96}, RTX: map[uint8]uint8{97: 96}, Repairs: map[uint32]uint32{9: 8}, NACK: true,
			Extensions: map[string]int{"http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": 3}},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v", r)
	}
}

func TestADescriptionWithoutTransportIsRefused(t *testing.T) {
	for _, line := range []string{"a=ice-ufrag:theirs\n", "a=ice-pwd:their-password-of-22-characters\n", "a=fingerprint:sha-256 AB:CD\n"} {
		if _, err := read(parsed(t, strings.ReplaceAll(offered, line, ""))); err == nil {
			t.Errorf("without %q", line)
		}
	}
}

func TestAnAnswerTakesEverything(t *testing.T) {
	d := parsed(t, answer(parsed(t, offered), own))
	if group, _ := d.Attributes.Get("group"); group != "BUNDLE 0 1 2" || len(d.Media) != 4 {
		t.Fatalf("%+v", d)
	}
	for i, direction := range []string{"recvonly", "recvonly", "recvonly", "inactive"} {
		m := d.Media[i]
		if mid, _ := m.Attributes.Get("mid"); mid != string(rune('0'+i)) || !m.Attributes.Has(direction) || m.Attributes.Has("sendonly") || m.Attributes.Has("sendrecv") {
			t.Errorf("%d: %+v", i, m)
		}
		for name, want := range map[string]string{"ice-ufrag": "ours", "ice-pwd": "our-password", "fingerprint": "sha-256 EF:01", "setup": "active"} {
			if got := slices.Collect(m.Attributes.All(name)); !slices.Equal(got, []string{want}) {
				t.Errorf("%d: %s %q", i, name, got)
			}
		}
		for _, name := range []string{"candidate", "ssrc", "ssrc-group"} {
			if m.Attributes.Has(name) {
				t.Errorf("%d: %s", i, name)
			}
		}
	}
	if m := d.Media[0]; m.Protocol != "UDP/DTLS/SCTP" || !m.Attributes.Has("sctp-port") {
		t.Errorf("%+v", m)
	}
	if m := d.Media[2]; !slices.Equal(slices.Collect(m.Attributes.All("rtpmap")), []string{"96 VP8/90000", "97 rtx/90000"}) || !m.Attributes.Has("rtcp-mux") || !m.Attributes.Has("extmap") {
		t.Errorf("%+v", m)
	}
}

func TestAnOfferNamesTheLayers(t *testing.T) {
	sources := []jitsipeer.Sent{{Name: "romeo-a0", MID: "0", SSRCs: []uint32{7}}, {Name: "romeo-v0", MID: "1", SSRCs: []uint32{8, 9}, Video: &jitsipeer.Video{RIDs: rids}}}
	d := parsed(t, offer("romeo", sources, own))
	if group, _ := d.Attributes.Get("group"); group != "BUNDLE 0 1" || len(d.Media) != 2 {
		t.Fatalf("%+v", d)
	}
	audio, video := d.Media[0].Attributes, d.Media[1].Attributes
	if ids := slices.Collect(audio.All("ssrc")); len(ids) != 2 || !strings.HasPrefix(ids[0], "7 ") {
		t.Errorf("%q", ids)
	}
	if list := slices.Collect(audio.All("extmap")); len(list) != len(ofAudio) {
		t.Errorf("%q", list)
	}
	simulcast, _ := video.Get("simulcast")
	if list := slices.Collect(video.All("rid")); simulcast != "send q;h" || !slices.Equal(list, []string{"q send", "h send"}) || len(slices.Collect(video.All("extmap"))) != len(ofVideo) {
		t.Errorf("%q %q", simulcast, list)
	}
	if id, _ := video.Get("msid"); id != "stream-romeo cid-romeo-v0" {
		t.Errorf("%q", id)
	}
}

// Whatever the server offers, the answer is a description with as many media, which has our side of the transport alone.
func FuzzOffer(f *testing.F) {
	f.Add(offered)
	f.Add(strings.ReplaceAll(offered, "\n", "\r\n"))
	f.Add("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE\nm=video 0 UDP/TLS/RTP/SAVPF 0\na=rtpmap:999 VP8/90000\na=fmtp:97 apt=\na=extmap:x y\na=ssrc-group:FID 1\na=mid:\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := sdp.Parse(text, limits)
		if err != nil {
			return
		}
		r, err := read(d)
		if err == nil && (r.transport.Ufrag == "" || r.transport.Password == "" || len(r.transport.Fingerprints) != 1) {
			t.Errorf("%+v", r)
		}
		for id, of := range r.media.RTX {
			if id > 127 || of > 127 {
				t.Errorf("payload types %d and %d", id, of)
			}
		}
		wide := limits
		wide.Lines, wide.Bytes = 10*limits.Lines, 10*limits.Bytes // each medium gets lines of ours
		again, err := sdp.Parse(answer(d, own), wide)
		if err != nil || len(again.Media) != len(d.Media) {
			t.Fatalf("%v: %q", err, answer(d, own))
		}
		for _, m := range again.Media {
			if got := slices.Collect(m.Attributes.All("ice-ufrag")); !slices.Equal(got, []string{own.Ufrag}) {
				t.Errorf("%q", got)
			}
		}
	})
}

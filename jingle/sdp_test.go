package jingle

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	mstanza "mellium.im/xmpp/stanza"

	"parley/jingle/sdp"
	"parley/xmpp/wire"
)

func mediaOf(t *testing.T, text string) []sdp.Media {
	t.Helper()
	d, err := sdp.Parse(text, sdp.DefaultLimits)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return d.Media
}

func TestTheDialectsOfferAsSDP(t *testing.T) {
	text := toSDP(t, parse(t, offer), Initiator)
	m := mediaOf(t, text)
	want := []string{
		"m=audio 9 UDP/TLS/RTP/SAVPF 111 112 126", "m=video 9 UDP/TLS/RTP/SAVPF 107 99", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
		"a=group:BUNDLE audio video data", "a=ice-ufrag:e9Lu", "a=setup:actpass", "a=mid:audio", "a=sendrecv", "a=rtcp-mux",
		"a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtcp-fb:111 transport-cc", "a=fmtp:112 111/111",
		"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level", "a=extmap-allow-mixed", "a=maxptime:60",
		"a=candidate:1 1 udp 2130706431 203.0.113.7 10000 typ host generation 0",
		"a=fmtp:107 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1;", "a=fmtp:99 apt=107",
		"a=ssrc:4000000001 msid:mixedmslabel mixedlabelvideo0", "a=msid:mixedmslabel mixedlabelvideo0", "a=ssrc:4000000001 name:jvb-v0",
		"a=sctp-port:5000",
	}
	lines := strings.Split(text, "\r\n")
	for _, w := range want {
		if !slices.Contains(lines, w) {
			t.Errorf("no line %s", w)
		}
	}
	if len(m) != 3 || strings.Contains(text, "s3cr3t") {
		t.Errorf("\n%s", text)
	}
}

func TestDirectionsFollowTheSide(t *testing.T) {
	for _, c := range []struct {
		line    string
		by      Role
		senders Senders
		extmap  Senders
	}{
		{"sendrecv", Initiator, Both, InitiatorSends},
		{"sendonly", Initiator, InitiatorSends, InitiatorSends},
		{"recvonly", Initiator, ResponderSends, InitiatorSends},
		{"sendonly", Responder, ResponderSends, ResponderSends},
		{"recvonly", Responder, InitiatorSends, ResponderSends},
		{"inactive", Responder, Nobody, ResponderSends},
	} {
		text := strings.Replace(moreSDP[1], "a=ptime", "a=extmap:3/sendonly urn:x\na="+c.line+"\na=ptime", 1)
		j := fromSDP(t, text, c.by)
		if got := j.Contents[0].Senders; got != c.senders {
			t.Errorf("%s of the %s: %s", c.line, c.by, got)
		}
		if got := j.Contents[0].Description.HeaderExtensions[0].Senders; got != c.extmap {
			t.Errorf("extmap of the %s: %s", c.by, got)
		}
		// The other side's answer to the same contents has the other direction.
		mirror := map[string]string{"sendonly": "recvonly", "recvonly": "sendonly"}
		want := c.line
		if m := mirror[want]; m != "" {
			want = m
		}
		if out := toSDP(t, j, c.by.Other()); !strings.Contains(out, "a="+want+"\r\n") {
			t.Errorf("%s of the %s, seen by the other:\n%s", c.line, c.by, out)
		}
	}
}

func TestOlderAndRarerSDP(t *testing.T) {
	j := fromSDP(t, moreSDP[0], Responder)
	data, rejected, video := &j.Contents[0], &j.Contents[1], &j.Contents[2]
	if *data.Transport.SCTP != (SCTP{Port: 5000, Protocol: "webrtc-datachannel", Streams: 1024}) || !data.Transport.Lite {
		t.Errorf("data: %+v", data.Transport)
	}
	if rejected.Senders != RejectedContent || rejected.Name != "1" {
		t.Errorf("rejected: %+v", rejected)
	}
	d, tr := video.Description, video.Transport
	if len(tr.Fingerprints) != 1 || tr.Fingerprints[0].Setup != Active || !tr.Fingerprints[0].Cryptex || tr.Ufrag != "abcd" ||
		!slices.Equal(tr.Options, []string{"ice2", "trickle"}) {
		t.Errorf("transport: %+v", tr)
	}
	want := &Description{
		Media: "video", Bandwidth: []Bandwidth{{"AS", 500}}, Feedback: []Feedback{{"nack", "pli"}, {"trr-int", "100"}},
		PayloadTypes: []PayloadType{{ID: 96, Name: "VP8", ClockRate: 90000},
			{ID: 97, Name: "rtx", ClockRate: 90000, Parameters: []Parameter{{"apt", "96"}, {"rtx-time", "200"}}}},
		HeaderExtensions: []HeaderExtension{{ID: 3, URI: "urn:ietf:params:rtp-hdrext:encrypt", Senders: InitiatorSends,
			Parameters: []Parameter{{"", "urn:x"}, {"25", "600@1200/24"}}}},
		RIDs:      []RID{{"h", true, "pt=96;max-width=1280"}, {"l", true, ""}},
		Simulcast: Simulcast{Send: []string{"h"}, Receive: []string{"h,l", "~l"}},
		Streams:   []MediaStream{{"a", "b"}, {"c", ""}},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got %+v\nwant %+v", d, want)
	}

	d = fromSDP(t, moreSDP[1], Initiator).Contents[0].Description
	if !reflect.DeepEqual(d.Crypto, []Crypto{{1, "AES_CM_128_HMAC_SHA1_80", "inline:WVNf", "KDR=1 UNENCRYPTED_SRTP"}}) || d.PTime != 20 ||
		d.PayloadTypes[0].Name != "PCMU" || d.PayloadTypes[1].Parameters[0] != (Parameter{"", "0-15"}) || d.Sources[0].Name != "e-a0" {
		t.Errorf("%+v", d)
	}
}

func TestTheSecondWritingIsTheLast(t *testing.T) {
	for _, text := range append([]string{bundleOnly}, moreSDP...) {
		for _, by := range []Role{Initiator, Responder} {
			fixed(t, fromSDP(t, text, by), by, DefaultLimits)
		}
	}
	for _, raw := range dialect {
		fixed(t, parse(t, raw), Initiator, DefaultLimits)
	}
}

func TestSDPRefused(t *testing.T) {
	head := "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
	video := "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=fingerprint:sha-256 " + sha256 + "\r\n"
	fromSDP(t, head+video+"a=mid:0\r\n", Initiator)
	for _, c := range []struct {
		name, in string
		want     mstanza.Condition
	}{
		{"HB1 any bytes", "\x00\xff", ""},
		{"HB1 10,000 lines", head + strings.Repeat("a=x\r\n", 10_000), ""},
		{"no media", head, ""},
		{"HB1 17 media", head + strings.Repeat(video, 17), ""},
		{"HB1 duplicate mids", head + video + "a=mid:0\r\n" + video + "a=mid:0\r\n", ""},
		{"HB1 two mids of one medium", head + video + "a=mid:0\r\na=mid:1\r\n", ""},
		{"HB1 a mid that is another's place", head + video + video + "a=mid:0\r\n", ""},
		{"HB1 duplicate payload types", head + strings.Replace(video, "SAVPF 96", "SAVPF 96 96", 1), ""},
		{"HB1 two rtpmaps", head + video + "a=rtpmap:96 VP9/90000\r\n", ""},
		{"HB1 no rtpmap", head + strings.Replace(video, "SAVPF 96", "SAVPF 96 97", 1), ""},
		{"HB1 payload type 128", head + strings.Replace(video, "SAVPF 96", "SAVPF 128", 1), ""},
		{"HB1 payload type of letters", head + strings.Replace(video, "SAVPF 96", "SAVPF x", 1), ""},
		{"HB1 rtpmap without clock rate", head + strings.Replace(video, "VP8/90000", "VP8", 1), ""},
		{"HB1 rtpmap of clock rate 0", head + strings.Replace(video, "VP8/90000", "VP8/0", 1), ""},
		{"HB1 duplicate SSRC in two media", head + video + "a=ssrc:1 cname:x\r\n" + video + "a=ssrc:1 cname:x\r\n", ""},
		{"HB1 empty items in a group", head + "a=group:\r\n" + video, ""},
		{"HB1 bundle of a stranger", head + "a=group:BUNDLE x\r\n" + video, ""},
		{"HB1 bundle twice of one", head + "a=group:BUNDLE 0 0\r\n" + video, ""},
		{"HB1 two directions", head + video + "a=sendonly\r\na=recvonly\r\n", ""},
		{"HB1 duplicate extmap", head + video + "a=extmap:1 urn:a\r\na=extmap:1 urn:b\r\n", ""},
		{"HB1 extmap 0", head + video + "a=extmap:0 urn:a\r\n", ""},
		{"HB1 extmap without URI", head + video + "a=extmap:1\r\n", ""},
		{"HB1 extmap of a direction unknown", head + video + "a=extmap:1/sideways urn:a\r\n", ""},
		{"HB1 unknown protocol", head + "m=image 9 udptl t38\r\n", mstanza.NotAcceptable},
		{"HB1 empty simulcast", head + video + "a=simulcast:send \r\n", ""},
		{"HB1 empty rid in simulcast", head + video + "a=simulcast:send a;;b\r\n", ""},
		{"HB1 empty rid", head + video + "a=rid: send\r\n", ""},
		{"HB1 65 parameters", head + video + "a=fmtp:96 " + strings.Repeat("a=b;", 65) + "\r\n", ""},
		{"HB1 33 feedback messages", head + video + strings.Repeat("a=rtcp-fb:96 nack\r\n", 33), ""},
		{"HB1 empty feedback", head + video + "a=rtcp-fb:96\r\n", ""},
		{"HB2 101 candidates", head + video + strings.Repeat("a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n", 101), mstanza.ResourceConstraint},
		{"HB2 101 candidates in two media", head + strings.Repeat(video+strings.Repeat("a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n", 51), 2), mstanza.ResourceConstraint},
		{"HB2 bad candidate", head + video + "a=candidate:1 1 udp 1 192.0.2.1 1 typ\r\n", ""},
		{"HB4 DTLS without fingerprint", head + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", mstanza.NotAcceptable},
		{"HB4 DTLS with a weak hash only", head + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:md5 00\r\n", mstanza.NotAcceptable},
		{"HB4 bad fingerprint", head + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 00\r\n", ""},
		{"HB4 bad setup", head + video + "a=setup:maybe\r\n", ""},
		{"HB5 21 SSRCs", head + video + numbered("a=ssrc:1%d cname:x\r\n", 21), mstanza.ResourceConstraint},
		{"HB5 SSRC 0", head + video + "a=ssrc:0 cname:x\r\n", ""},
		{"HB5 SSRC without attribute", head + video + "a=ssrc:1\r\n", ""},
		{"HB5 group of 21", head + video + "a=ssrc-group:SIM" + numbered(" 1%d", 21) + "\r\n", ""},
		{"data without port", head + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=fingerprint:sha-256 " + sha256 + "\r\n", ""},
		{"data of another protocol", head + "m=application 9 UDP/DTLS/SCTP http\r\na=sctp-port:5000\r\na=fingerprint:sha-256 " + sha256 + "\r\n", ""},
		{"two passwords", head + video + "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\na=ice-pwd:0123456789abcdef012346\r\n", ""},
		{"fragment alone", head + video + "a=ice-ufrag:abcd\r\n", ""},
		{"session id over 64 bits", strings.Replace(head, "- 1", "- 99999999999999999999999", 1) + video, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := ParseSDP(c.in, Initiator, DefaultLimits)
			e, ok := err.(*wire.Error)
			if j != nil || !ok {
				t.Fatalf("%+v, %v", j, err)
			}
			if c.want == "" {
				c.want = mstanza.BadRequest
			}
			if e.Condition != c.want {
				t.Errorf("%v", e)
			}
		})
	}
}

// A content of Jitsi's dialect that holds the sources of many people becomes a medium for each.
func TestStreamsOfManyBecomeMediaOfTheirOwn(t *testing.T) {
	j := parse(t, offer)
	video := j.Content("video").Description
	video.Sources = append(video.Sources,
		Source{SSRC: 21, Parameters: []Parameter{{"msid", "romeo v"}}}, Source{SSRC: 22}, Source{SSRC: 23, Parameters: []Parameter{{"cname", "x"}}},
		Source{SSRC: 31, Parameters: []Parameter{{"msid", "juliet v"}}})
	video.SourceGroups = []SourceGroup{{"FID", []uint32{21, 22}}, {"FID", []uint32{21, 31}}}
	if _, err := j.SDP(Initiator, origin); err == nil {
		t.Error("Plan B was written")
	}
	u, err := j.Unified(Initiator)
	if err != nil {
		t.Fatal(err)
	}
	m := mediaOf(t, toSDP(t, u, Initiator))
	var got []string
	for i := range m {
		mid, _ := m[i].Attributes.Get("mid")
		msid, _ := m[i].Attributes.Get("msid")
		group, _ := m[i].Attributes.Get("ssrc-group")
		got = append(got, mid+" "+direction(&m[i])+" "+msid+" "+group)
	}
	want := []string{"audio sendrecv  ", "video sendrecv mixedmslabel mixedlabelvideo0 ", "data sendrecv  ",
		"video-2 sendonly romeo v FID 21 22", "video-3 sendonly juliet v "}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !slices.Equal(u.Bundle().Contents, []string{"audio", "video", "data", "video-2", "video-3"}) || len(j.Contents) != 3 || len(video.Sources) != 5 ||
		len(j.Bundle().Contents) != 3 {
		t.Errorf("groups %v; the original has %d contents", u.Groups, len(j.Contents))
	}
	if same, err := parse(t, offer).Unified(Initiator); err != nil || !reflect.DeepEqual(same, parse(t, offer)) {
		t.Errorf("one stream each: %+v, %v", same, err)
	}
	j.Groups = nil
	if _, err := j.Unified(Initiator); err == nil {
		t.Error("media were made up without a bundle")
	}
}

func TestWhatSDPCannotExpressIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Jingle){
		"name with a space":         func(j *Jingle) { j.Contents[0].Name = "my voice" },
		"another application":       func(j *Jingle) { j.Contents[0].Description = nil },
		"no payload types":          func(j *Jingle) { j.Contents[0].Description.PayloadTypes = nil },
		"payload type without name": func(j *Jingle) { j.Contents[0].Description.PayloadTypes[0].Name = "" },
		"data without SCTP":         func(j *Jingle) { j.Contents[2].Transport.SCTP = nil },
		"data without DTLS":         func(j *Jingle) { j.Contents[2].Transport.Fingerprints = nil },
		"data of another protocol":  func(j *Jingle) { j.Contents[2].Transport.SCTP.Protocol = "http" },
		"line break from a hand":    func(j *Jingle) { j.Contents[0].Description.PayloadTypes[0].Parameters[0].Value = "1\r\na=x" },
		"parameters too long for lines": func(j *Jingle) {
			j.Contents[0].Description.PayloadTypes[0].Parameters = slices.Repeat([]Parameter{{"a", strings.Repeat("b", 1000)}}, 6)
		},
	} {
		j := parse(t, offer)
		change(j)
		if out, err := j.AppendSDP([]byte("kept"), Initiator, origin); err == nil || string(out) != "kept" {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestICERestart(t *testing.T) {
	before := fromSDP(t, read(t, "chromium/lifecycle.inactive-offer.sdp"), Initiator)
	after := fromSDP(t, read(t, "chromium/lifecycle.stopped-restart-offer.sdp"), Initiator)
	if len(before.Contents) != 3 || len(after.Contents) != 3 {
		t.Fatal("contents")
	}
	if before.Contents[0].Transport.SameCredentials(after.Contents[0].Transport) {
		t.Error("no restart seen")
	}
	if !before.Contents[0].Transport.SameCredentials(before.Contents[2].Transport) {
		t.Error("a restart seen within a bundle")
	}
	if after.Contents[1].Senders != RejectedContent || before.Contents[1].Senders != Nobody {
		t.Errorf("stopped: %s, before: %s", after.Contents[1].Senders, before.Contents[1].Senders)
	}
	// As a stanza: transport-replace with the new credentials, and a candidate of the old generation that comes late.
	replace := &Jingle{Action: TransportReplace, SID: "s"}
	for _, c := range after.Contents {
		replace.Contents = append(replace.Contents, Content{Creator: c.Creator, Name: c.Name, Senders: c.Senders, Transport: c.Transport})
	}
	back := parse(t, string(replace.Append(nil)))
	if !back.Contents[0].Transport.SameCredentials(after.Contents[0].Transport) {
		t.Error("credentials are lost")
	}
	late, err := ParseTrickle("candidate:1 1 udp 1 192.0.2.1 1 typ host", "0", 0, before.Contents[0].Transport.Ufrag)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := late.Content(after); ok {
		t.Errorf("a late candidate became %+v", c)
	}
	if _, ok := late.Content(before); !ok {
		t.Error("a candidate in time was refused")
	}
}

func TestRenegotiationAsSourceChanges(t *testing.T) {
	before := SourcesIn(fromSDP(t, read(t, "chromium/lifecycle.offer.sdp"), Initiator).Contents)
	stopped := SourcesIn(fromSDP(t, read(t, "chromium/lifecycle.stopped-restart-offer.sdp"), Initiator).Contents)
	recycled := SourcesIn(fromSDP(t, read(t, "chromium/lifecycle.recycled-offer.sdp"), Initiator).Contents)
	add, remove := Changes(before, stopped)
	if !add.Empty() || len(remove.Video) != 2 || len(remove.VideoGroups) != 1 || len(remove.Audio) != 0 {
		t.Errorf("stopping: add %+v, remove %+v", add, remove)
	}
	add, remove = Changes(stopped, recycled)
	if len(add.Video) != 2 || add.Video[0].MSID() == "" || !remove.Empty() {
		t.Errorf("recycling: add %+v, remove %+v", add, remove)
	}
	changes(t, before, recycled)
}

func TestTrickleFindsItsContent(t *testing.T) {
	j := parse(t, offer)
	for _, c := range []struct {
		mid   string
		index int
		ufrag string
		want  string
	}{
		{"video", -1, "", "video"},
		{"video", 0, "e9Lu", "video"},
		{"", 2, "", "data"},
		{"", 3, "", ""},
		{"", -1, "", ""},
		{"none", 0, "", ""},
		{"audio", 0, "othr", ""},
	} {
		tr, err := ParseTrickle(candidates[2], c.mid, c.index, c.ufrag)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := tr.Content(j)
		if got.Name != c.want || ok != (c.want != "") || ok && (got.Transport.Password == "" || len(got.Transport.Candidates) != 1) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	for _, bad := range []string{"candidate:", "x", "candidate:1 1 udp 1 1.2.3.4 1 typ host\r\na=x", strings.Repeat("a", 2000), "candidate:1 1 udp 1 1.2.3.4 1 typ host raddr"} {
		if tr, err := ParseTrickle(bad, "0", 0, ""); err == nil {
			t.Errorf("%q: %+v", bad, tr)
		}
	}
}

func TestCandidates(t *testing.T) {
	c, ufrag, err := ParseCandidate(candidates[0])
	want := Candidate{ID: c.ID, Component: 1, Foundation: "1791866115", IP: "192.0.2.2", Network: 1, Port: 55754, Priority: 2122194687,
		Protocol: "udp", Type: "host"}
	if err != nil || c != want || ufrag != "+xAy" || c.ID == "" {
		t.Errorf("%+v %q %v", c, ufrag, err)
	}
	for _, s := range candidates {
		c, _, err := ParseCandidate(s)
		if err != nil {
			t.Fatal(err)
		}
		if back, _, err := ParseCandidate(c.SDP()); err != nil || back != c {
			t.Errorf("%+v %v", back, err)
		}
	}
	if c, _, _ := ParseCandidate(candidates[2]); c.RelAddr != "10.0.0.1" || c.RelPort != 8998 || c.Generation != 2 {
		t.Errorf("%+v", c)
	}
}

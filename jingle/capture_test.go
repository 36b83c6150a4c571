package jingle

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"parley/jingle/sdp"
)

// Every line of a browser's description must come back from Jingle, through XML and without, except these.
var lost = regexp.MustCompile(`^a=(msid-semantic|rtcp|rtcp-xr|group|bundle-only)(:|$)|^a=(sendrecv|sendonly|recvonly|inactive)$`)

func TestBrowsersSDPSurvives(t *testing.T) {
	for _, name := range captures(t, "*/*.sdp", 100) {
		t.Run(name, func(t *testing.T) {
			text, by := read(t, name), sideOf(name)
			j := fromSDP(t, text, by)
			direct := toSDP(t, j, by)
			compareLines(t, text, direct)

			j.Action, j.SID = SessionInitiate, "s"
			back := parse(t, string(j.Append(nil)))
			if !reflect.DeepEqual(back, j) {
				t.Errorf("XML changes the values\n got %+v\nwant %+v", back, j)
			}
			if again := toSDP(t, back, by); again != direct {
				t.Errorf("XML changes the description\n got %s\nwant %s", again, direct)
			}
		})
	}
}

// compareLines checks medium by medium that the lines of a browser's description are in ours, whatever their order, and
// directions, groups and bundled transports where they mean something.
func compareLines(t *testing.T, theirs, ours string) {
	t.Helper()
	a, err := sdp.Parse(theirs, sdp.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sdp.Parse(ours, sdp.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Media) != len(b.Media) {
		t.Fatalf("%d media instead of %d", len(b.Media), len(a.Media))
	}
	if g, _ := a.Attributes.Get("group"); !slices.Contains(slices.Collect(b.Attributes.All("group")), g) {
		t.Errorf("group %q is lost", g)
	}
	for i := range a.Media {
		x, y := &a.Media[i], &b.Media[i]
		if x.Type != y.Type || x.Protocol != y.Protocol || !slices.Equal(x.Formats, y.Formats) {
			t.Errorf("m= of %d: %v instead of %v", i, *y, *x)
		}
		rejected := x.Port == 0 && !x.Attributes.Has("bundle-only")
		if rejected != (y.Port == 0) {
			t.Errorf("medium %d: port %d became %d", i, x.Port, y.Port)
		}
		if x.Type != "application" && !rejected && direction(x) != direction(y) {
			t.Errorf("medium %d: %s became %s", i, direction(x), direction(y))
		}
		have := make(map[string]bool)
		for _, at := range y.Attributes {
			have[line(at)] = true
		}
		for _, at := range slices.Concat(a.Attributes, x.Attributes) {
			if format, _, _ := strings.Cut(at.Value, " "); (at.Name == "rtcp-fb" || at.Name == "fmtp") && !slices.Contains(x.Formats, format) {
				continue // Firefox leaves them behind when it is told which codecs to use
			}
			if l := line(at); !have[l] && !lost.MatchString(l) &&
				!(at.Name == "extmap-allow-mixed" && x.Type == "application") && !(rejected && !slices.Contains(x.Attributes, at)) {
				t.Errorf("medium %d lost %s", i, l)
			}
		}
	}
}

func direction(m *sdp.Media) string {
	for _, a := range m.Attributes {
		if _, ok := sendersOf(a.Name, Initiator); ok {
			return a.Name
		}
	}
	return "sendrecv"
}

// line writes an attribute in one manner: candidates in lower case and with the generation that Firefox leaves out.
func line(a sdp.Attribute) string {
	if a.Name == "candidate" {
		a.Value = strings.ToLower(a.Value)
		if !strings.Contains(a.Value, " generation ") {
			a.Value += " generation 0"
		}
	}
	if a.Value == "" {
		return "a=" + a.Name
	}
	return "a=" + a.Name + ":" + a.Value
}

func TestFirefoxBundleOnlyGetsTheBundlesTransport(t *testing.T) {
	j := fromSDP(t, read(t, "firefox/av.offer.sdp"), Initiator)
	if !strings.Contains(read(t, "firefox/av.offer.sdp"), "bundle-only") {
		j = fromSDP(t, bundleOnly, Initiator)
	}
	first, second := j.Contents[0].Transport, j.Contents[1].Transport
	if second == nil || !second.SameCredentials(first) || first.Ufrag == "" || j.Contents[1].Senders == RejectedContent {
		t.Errorf("second medium: %+v", j.Contents[1])
	}
}

const bundleOnly = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\n" +
	"a=fingerprint:sha-256 " + sha256 + "\r\na=setup:actpass\r\n" +
	"m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=bundle-only\r\na=rtpmap:96 VP8/90000\r\n"

const sha256 = "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F"

// Candidates that browsers report become transport-info and come back.
func TestBrowsersTrickle(t *testing.T) {
	for _, name := range captures(t, "*/*-gathered.json", 40) {
		t.Run(name, func(t *testing.T) {
			session := fromSDP(t, read(t, strings.TrimSuffix(name, "json")+"sdp"), sideOf(name))
			var file struct {
				Candidates []*struct {
					Candidate, SDPMid, UsernameFragment string
					SDPMLineIndex                       int
				}
			}
			if err := json.Unmarshal([]byte(read(t, name)), &file); err != nil {
				t.Fatal(err)
			}
			told := 0
			for _, c := range file.Candidates {
				if c == nil {
					continue
				}
				tr, err := ParseTrickle(c.Candidate, c.SDPMid, c.SDPMLineIndex, c.UsernameFragment)
				if err != nil {
					t.Fatalf("%s: %v", c.Candidate, err)
				}
				if tr.End != (c.Candidate == "") {
					t.Errorf("end %v for %q", tr.End, c.Candidate)
				}
				content, ok := tr.Content(session)
				if !ok {
					continue // of an ICE generation that the description is past, or too early
				}
				told++
				info := &Jingle{Action: TransportInfo, SID: "s", Contents: []Content{content}}
				back := Trickles(parse(t, string(info.Append(nil))), session)
				if len(back) != 1 || back[0] != tr {
					t.Errorf("got %+v, want %+v", back, tr)
				}
			}
			if told == 0 && len(file.Candidates) > 0 && !strings.HasPrefix(session.Contents[0].Name, "lifecycle") {
				t.Error("no candidate was told")
			}
		})
	}
}

func TestPlainXMPPClients(t *testing.T) {
	for _, name := range captures(t, "[dg][ia]*/*.xml", 15) {
		t.Run(name, func(t *testing.T) {
			e := jingleIn(t, name)
			if !e.Ok() {
				checkMessage(t, elem(t, read(t, name)))
				return
			}
			j, err := Parse(e, DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			if want := Action(strings.SplitN(name[strings.Index(name, "/")+1:], ".", 2)[0]); j.Action != want {
				t.Errorf("action %s, want %s", j.Action, want)
			}
			out := string(j.Append(nil))
			if back := parse(t, out); !reflect.DeepEqual(back, j) {
				t.Errorf("got %+v\nwant %+v\n%s", back, j, out)
			}
			if got, want := elements(elem(t, out)), elements(e); got != want {
				t.Errorf("written anew it holds\n%s\nwhere the client wrote\n%s", got, want)
			}
		})
	}
}

func TestDinosOfferInDetail(t *testing.T) {
	j, err := Parse(jingleIn(t, "dino/session-initiate.1.xml"), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	audio, video := j.Content("audio"), j.Content("video")
	if len(j.Groups) != 0 || audio == nil || video == nil {
		t.Fatalf("%+v", j)
	}
	if p := audio.Description.PayloadTypes[0]; !reflect.DeepEqual(p, PayloadType{ID: 111, Name: "opus", ClockRate: 48000, Channels: 2,
		Parameters: []Parameter{{"useinbandfec", "1"}}}) {
		t.Errorf("opus: %+v", p)
	}
	if f := video.Description.PayloadTypes[0].Feedback; !slices.Contains(f, Feedback{"nack", "pli"}) {
		t.Errorf("feedback: %v", f)
	}
	if f := audio.Transport.Fingerprints; len(f) != 1 || f[0].Setup != ActPass || audio.Transport.SameCredentials(video.Transport) {
		t.Errorf("transport: %+v", audio.Transport)
	}
	text := toSDP(t, j, Initiator)
	if strings.Contains(text, "crypto") || strings.Contains(text, "inline:") {
		t.Error("SDES keys went out beside DTLS")
	}
	if n := strings.Count(text, "UDP/TLS/RTP/SAVPF"); n != 2 {
		t.Errorf("%d media over DTLS", n)
	}
}

// Gajim's media is not encrypted; that must not be hidden.
func TestGajimsOfferIsPlainRTP(t *testing.T) {
	j, err := Parse(jingleIn(t, "gajim/session-initiate.1.xml"), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	text := toSDP(t, j, Initiator)
	if strings.Contains(text, "SAVPF") || !strings.Contains(text, " RTP/AVPF ") {
		t.Errorf("protocol:\n%s", text)
	}
	if strings.Contains(text, " tcp ") {
		t.Error("a TCP candidate without tcptype went out")
	}
}

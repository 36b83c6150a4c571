package media

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest/jitsipeer"
	"parley/jingle"

	"github.com/pion/rtcp"
)

// scene is a room in which two talk and a third attacks.
type scene struct {
	t                 *testing.T
	ann, bob, mallory *jitsipeer.Peer
}

func attack(t *testing.T, change ...func(*jitsipeer.Options)) *scene {
	t.Helper()
	in := room()
	s := &scene{t: t, ann: join(t, server, in, "ann"), bob: join(t, server, in, "bob")}
	s.mallory = join(t, server, in, "mallory", change...)
	connected(t, s.ann, s.bob)
	allReceive(t, s.ann, s.bob)
	return s
}

// unharmed wants that the two have noticed nothing: all that they sent each other came, and nothing that nobody sent.
func (s *scene) unharmed() {
	s.t.Helper()
	allReceive(s.t, s.ann, s.bob)
	time.Sleep(1200 * time.Millisecond)
	for _, p := range []*jitsipeer.Peer{s.ann, s.bob} {
		whole(s.t, p, everything(p, s.ann, s.bob)...)
		for _, source := range everything(p, s.ann, s.bob) {
			if r := p.Received(source); r.Missing > 0 && r.Height == 0 {
				s.t.Errorf("%s: %d packets of %s are missing", p.Endpoint(), r.Missing, source)
			}
		}
		if n := p.Unknown(); n > 0 {
			s.t.Errorf("%s: %d packets of nobody", p.Endpoint(), n)
		}
		for _, e := range p.Events.Since(0) {
			switch e.Kind {
			case jitsipeer.Disconnected, jitsipeer.Terminated, jitsipeer.ChannelClosed, jitsipeer.StreamBroken:
				s.t.Errorf("%s: %s %s", p.Endpoint(), e.Kind, e.Text)
			}
		}
	}
}

func counted(event string) func() float64 {
	return func() float64 { return server.Metric("parley_reject_total", `event="`+event+`"`) }
}

// packet is an RTP packet without header extensions.
func packet(payload uint8, sequence uint16, stamp, ssrc uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x80, payload}, sequence)
	b = binary.BigEndian.AppendUint32(b, stamp)
	return append(binary.BigEndian.AppendUint32(b, ssrc), body...)
}

const (
	opus = 111
	vp8  = 100
)

// noise is random bytes.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestHB1BadDescriptionsLeaveTheSession(t *testing.T) {
	s := attack(t)
	connected(t, s.mallory)
	sid := s.mallory.SID()
	element := func(action, inner string) string {
		return "<jingle xmlns='urn:xmpp:jingle:1' action='" + action + "' sid='" + sid + "'>" + inner + "</jingle>"
	}
	content := func(inner string) string {
		return "<content creator='initiator' name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>" + inner + "</description></content>"
	}
	for name, payload := range map[string]string{
		"empty element":       element("source-add", ""),
		"unknown action":      element("dance", content("")),
		"no action":           "<jingle xmlns='urn:xmpp:jingle:1' sid='" + sid + "'/>",
		"another session":     "<jingle xmlns='urn:xmpp:jingle:1' action='source-add' sid='nobody'>" + content("") + "</jingle>",
		"thousands of codecs": element("session-accept", content(strings.Repeat("<payload-type id='100' name='VP8' clockrate='90000'/>", 3000))),
		"wild payload type":   element("session-accept", content("<payload-type id='4711' name='VP8' clockrate='90000'/>")),
		"SSRC 0":              element("source-add", content("<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='0' name='mallory-v1'/>")),
		"SSRC too large":      element("source-add", content("<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='99999999999' name='mallory-v1'/>")),
		"SSRC twice":          element("source-add", content(strings.Repeat("<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='7' name='mallory-v1'><parameter name='msid' value='a b'/></source>", 2))),
		"group of nothing":    element("source-add", content("<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='FID'><source ssrc='1'/><source ssrc='2'/></ssrc-group>")),
	} {
		_, err := s.mallory.IQ(t.Context(), "set", s.mallory.Room()+"/focus", payload)
		var refusal *jitsipeer.StanzaError
		if !errors.As(err, &refusal) {
			t.Errorf("%s is taken: %v", name, err)
		} else if refusal.Condition == "internal-server-error" {
			t.Errorf("%s: %v", name, refusal)
		}
	}
	if s.mallory.SID() != sid {
		t.Error("the session has ended")
	}
	allReceive(t, s.ann, s.bob, s.mallory)
	s.unharmed()
}

func TestHB2CandidatesOfAnywhereChangeNothing(t *testing.T) {
	s := attack(t)
	connected(t, s.mallory)
	sid, offer := s.mallory.SID(), s.mallory.Offer()
	for name, addresses := range map[string][]string{
		"loopback, private, multicast": {"127.0.0.1", "10.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0", "::1", "ff02::1"},
		"names":                        {"localhost", "example.org", "00000000-0000-4000-8000-000000000000.local"},
		"hundreds":                     strings.Fields(strings.Repeat("192.0.2.1 ", 75)),
	} {
		var list strings.Builder
		for i, a := range addresses {
			for _, port := range []int{0, 9, 53, 4000} {
				fmt.Fprintf(&list, "<candidate component='1' foundation='1' generation='0' id='c%d-%d' ip='%s' network='0' port='%d' priority='1' protocol='udp' type='host'/>", i, port, a, port)
			}
		}
		_, err := s.mallory.IQ(t.Context(), "set", s.mallory.Room()+"/focus", "<jingle xmlns='urn:xmpp:jingle:1' action='transport-info' sid='"+sid+"'><content creator='initiator' name='"+
			offer.Contents[0].Name+"'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>"+list.String()+"</transport></content></jingle>")
		var refusal *jitsipeer.StanzaError
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	if s.mallory.SID() != sid {
		t.Error("the session has ended")
	}
	allReceive(t, s.ann, s.bob, s.mallory)
	s.unharmed()
}

func TestHB3OtherAddressesAreNotHeard(t *testing.T) {
	s := attack(t)
	foreign := counted("media.foreign")
	before := foreign()
	stranger, err := net.Dial("udp", server.Media)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	voice := s.ann.SSRCs(s.ann.Source('a', 0))[0]
	for n := range 200 { // with ann's own keys, so that only the address is wrong
		b, err := s.ann.Seal(packet(opus, uint16(n), uint32(n)*960, voice+1, noise(80)), false)
		if err != nil {
			t.Fatal(err)
		}
		stranger.Write(b)
		stranger.Write(append([]byte{22, 254, 253}, noise(100)...)) // as if it were DTLS
		stranger.Write(noise(1 + n))
	}
	await(t, patience, "count of packets of strangers", func() bool { return foreign() > before })
	s.unharmed()
}

func TestHB3NothingIsHeardBeforeTheAnswerIsAccepted(t *testing.T) {
	hold := make(chan struct{})
	s := attack(t, func(o *jitsipeer.Options) { o.Hold = hold })
	awaitEvent(t, s.mallory, 0, "offer", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Offered })
	time.Sleep(2 * time.Second)
	for _, e := range s.mallory.Events.Since(0) {
		if e.Kind == jitsipeer.Connected || e.Kind == jitsipeer.Accepted {
			t.Errorf("a member that has not answered is %s", e.Kind)
		}
	}
	if len(s.bob.Sources()) != 2 {
		t.Errorf("bob receives %v", s.bob.Sources())
	}
	s.unharmed()
	close(hold)
	connected(t, s.mallory)
	allReceive(t, s.ann, s.bob, s.mallory)
}

func TestHB4WrongFingerprintGetsNoKeys(t *testing.T) {
	for name, edit := range map[string]func(*jingle.Fingerprint){
		"another certificate": func(f *jingle.Fingerprint) { f.Value = strings.Repeat("AB:", 31) + "CD" },
		"weak hash":           func(f *jingle.Fingerprint) { f.Hash, f.Value = "sha-1", strings.Repeat("AB:", 19)+"CD" },
		"no fingerprint":      nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := attack(t, func(o *jitsipeer.Options) {
				o.Restart = false
				o.Edit = func(j *jingle.Jingle) {
					for i := range j.Contents {
						if edit == nil {
							j.Contents[i].Transport.Fingerprints = nil
						} else {
							edit(&j.Contents[i].Transport.Fingerprints[0])
						}
					}
				}
			})
			end := awaitEvent(t, s.mallory, 0, "end of the session", func(e jitsipeer.Event) bool {
				return e.Kind == jitsipeer.Terminated || e.Kind == jitsipeer.Refused
			})
			if end.Kind == jitsipeer.Terminated && end.Text != "security-error" {
				t.Errorf("the session ends with %s", end.Text)
			}
			for _, e := range s.mallory.Events.Since(0) {
				if e.Kind == jitsipeer.Connected || e.Kind == jitsipeer.Left {
					t.Errorf("%s %s", e.Kind, e.Endpoint)
				}
			}
			s.unharmed()
		})
	}
}

func TestHB5AnothersSSRCIsDropped(t *testing.T) {
	s := attack(t)
	connected(t, s.mallory)
	allReceive(t, s.ann, s.bob, s.mallory)
	dropped := counted("media.ssrc")
	before := dropped()
	voice, picture := s.ann.SSRCs(s.ann.Source('a', 0))[0], s.ann.SSRCs(s.ann.Source('v', 0))[2]
	for n := range 200 {
		for _, b := range [][]byte{
			packet(opus, uint16(n), uint32(n)*960, voice, noise(80)), packet(vp8, uint16(n), uint32(n)*4500, picture, noise(500)),
			packet(opus, uint16(n), uint32(n)*960, 4711, noise(80)),
		} {
			if err := s.mallory.SendPacket(b, false); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Millisecond)
	}
	await(t, patience, "count of foreign SSRCs", func() bool { return dropped() >= before+600 })

	// Nor by signalling.
	source := func(ssrc uint32, name string) jingle.Source {
		return jingle.Source{SSRC: ssrc, Name: name, Parameters: []jingle.Parameter{{Name: "msid", Value: name + " x"}}}
	}
	var many []jingle.Source
	for n := range uint32(21) {
		many = append(many, source(1000+n, fmt.Sprintf("mallory-a%d", n+1)))
	}
	for name, list := range map[string][]jingle.Source{
		"ann's SSRC": {source(voice, "mallory-a1")}, "ann's name": {source(4711, s.ann.Source('a', 1))}, "21 sources": many,
	} {
		err := s.mallory.Change(t.Context(), jingle.SourceAdd, jingle.Sources{Audio: list})
		var refusal *jitsipeer.StanzaError
		if !errors.As(err, &refusal) || refusal.Condition != "bad-request" && refusal.Condition != "resource-constraint" {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.unharmed()
}

func TestHB6RubbishOnTheChannelIsDropped(t *testing.T) {
	s := attack(t)
	connected(t, s.mallory)
	awaitEvent(t, s.mallory, 0, "channel", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.ChannelOpen })
	refused := counted("colibri.reject")
	before := refused()
	from := s.mallory.Events.Mark()
	rubbish := []string{
		"", "{", "[]", "null", `"x"`, `{"colibriClass":7}`, `{"colibriClass":"Nonsense"}`, `{"colibriClass":"ServerHello"}`,
		`{"colibriClass":"ReceiverVideoConstraints","lastN":"all"}`, `{"colibriClass":"ReceiverVideoConstraints","lastN":1e99}`,
		`{"colibriClass":"EndpointMessage","to":"bob","to":"ann"}`, `{"colibriClass":"SourceVideoTypeMessage","sourceName":"ann-v0","videoType":"none"}`,
		`{"colibriClass":"DominantSpeakerEndpointChangeEvent","dominantSpeakerEndpoint":"mallory"}`,
		`{"colibriClass":"EndpointMessage","to":"","msgPayload":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`,
	}
	for _, text := range rubbish {
		s.mallory.Say(text)
	}
	await(t, patience, "count of refused messages", func() bool { return refused() >= before+5 })
	s.mallory.Say(`{"colibriClass":"EndpointMessage","to":"","msgPayload":"` + strings.Repeat("x", 1<<20) + `"}`)
	awaitEvent(t, s.mallory, from, "closed channel", func(e jitsipeer.Event) bool {
		return e.Kind == jitsipeer.ChannelClosed && (strings.Contains(e.Text, "1009") || strings.Contains(e.Text, "StatusMessageTooBig") || strings.Contains(e.Text, "1008") || strings.Contains(e.Text, "StatusPolicyViolation"))
	})
	for _, p := range []*jitsipeer.Peer{s.ann, s.bob} {
		for _, e := range p.Events.Since(0) {
			if e.Kind == jitsipeer.Dominant && e.Endpoint == "mallory" || e.Kind == jitsipeer.ChannelMessage && strings.Contains(e.Text, "xxxx") {
				t.Errorf("%s is told %.100s", p.Endpoint(), e.Text)
			}
		}
	}
	s.unharmed()
}

func TestHB7NobodyOpensAnothersChannel(t *testing.T) {
	s := attack(t)
	connected(t, s.mallory)
	own := s.mallory.Offer().Contents[0].Transport.WebSockets[0]
	address, secret, _ := strings.Cut(own, "?")
	open := func(url string) int {
		req, err := http.NewRequest(http.MethodGet, strings.Replace(url, "ws://", "http://", 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
			req.Header.Set(k, v)
		}
		client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := open(own); got != http.StatusSwitchingProtocols {
		t.Fatalf("the own channel: %d", got)
	}
	for name, url := range map[string]string{
		"no secret": address, "wrong secret": address + "?pwd=wrong", "empty secret": address + "?pwd=",
		"another's endpoint with the own secret": strings.Replace(address, "/mallory", "/ann", 1) + "?" + secret,
		"nobody's endpoint":                      strings.Replace(address, "/mallory", "/nobody", 1) + "?" + secret,
	} {
		if got := open(url); got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
	}
	s.mallory.Leave()
	awaitEvent(t, s.ann, 0, "leave", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "mallory" })
	await(t, patience, "end of the ticket", func() bool { return open(own) == http.StatusForbidden })
	s.unharmed()
}

func TestHB8ControlFloods(t *testing.T) {
	s := attack(t)
	connected(t, s.mallory)
	allReceive(t, s.ann, s.bob, s.mallory)
	camera := s.ann.Source('v', 0)
	layers, voice := s.ann.SSRCs(camera), s.ann.SSRCs(s.ann.Source('a', 0))[0]
	seen := s.mallory.Received(camera).SSRC
	asked := len(s.ann.KeyFrameRequests(camera))
	begun := time.Now()
	send := func(packets ...rtcp.Packet) {
		b, err := rtcp.Marshal(packets)
		if err != nil {
			t.Fatal(err)
		}
		s.mallory.SendPacket(b, true)
	}
	for n := range 2000 {
		send(&rtcp.PictureLossIndication{MediaSSRC: seen}, &rtcp.PictureLossIndication{MediaSSRC: layers[n%3]})
		send(&rtcp.FullIntraRequest{MediaSSRC: seen, FIR: []rtcp.FIREntry{{SSRC: seen, SequenceNumber: uint8(n)}, {SSRC: layers[0], SequenceNumber: uint8(n)}}})
		send(&rtcp.TransportLayerNack{MediaSSRC: seen, Nacks: []rtcp.NackPair{{PacketID: uint16(n), LostPackets: 0xffff}, {PacketID: uint16(17 * n), LostPackets: 0xffff}}})
		switch n % 50 {
		case 0:
			send(&rtcp.Goodbye{Sources: append([]uint32{voice}, layers...)})
			send(&rtcp.SenderReport{SSRC: voice, NTPTime: ^uint64(0), RTPTime: 1 << 31, PacketCount: 1 << 31})
		case 1:
			send(&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1e18, SSRCs: layers})
			send(&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: seen, FractionLost: 255, TotalLost: 1<<24 - 1, Jitter: ^uint32(0), Delay: ^uint32(0)}}})
		case 2:
			for _, b := range [][]byte{{0x80, 200, 0, 0}, {0x81, 206, 255, 255, 0, 0, 0, 1}, append([]byte{0x8f, 205, 0, 40}, noise(160)...), append([]byte{0x9f, 203, 0, 9}, noise(36)...)} {
				s.mallory.SendPacket(append(append([]byte{0x80, 201, 0, 1, 0, 0, 0, 1}, b...), noise(8)...), true)
			}
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(begun)
	if got, most := len(s.ann.KeyFrameRequests(camera))-asked, int(took.Seconds())+3; got > most {
		t.Errorf("%d key frames are asked for in %v", got, took)
	} else {
		t.Logf("%d key frames are asked for in %v", got, took)
	}
	allReceive(t, s.ann, s.bob, s.mallory)
	s.unharmed()
}

func TestHB9PacketFloods(t *testing.T) {
	s := attack(t)
	connected(t, s.mallory)
	allReceive(t, s.ann, s.bob, s.mallory)
	own := s.mallory.SSRCs(s.mallory.Source('v', 0))[0]
	replay, err := s.mallory.Seal(packet(vp8, 4711, 1, own, noise(900)), false)
	if err != nil {
		t.Fatal(err)
	}
	odd := func(n int) []byte {
		b := packet(vp8, uint16(n*7919), uint32(n)<<20, own, noise(20+n%900))
		switch n % 5 {
		case 0:
			b[0] |= 0x20 // padding as long as the packet says
			b[len(b)-1] = byte(len(b) - 12)
		case 1:
			return b[:12]
		case 2:
			b[0] |= 0x10
			binary.BigEndian.PutUint16(b[12:], 0xbede)
			binary.BigEndian.PutUint16(b[14:], uint16((len(b)-16)/4))
		case 3:
			b[1] = byte(n) & 0x7f
		}
		return b
	}
	overflow := func() float64 { return server.Metric("parley_bridge_overflow_packets_total", "") }
	before := overflow()
	one, begun, n := []byte{0}, time.Now(), 0
	for length := 3 * time.Second; time.Since(begun) < length; { // 50,000 packets of one byte a second, and others between them
		due := int(time.Since(begun).Seconds() * 50000)
		if due-n > 5000 {
			n = due - 5000 // the machine is too slow for so many
		}
		for ; n < due; n++ {
			one[0] = byte(n)
			s.mallory.SendRaw(one)
			switch n % 100 {
			case 50:
				s.mallory.SendRaw(replay)
			case 99:
				s.mallory.SendPacket(odd(n/100), false)
			}
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("%d packets in %v", n, time.Since(begun))
	if lost := overflow() - before; lost > 0 { // the kernel's doing, on a machine that is too slow for so many
		t.Logf("the kernel had no room for %.0f of them", lost)
		allReceive(t, s.ann, s.bob)
		return
	}
	s.unharmed()
}

func TestHB10AnyBytesInPayloads(t *testing.T) {
	// Mallory's own media, on its own SSRCs: nobody is meant to decode them, and nobody else's may suffer.
	s := attack(t, func(o *jitsipeer.Options) { o.Video.FPS = 1 })
	connected(t, s.mallory)
	layers := s.mallory.SSRCs(s.mallory.Source('v', 0))
	for n := range 6000 {
		pt := []uint8{41, 100, 101, 107, 96, 42, 111, 112}[n%8]
		body := noise(n % 200)
		b := packet(pt, uint16(n), uint32(n/3)*3000, layers[n%len(layers)], nil)
		if n%2 == 0 { // with header extensions, the dependency descriptor among them
			descriptor := noise(1 + n%60)
			if len(descriptor) > 4 && n%4 == 0 {
				descriptor[3] |= 0x80 // a structure
			}
			b[0] |= 0x10
			list := append([]byte{11, byte(len(descriptor))}, descriptor...)
			for len(list)%4 != 0 {
				list = append(list, 0)
			}
			b = binary.BigEndian.AppendUint16(append(b, 0x10, 0), uint16(len(list)/4))
			b = append(b, list...)
		}
		if err := s.mallory.SendPacket(append(b, body...), false); err != nil {
			t.Fatal(err)
		}
		if n%4 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	allReceive(t, s.ann, s.bob)
	time.Sleep(1200 * time.Millisecond)
	for _, p := range []*jitsipeer.Peer{s.ann, s.bob} {
		whole(t, p, everything(p, s.ann, s.bob)...)
	}
}

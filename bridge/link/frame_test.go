package link

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"parley/bridge/api"
)

func frameOf(text string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}

// rubbish is what no front says first.
var rubbish = map[string][]byte{
	"a browser":                  []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	"a frame of 4 GiB":           {0xFF, 0xFF, 0xFF, 0xFF, '{', '}'},
	"a frame larger than any":    binary.BigEndian.AppendUint32(nil, largest+1),
	"an empty frame":             {0, 0, 0, 0},
	"no JSON":                    frameOf("apply everything"),
	"JSON that is no object":     frameOf(`["front"]`),
	"nothing":                    frameOf(`{}`),
	"a member of another type":   frameOf(`{"front": 7}`),
	"two members":                frameOf(`{"ping": true, "front": {"protocol": 1, "id": "x"}}`),
	"a front without an id":      frameOf(`{"front": {"protocol": 1}}`),
	"a wish before the greeting": frameOf(`{"apply": {"id": "c", "version": 1, "endpoints": [{"id": "a"}]}}`),
	"depth":                      frameOf(`{"front": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}"),
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"an id too long":        `{"apply": {"id": "` + strings.Repeat("x", 257) + `", "version": 1}}`,
		"no id":                 `{"apply": {"version": 1}}`,
		"an endpoint twice":     `{"apply": {"id": "c", "version": 1, "endpoints": [{"id": "a"}, {"id": "a"}]}}`,
		"an endpoint's no id":   `{"apply": {"id": "c", "version": 1, "endpoints": [{}]}}`,
		"an event of no kind":   `{"event": {}}`,
		"an event of two kinds": `{"event": {"stress": {}, "speaker": {"conference": "c"}}}`,
		"a hello of nobody":     `{"event": {"hello": {}}}`,
		"an ended nobody":       `{"ended": ["ann", ""]}`,
		"ended users, none":     `{"ended": []}`,
		"too many ended users":  `{"ended": [` + strings.Repeat(`"ann",`, mostEnded) + `"bob"]}`,
		"a negative version":    `{"apply": {"id": "c", "version": -1}}`,
		"what follows":          `{"ping": true}{"ping": true}`,
		"a false ping":          `{"ping": false}`,
	} {
		_, err := decode([]byte(text))
		if b := (*badMessage)(nil); !errors.As(err, &b) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadTakesMemoryAsItComes(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	c := &conn{Conn: ours}
	go func() {
		theirs.Write(binary.BigEndian.AppendUint32(nil, largest))
		theirs.Write([]byte("{"))
		theirs.Close()
	}()
	if _, err := c.read(time.Second); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if cap(c.in) > 64<<10 {
		t.Errorf("%d bytes taken for one that came", cap(c.in))
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range rubbish {
		f.Add(b)
	}
	full := conference("c", 3, "a", "b")
	full.Endpoints[0].Remote = &api.Remote{Ufrag: "u", Fingerprints: []api.Fingerprint{{Hash: "sha-256", Value: "AA:BB"}}}
	full.Endpoints[1].Receive.Extensions = map[string]int{"urn:ietf:params:rtp-hdrext:ssrc-audio-level": 1}
	for _, m := range []message{
		{Front: &front{Protocol: 1, ID: "f", Conferences: map[string]uint64{"c": 2}}}, {Apply: &full}, {Drain: true}, {Ping: true},
		{Ended: []string{"ann", "bob"}}, {Reload: true}, {Applied: &applied{"c", 3}}, {Refused: "why"}, {Event: &api.Event{State: &api.State{Conference: "c", Endpoint: "a", State: api.Active}}},
	} {
		b, err := encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		m, err := decode(b[4:])
		if err != nil {
			return
		}
		again, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		same, err := decode(again[4:])
		if err != nil {
			t.Fatalf("what was written is not read: %v\n%s", err, again[4:])
		}
		one, _ := json.Marshal(m)
		two, _ := json.Marshal(same)
		if !reflect.DeepEqual(one, two) {
			t.Fatalf("%s\n%s", one, two)
		}
	})
}

// A wish that does not fit leaves its conference as it was, so all that can be signalled (hardening.md §1: 100 candidates, 20
// SSRCs an endpoint) must.
func TestLargeConferencesFitIntoAMessage(t *testing.T) {
	e := api.Endpoint{ID: "0f3a9c1e", Session: 1 << 30, Restart: 1 << 30, Data: true, MuteAudio: true, MuteVideo: true}
	e.Remote = &api.Remote{Ufrag: strings.Repeat("u", 256), Pwd: strings.Repeat("p", 256), Setup: "passive"}
	for range 8 {
		e.Remote.Fingerprints = append(e.Remote.Fingerprints, api.Fingerprint{Hash: "sha-512", Value: strings.Repeat("AB:", 64)})
	}
	for range 100 {
		e.Remote.Candidates = append(e.Remote.Candidates, api.Candidate{Foundation: strings.Repeat("f", 32), Protocol: "tcp", TCPType: "passive",
			Priority: 1 << 31, IP: "2001:0db8:0000:0000:0000:ff00:0042:8329", Port: 65535, Type: "srflx"})
	}
	for range 20 {
		e.Sources = append(e.Sources, api.Source{Name: strings.Repeat("n", 256), Kind: api.Video, VideoType: api.Desktop, SSRCs: []uint32{1 << 31},
			Groups: []api.Group{{Semantics: "FID", SSRCs: []uint32{1 << 31, 1 << 31}}}, Since: 1 << 40})
	}
	e.Receive = api.Receive{Rewriting: true, MidDemux: true, Mixed: true, Known: 1 << 40, AudioSSRC: 1 << 31, VideoSSRC: 1 << 31, Extensions: map[string]int{}}
	for i := range 32 {
		e.Receive.Payloads = append(e.Receive.Payloads, api.Payload{ID: 127, Name: "telephone-event", Clock: 90000, Apt: 127})
		e.Receive.Extensions[strings.Repeat("x", 100+i)] = 14
	}
	size := func(n int) int {
		c := conference("c", 1)
		for range n {
			c.Endpoints = append(c.Endpoints, e)
		}
		frame, err := encode(message{Apply: &c})
		if err != nil {
			t.Fatal(err)
		}
		return len(frame)
	}
	one := size(2) - size(1)
	if 1500*one > largest {
		t.Errorf("1,500 endpoints of %d bytes do not fit into %d", one, largest)
	}
	t.Log(one, "bytes an endpoint")
}

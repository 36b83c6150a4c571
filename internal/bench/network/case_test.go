package network

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/netem"
)

func TestCasesAreSound(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range cases {
		if seen[c.Name] || c.Title == "" || len(c.Flows) == 0 || len(c.Down) == 0 {
			t.Errorf("case %q", c.Name)
		}
		seen[c.Name] = true
		for _, s := range []netem.Schedule{c.Down, c.Up, c.Uplink} {
			for i, step := range s {
				if i == 0 && step.At != 0 || i > 0 && step.At <= s[i-1].At || step.At >= c.Length || step.Rate <= 0 {
					t.Errorf("case %s: step %d", c.Name, i)
				}
			}
		}
		if c.settled() > c.Length*2/3 {
			t.Errorf("case %s: no time to see who gets what", c.Name)
		}
	}
}

func TestCasesAreScaled(t *testing.T) {
	c := cases[slices.IndexFunc(cases, func(c Case) bool { return c.Name == "5.8" })].scaled(60 * second)
	if c.Length != time.Minute || c.Flows[0].Pause != 20*second || c.Flows[0].Resume != 30*second || c.Flows[0].Delay != usual {
		t.Errorf("%+v", c)
	}
	c = cases[0].scaled(50 * second)
	if c.Down[2] != (netem.Step{At: 30 * second, Rate: 600 * kbit}) || cases[0].Down[2].At != 60*second {
		t.Errorf("%+v", c.Down)
	}
	c = Case{Length: 60 * second, Shifts: []netem.Shift{{At: 20 * second, By: 500 * milli}}, Uplink: constant(kbit)}.scaled(30 * second).since(2 * second)
	if c.Shifts[0] != (netem.Shift{At: 12 * second, By: 500 * milli}) || c.Uplink[0] != (netem.Step{At: 2 * second, Rate: kbit}) {
		t.Errorf("%+v", c)
	}
	got := (&Case{Flows: []Flow{{Start: 9}, {Pause: 4, Resume: 7}}}).actions()
	if want := []action{{0, 1, -1}, {4, 1, 0}, {7, 1, -1}, {9, 0, -1}}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Cases: []string{"5.1"}, Duration: 10 * time.Second, Senders: 1, Queue: 1, Codec: "VP8"}
	if list, _, builds, err := good.chosen(); err != nil || len(list) != 1 || len(builds) != 1 || list[0].Length != 10*time.Second {
		t.Errorf("%v %v %v", list, builds, err)
	}
	built := good
	built.Binary = []string{"a=/x", "b=parley:/y", "other:/z"}
	if _, _, builds, err := built.chosen(); err != nil || !slices.Equal(builds, []build{{"a", usualKind, "/x"}, {"b", usualKind, "/y"}, {"z", usualKind, builds[2].path}}) || !strings.HasSuffix(builds[2].path, "/other:/z") {
		t.Errorf("%v %v", builds, err)
	}
	other := good
	other.TUN, other.Binary = true, []string{"a=livekit:/x", "livekit=/y"}
	if _, _, builds, err := other.chosen(); err != nil || !slices.Equal(builds, []build{{"a", "livekit", "/x"}, {"livekit", usualKind, "/y"}}) {
		t.Errorf("%v %v", builds, err)
	}
	rfc := good
	rfc.Duration = 0
	if list, _, _, _ := rfc.chosen(); list[0].Length != 100*time.Second {
		t.Error(list[0].Length)
	}
	for want, o := range map[string]Options{
		"no case":                          {Cases: []string{"5.9"}, Senders: 1, Queue: 1},
		"takes --tun":                      {Cases: []string{"5.6"}, Senders: 1, Queue: 1},
		"senders":                          {Cases: []string{"5.1"}, Senders: 9, Queue: 1},
		"marks with":                       {Cases: []string{"5.1"}, Senders: 1, Queue: 1, Mark: 1},
		"--chromium":                       {Cases: []string{"5.1"}, Senders: 1, Queue: 1, Chromium: "x", Codec: "VP8"},
		"of VP8":                           {Cases: []string{"5.1"}, Senders: 1, Queue: 1, Chromium: "x", Codec: "AV1", TUN: true},
		"a queue":                          {Cases: []string{"5.1"}, Senders: 1},
		"3 s":                              {Cases: []string{"5.1"}, Senders: 1, Queue: 1, Duration: time.Second},
		"are called":                       {Cases: []string{"5.1"}, Senders: 1, Queue: 1, Binary: []string{"a=/x", "a=/y"}},
		"a: servers of LiveKit take --tun": {Cases: []string{"5.1"}, Senders: 1, Queue: 1, Codec: "VP8", Binary: []string{"a=livekit:/x"}},
		"LiveKit take pictures of VP8":     {Cases: []string{"5.1"}, Senders: 1, Queue: 1, Codec: "AV1", TUN: true, Binary: []string{"b=/y", "a=livekit:/x"}},
		"and no --chromium":                {Cases: []string{"5.1"}, Senders: 1, Queue: 1, Codec: "VP8", TUN: true, Chromium: "x", Binary: []string{"a=livekit:/x"}},
		"LiveKit names no part":            {Cases: []string{"faults"}, Senders: 2, Queue: 1, Codec: "VP8", TUN: true, Binary: []string{"a=livekit:/x"}},
		`no case "5.9`:                     {Cases: []string{"5.1", "5.9"}, Senders: 1, Queue: 1},
	} {
		if _, _, _, err := o.chosen(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	all := Options{Cases: []string{"all"}, Senders: 1, Queue: 1}
	if list, _, _, _ := all.chosen(); len(list) != len(cases)-2 || slices.ContainsFunc(list, func(c Case) bool { return c.Long+c.Short > 0 }) {
		t.Errorf("%d cases without TUN", len(list))
	}
	all.TUN = true
	if list, _, _, _ := all.chosen(); len(list) != len(cases) {
		t.Errorf("%d cases with TUN", len(list))
	}
}

func TestAMissingProgramIsSaidAtOnce(t *testing.T) {
	o := Options{Cases: []string{"5.1"}, Senders: 1, Queue: 1, Codec: "VP8", TUN: true, Rounds: 1, Binary: []string{"lk=livekit:" + filepath.Join(t.TempDir(), "none")}}
	var progress strings.Builder
	o.Progress = &progress
	err := Run(t.Context(), o, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "lk: no program") || progress.Len() > 0 {
		t.Errorf("%v, after %q", err, progress.String())
	}
}

func TestClassesArePayloadTypes(t *testing.T) {
	r := &repairs{42: true, 96: true}
	rtp := func(pt byte) []byte { return append([]byte{0x90, pt}, make([]byte, 30)...) }
	ip := func(protocol byte, b []byte) []byte {
		head := make([]byte, 28)
		head[0], head[9] = 0x45, protocol
		return append(head, b...)
	}
	for name, c := range map[string]struct {
		b    []byte
		want int
	}{
		"VP8": {rtp(100), classMedia}, "with marker": {rtp(100 | 0x80), classMedia}, "Opus": {rtp(111), classMedia},
		"RTX of VP8": {rtp(96), classRepair}, "RTX of AV1 with marker": {rtp(42 | 0x80), classRepair},
		"RTCP": {rtp(200), classOther}, "STUN": {append([]byte{0, 1}, make([]byte, 30)...), classOther},
		"DTLS": {append([]byte{22, 254}, make([]byte, 30)...), classOther}, "short": {[]byte{0x90, 100}, classOther}, "nothing": {nil, classOther},
	} {
		if got := r.udp(c.b); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
		if got := r.ip(ip(17, c.b)); got != c.want {
			t.Errorf("%s in IP: %d", name, got)
		}
		if got := r.ip(ip(6, c.b)); got != classOther {
			t.Errorf("%s in TCP: %d", name, got)
		}
	}
	if r.ip(append([]byte{0x4f}, ip(17, rtp(96))[1:]...)) == classRepair {
		t.Error("options of the header are taken for the payload")
	}
	options := append(make([]byte, 4), ip(17, rtp(96))...) // six words of header
	options[0], options[9] = 0x46, 17
	if got := r.ip(options); got != classRepair {
		t.Errorf("behind options: %d", got)
	}
	if got := r.ip(append([]byte{0x44}, ip(17, rtp(96))[1:]...)); got != classOther {
		t.Errorf("a header that is too short: %d", got)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0, 0, 10, 78, 0, 1, 10, 78, 0, 2, 0, 1, 0, 2, 0, 20, 0, 0, 0x90, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x4f, 17})
	f.Add([]byte("\xb2\xb2\xb2\xb2\xb2\xb2\xb2\xb2@\x11\x00\x00\nN\x00\x01\x90`\x00\x02\x00\x01\x00\x02\x00\x14\x00\x00")) // of no version
	r := &repairs{96: true}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c := r.ip(b); c != classOther && (len(b) < 40 || b[9] != 17) {
			t.Fatal("media that is none")
		}
	})
}

// A member answers each order, also those that it cannot do.
func TestMemberAnswersEachOrder(t *testing.T) {
	h := inside(context.Background())
	h.nick = "somebody"
	for do, want := range map[string]string{"want": "not there yet", "media": "not there yet", "dance": "not there yet"} {
		if _, err := h.ask(order{Do: do}); err == nil || !strings.Contains(err.Error(), "somebody, "+do+": "+want) {
			t.Errorf("%s: %v", do, err)
		}
	}
	if _, err := h.ask(order{Do: "join", Spec: memberSpec{Kind: usualKind, URL: "ws://127.0.0.1:1/x", Room: "r"}}); err == nil {
		t.Error("joined nothing")
	}
	if _, err := h.ask(order{Do: "join", Spec: memberSpec{Kind: "other", URL: "ws://127.0.0.1:1/x", Room: "r"}}); err == nil || !strings.Contains(err.Error(), "no servers of the kind") {
		t.Errorf("joined a server of no kind: %v", err)
	}
	if err := h.end(); err != nil {
		t.Error(err)
	}
	if _, err := h.ask(order{Do: "report"}); err == nil {
		t.Error("a member that has ended answers")
	}
	if err := Member(t.Context(), strings.NewReader("{nonsense"), io.Discard); err == nil {
		t.Error("nonsense is an order")
	}
}

package channel

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func ptr[T any](v T) *T { return &v }

// fromClients are messages of clients, and what they mean. The first ones are as lib-jitsi-meet writes them.
var fromClients = []struct {
	name, text string
	want       Message
}{
	{"constraints of plain library use", `{"colibriClass":"ReceiverVideoConstraints","assumedBandwidthBps":-1,"lastN":-1}`,
		ReceiverVideoConstraints{LastN: ptr(-1), AssumedBandwidth: ptr(int64(-1))}},
	{"constraints of the web app", `{"colibriClass":"ReceiverVideoConstraints","constraints":{"64f125c7-v0":{"maxHeight":360,"maxFrameRate":30},"0f3a9c1e-v1":{"maxHeight":2160}},"defaultConstraints":{"maxHeight":180},"lastN":20,"onStageSources":["64f125c7-v0"],"selectedSources":[]}`,
		ReceiverVideoConstraints{
			LastN: ptr(20), SelectedSources: []string{}, OnStageSources: []string{"64f125c7-v0"},
			DefaultConstraints: &VideoConstraints{180, -1},
			Constraints:        map[string]VideoConstraints{"64f125c7-v0": {360, 30}, "0f3a9c1e-v1": {2160, -1}},
		}},
	{"constraints that change nothing", `{"colibriClass":"ReceiverVideoConstraints","lastN":null}`, ReceiverVideoConstraints{}},
	{"no constraints left", `{"colibriClass":"ReceiverVideoConstraints","constraints":{}}`, ReceiverVideoConstraints{Constraints: map[string]VideoConstraints{}}},
	{"constraints that a script computed", `{"colibriClass":"ReceiverVideoConstraints","defaultConstraints":{"maxHeight":1e99,"maxFrameRate":29.97},"constraints":{"a":{"maxHeight":359.9}},"assumedBandwidthBps":1e300}`,
		ReceiverVideoConstraints{
			DefaultConstraints: &VideoConstraints{mostHeight, 29.97}, Constraints: map[string]VideoConstraints{"a": {359, -1}}, AssumedBandwidth: ptr(int64(mostBitrate)),
		}},
	{"members of no class", `{"colibriClass":"LastNChangedEvent","lastN":3.0e0,"from":"juliet","x":[{}]}`, LastNChangedEvent{LastN: 3}},
	{"hello", " {\t\"colibriClass\" : \"ClientHello\"\r\n} ", ClientHello{}},
	{"audio", `{"all":false,"colibriClass":"ReceiverAudioSubscription","exclude":[],"include":["a-a0"]}`,
		ReceiverAudioSubscription{Include: []string{"a-a0"}, Exclude: []string{}}},
	{"audio by default", `{"colibriClass":"ReceiverAudioSubscription"}`, ReceiverAudioSubscription{All: true}},
	{"audio, legacy all", `{"colibriClass":"ReceiverAudioSubscription","mode":"All"}`, ReceiverAudioSubscription{All: true}},
	{"audio, legacy none", `{"colibriClass":"ReceiverAudioSubscription","mode":"None","list":[]}`, ReceiverAudioSubscription{}},
	{"audio, legacy include", `{"colibriClass":"ReceiverAudioSubscription","mode":"Include","list":["a-a0"]}`, ReceiverAudioSubscription{Include: []string{"a-a0"}}},
	{"audio, legacy exclude", `{"colibriClass":"ReceiverAudioSubscription","mode":"exclude","list":["a-a0"]}`, ReceiverAudioSubscription{All: true, Exclude: []string{"a-a0"}}},
	{"video type in any case", `{"colibriClass":"SourceVideoTypeMessage","sourceName":"a-v0","videoType":"DESKTOP_high_fps"}`,
		SourceVideoTypeMessage{"a-v0", DesktopHighFPS}},
	{"deprecated video type", `{"colibriClass":"VideoTypeMessage","videoType":"camera"}`, VideoTypeMessage{Camera}},
	{"message to all", `{"colibriClass":"EndpointMessage","msgPayload":{"a": [1, 2.50, {"b":"A\ud83d\ude00\/"}]},"to":""}`,
		EndpointMessage{Fields: []Field{{"msgPayload", `{"a":[1,2.50,{"b":"A😀/"}]}`}}}},
	{"message to one, with more members", `{"to":"b","z":null,"colibriClass":"EndpointMessage","msgPayload":"\u0001\n","a":true}`,
		EndpointMessage{To: "b", Fields: []Field{{"z", "null"}, {"msgPayload", `"\u0001\n"`}, {"a", "true"}}}},
	{"forged sender", `{"colibriClass":"EndpointMessage","from":"juliet","From":"juliet","TO":"x","ColibriClass":"ServerHello","fr\u006fms":1}`,
		EndpointMessage{Fields: []Field{{"froms", "1"}}}},
	{"stats", `{"colibriClass":"EndpointStats","bitrate":{"download":1,"upload":2},"connectionQuality":99.5,"jvbRTT":null,"from":{}}`,
		EndpointStats{Fields: []Field{{"bitrate", `{"download":1,"upload":2}`}, {"connectionQuality", "99.5"}, {"jvbRTT", "null"}}}},
}

func TestFromClient(t *testing.T) {
	for _, tt := range fromClients {
		t.Run(tt.name, func(t *testing.T) {
			got, err := FromClient([]byte(tt.text))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %#v, %v; want %#v", got, err, tt.want)
			}
			again, err := FromClient(Append(nil, got))
			if err != nil || !sameMessage(again, got) {
				t.Errorf("encoded and decoded again: %#v, %v", again, err)
			}
		})
	}
}

// sameMessage ignores the difference between no list and an empty one where the class has none.
func sameMessage(a, b Message) bool {
	if x, ok := a.(ReceiverAudioSubscription); ok {
		y, ok := b.(ReceiverAudioSubscription)
		return ok && x.All == y.All && strings.Join(x.Include, "\n") == strings.Join(y.Include, "\n") &&
			strings.Join(x.Exclude, "\n") == strings.Join(y.Exclude, "\n")
	}
	return reflect.DeepEqual(a, b)
}

// nested returns a message of the given depth.
func nested(depth int) string {
	return `{"colibriClass":"EndpointMessage","to":"","msgPayload":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
}

// sized returns a message of n bytes.
func sized(n int) string {
	const frame = `{"colibriClass":"EndpointMessage","to":"","msgPayload":""}`
	return strings.Replace(frame, `""}`, `"`+strings.Repeat("x", n-len(frame))+`"}`, 1)
}

// refused are messages that are dropped, with the fault.
var refused = []struct {
	name, text string
	err        error
}{
	{"nothing", "", errSyntax},
	{"no object", `[]`, errSyntax},
	{"two objects", `{"colibriClass":"ClientHello"}{}`, errSyntax},
	{"cut", `{"colibriClass":"ClientHello"`, errSyntax},
	{"byte order mark", "\ufeff" + `{"colibriClass":"ClientHello"}`, errSyntax},
	{"comma at the end", `{"colibriClass":"ClientHello",}`, errSyntax},
	{"comma at the begin", `{,"colibriClass":"ClientHello"}`, errSyntax},
	{"no comma", `{"colibriClass":"ClientHello" "a":1}`, errSyntax},
	{"comment", `{"colibriClass":"ClientHello"/**/}`, errSyntax},
	{"single quotes", `{'colibriClass':'ClientHello'}`, errSyntax},
	{"control character in a string", "{\"colibriClass\":\"EndpointMessage\",\"a\":\"\n\"}", errSyntax},
	{"unknown escape", `{"colibriClass":"EndpointMessage","a":"\x41"}`, errSyntax},
	{"number with a leading zero", `{"colibriClass":"EndpointMessage","a":01}`, errSyntax},
	{"number without digits", `{"colibriClass":"EndpointMessage","a":1.}`, errSyntax},
	{"number with a plus", `{"colibriClass":"EndpointMessage","a":+1}`, errSyntax},
	{"NaN", `{"colibriClass":"EndpointMessage","a":NaN}`, errSyntax},
	{"number that is infinite", `{"colibriClass":"EndpointMessage","a":1e999}`, errNumber},
	{"no UTF-8", "{\"colibriClass\":\"EndpointMessage\",\"a\":\"\xff\"}", errText},
	{"surrogate alone", `{"colibriClass":"EndpointMessage","a":"\ud800"}`, errText},
	{"surrogates in the wrong order", `{"colibriClass":"EndpointMessage","a":"\ude00\ud83d"}`, errText},
	{"class twice", `{"colibriClass":"ClientHello","colibriClass":"EndpointStats"}`, errDuplicate},
	{"name twice, once in disguise", `{"colibriClass":"EndpointMessage","to":"a","t\u006f":"b"}`, errDuplicate},
	{"name twice within", `{"colibriClass":"EndpointMessage","msgPayload":[{"a":1,"b":2,"a":3}]}`, errDuplicate},
	{"source twice", `{"colibriClass":"ReceiverVideoConstraints","constraints":{"a":{"maxHeight":1},"a":{"maxHeight":2}}}`, errDuplicate},
	{"name __proto__", `{"colibriClass":"EndpointMessage","msgPayload":{"__pr\u006fto__":{}}}`, errProto},
	{"no class", `{}`, errMissing},
	{"class that is no string", `{"colibriClass":1}`, errType},
	{"class of the other case", `{"colibriClass":"clienthello"}`, errClass},
	{"unknown class", `{"colibriClass":"AddReceiver"}`, errClass},
	{"class of a server", `{"colibriClass":"ServerHello"}`, errClass},
	{"mapping by a client", `{"colibriClass":"VideoSourcesMap","mappedSources":[]}`, errClass},
	{"speaker by a client", `{"colibriClass":"DominantSpeakerEndpointChangeEvent","dominantSpeakerEndpoint":"a"}`, errClass},
	{"lastN that is a string", `{"colibriClass":"LastNChangedEvent","lastN":"3"}`, errType},
	{"lastN that is no whole number", `{"colibriClass":"LastNChangedEvent","lastN":1.5}`, errType},
	{"lastN below −1", `{"colibriClass":"LastNChangedEvent","lastN":-2}`, errNumber},
	{"lastN that no number can hold", `{"colibriClass":"LastNChangedEvent","lastN":9223372036854775808}`, errNumber},
	{"no lastN", `{"colibriClass":"LastNChangedEvent"}`, errMissing},
	{"sources that are no list", `{"colibriClass":"ReceiverVideoConstraints","selectedSources":{}}`, errType},
	{"sources that are no strings", `{"colibriClass":"ReceiverVideoConstraints","selectedSources":[null]}`, errType},
	{"source without a name", `{"colibriClass":"ReceiverVideoConstraints","onStageSources":[""]}`, errName},
	{"source with a long name", `{"colibriClass":"ReceiverVideoConstraints","onStageSources":["` + strings.Repeat("x", 257) + `"]}`, errName},
	{"constraints that are a list", `{"colibriClass":"ReceiverVideoConstraints","constraints":[]}`, errType},
	{"constraints without a height", `{"colibriClass":"ReceiverVideoConstraints","constraints":{"a":{}}}`, errMissing},
	{"constraints with a height below −1", `{"colibriClass":"ReceiverVideoConstraints","defaultConstraints":{"maxHeight":-2}}`, errNumber},
	{"constraints with a height that is a string", `{"colibriClass":"ReceiverVideoConstraints","defaultConstraints":{"maxHeight":"180"}}`, errType},
	{"audio flag that is a string", `{"colibriClass":"ReceiverAudioSubscription","all":"true"}`, errType},
	{"audio mode that does not exist", `{"colibriClass":"ReceiverAudioSubscription","mode":"Some"}`, errType},
	{"unknown video type", `{"colibriClass":"SourceVideoTypeMessage","sourceName":"a-v0","videoType":"x"}`, errType},
	{"video type of no source", `{"colibriClass":"SourceVideoTypeMessage","videoType":"camera"}`, errMissing},
	{"receiver that is a list", `{"colibriClass":"EndpointMessage","to":["a","b"]}`, errType},
	{"receiver with a long name", `{"colibriClass":"EndpointMessage","to":"` + strings.Repeat("x", 257) + `"}`, errName},
	{"too deep", nested(MaxDepth + 1), ErrTooDeep},
	{"too deep and cut", `{"a":` + strings.Repeat("[", 10000), ErrTooDeep},
	{"too big", sized(MaxMessage + 1), ErrTooBig},
	{"1 MB", sized(1 << 20), ErrTooBig},
}

func TestHB6RefusedMessages(t *testing.T) {
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			if m, err := FromClient([]byte(tt.text)); !errors.Is(err, tt.err) {
				t.Errorf("got %#v, %v; want the error %v", m, err, tt.err)
			}
		})
	}
}

func TestHB6LimitsAreReached(t *testing.T) {
	wide := `{"colibriClass":"EndpointMessage","a":[` + strings.Repeat(`{"b":[]},`, 100) + `{}]}` // depth is not width
	for _, text := range []string{nested(MaxDepth), sized(MaxMessage), wide} {
		if _, err := FromClient([]byte(text)); err != nil {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

func TestAudioSubscriptionExcludeWins(t *testing.T) {
	m := ReceiverAudioSubscription{All: true, Include: []string{"a", "b"}, Exclude: []string{"a"}}
	if m.Wants("a") || !m.Wants("b") || !m.Wants("c") {
		t.Error("all but a")
	}
	m.All = false
	if m.Wants("a") || !m.Wants("b") || m.Wants("c") {
		t.Error("b only")
	}
}

// fromServers are the messages of the bridge as clients read them (jitsi.md §10.2, §10.3).
var fromServers = []struct {
	message Message
	text    string
}{
	{ServerHello{}, `{"colibriClass":"ServerHello"}`},
	{ServerHello{Version: "1"}, `{"colibriClass":"ServerHello","version":"1"}`},
	{DominantSpeakerEndpointChangeEvent{"a", []string{"b", "c"}, true},
		`{"colibriClass":"DominantSpeakerEndpointChangeEvent","dominantSpeakerEndpoint":"a","previousSpeakers":["b","c"],"silence":true}`},
	{ForwardedSources{[]string{"a-v0", "b-v0"}}, `{"colibriClass":"ForwardedSources","forwardedSources":["a-v0","b-v0"]}`},
	{SenderSourceConstraints{"a-v0", -1}, `{"colibriClass":"SenderSourceConstraints","sourceName":"a-v0","maxHeight":-1}`},
	{VideoSourcesMap{[]Mapping{{Source: "64f125c7-v0", Owner: "64f125c7", SSRC: 1678982466, RTX: 1678982467, VideoType: Camera, MID: "v0"}}},
		`{"colibriClass":"VideoSourcesMap","mappedSources":[{"source":"64f125c7-v0","owner":"64f125c7","ssrc":1678982466,"rtx":1678982467,"videoType":"CAMERA","mid":"v0"}]}`},
	{AudioSourcesMap{[]Mapping{{Source: "64f125c7-a0", Owner: "64f125c7", SSRC: 4294967295, MID: "a0"}, {Source: "b-a0", Owner: "b", SSRC: 1}}},
		`{"colibriClass":"AudioSourcesMap","mappedSources":[{"source":"64f125c7-a0","owner":"64f125c7","ssrc":4294967295,"mid":"a0"},{"source":"b-a0","owner":"b","ssrc":1}]}`},
	{ConnectionStats{EstimatedDownlinkBandwidth: 2500000}, `{"colibriClass":"ConnectionStats","estimatedDownlinkBandwidth":2500000}`},
	{ConnectionStats{300000, "delay", []Reduced{{"a-v0", 180}, {"b-v0", 0}}, []Trouble{{"a", "uplink"}}},
		`{"colibriClass":"ConnectionStats","estimatedDownlinkBandwidth":300000,"limit":"delay","reduced":[{"source":"a-v0","maxHeight":180},{"source":"b-v0","maxHeight":0}],"troubles":[{"endpoint":"a","part":"uplink"}]}`},
	{EndpointConnectivityStatusChangeEvent{"a", false}, `{"colibriClass":"EndpointConnectivityStatusChangeEvent","endpoint":"a","active":"false"}`},
	{SyntheticSourceSendingChangeEvent{"a-a1", true, 4294967295}, `{"colibriClass":"SyntheticSourceSendingChangeEvent","sourceName":"a-a1","sending":true,"timestamp":4294967295}`},
	{EndpointMessage{From: "a", To: "b", Fields: []Field{{"msgPayload", `{}`}}}, `{"colibriClass":"EndpointMessage","from":"a","to":"b","msgPayload":{}}`},
	{EndpointStats{From: "a", Fields: []Field{{"jvbRTT", `5`}}}, `{"colibriClass":"EndpointStats","from":"a","jvbRTT":5}`},
}

func TestServerMessages(t *testing.T) {
	for _, tt := range fromServers {
		if got := string(Append(nil, tt.message)); got != tt.text {
			t.Errorf("encoded:\n%s\nwant:\n%s", got, tt.text)
		}
		if got := string(Append(nil, Shared(tt.message))); got != tt.text {
			t.Errorf("shared:\n%s\nwant:\n%s", got, tt.text)
		}
		if got, err := FromServer([]byte(tt.text)); err != nil || !reflect.DeepEqual(got, tt.message) {
			t.Errorf("decoded: %#v, %v; want %#v", got, err, tt.message)
		}
	}
}

func TestAppendGuardsWhatItWrites(t *testing.T) {
	speakers := strings.Split(strings.Repeat("a ", 12), " ")
	m := EndpointMessage{From: "a\"\\\xff\u2028", Fields: []Field{{"from", `"b"`}, {"x", "1"}}}
	if got, want := string(Append(nil, m)), "{\"colibriClass\":\"EndpointMessage\",\"from\":\"a\\\"\\\\\ufffd\u2028\",\"to\":\"\",\"x\":1}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var got struct{ PreviousSpeakers []string }
	json.Unmarshal(Append(nil, DominantSpeakerEndpointChangeEvent{"b", speakers, false}), &got)
	if len(got.PreviousSpeakers) != MaxPreviousSpeakers {
		t.Errorf("%d previous speakers", len(got.PreviousSpeakers))
	}
}

func TestStamped(t *testing.T) {
	for _, tt := range []struct{ in, want Message }{
		{EndpointMessage{From: "juliet", To: "a"}, EndpointMessage{From: "romeo", To: "a"}},
		{EndpointStats{From: "juliet"}, EndpointStats{From: "romeo"}},
		{VideoTypeMessage{Desktop}, SourceVideoTypeMessage{"romeo-v0", Desktop}},
		{LastNChangedEvent{3}, LastNChangedEvent{3}},
	} {
		if got := stamped("romeo", tt.in); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("got %#v, want %#v", got, tt.want)
		}
	}
}

func FuzzFromClient(f *testing.F) {
	for _, tt := range fromClients {
		f.Add([]byte(tt.text))
	}
	for _, tt := range refused {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := FromClient(text)
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatal("accepted what is not JSON")
		}
		// What we pass on says who sent it, to readers of every kind, and means what it meant.
		out := Append(nil, stamped("romeo", m))
		if !json.Valid(out) {
			t.Fatalf("wrote %s", out)
		}
		if _, ok := m.(EndpointMessage); ok {
			var loose struct{ From string }
			if json.Unmarshal(out, &loose); loose.From != "romeo" {
				t.Fatalf("from %q: %s", loose.From, out)
			}
			var before, after map[string]any
			if err := json.Unmarshal(text, &before); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(out, &after); err != nil {
				t.Fatal(err)
			}
			for name, value := range before {
				if !reserved(name) && !reflect.DeepEqual(after[name], value) {
					t.Fatalf("member %q: was %v, is %v", name, value, after[name])
				}
			}
			if len(out) > len(text)+len(`"from":"romeo","to":"",`) {
				t.Fatalf("grew from %d to %d bytes", len(text), len(out))
			}
			if _, err := FromServer(out); err != nil {
				t.Fatalf("a peer refuses it: %v: %s", err, out)
			}
		}
		// Round trip.
		first := Append(nil, m)
		if len(first) > MaxMessage {
			return
		}
		again, err := FromClient(first)
		if err != nil || !sameMessage(again, m) {
			t.Fatalf("%s: %#v, %v; was %#v", first, again, err, m)
		}
		if second := Append(nil, again); string(second) != string(first) {
			t.Fatalf("wrote %s, then %s", first, second)
		}
	})
}

func FuzzFromServer(f *testing.F) {
	for _, tt := range fromServers {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := FromServer(text)
		if err != nil {
			return
		}
		first := Append(nil, m)
		if len(first) > mostFromServer {
			return
		}
		again, err := FromServer(first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second := Append(nil, again); string(second) != string(first) {
			t.Fatalf("wrote %s, then %s", first, second)
		}
	})
}

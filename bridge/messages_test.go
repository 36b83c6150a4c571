package bridge

import (
	"fmt"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
)

func TestAChannelBeginsWithTheWholeState(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 1))
	w.join("r", func(e *api.Endpoint) { e.Receive.Rewriting = true }, videoSource("r-v0", 3000, 1))
	w.wants("a", 360)
	w.wants("r", 360)
	first, _ := last[channel.VideoSourcesMap](w.conns["r"])
	again := &conn{}
	w.bridge.Endpoint("c", "r").Opened(again)
	video, ok := last[channel.VideoSourcesMap](again)
	if !ok || len(video.MappedSources) != 1 || video.MappedSources[0] != first.MappedSources[0] {
		t.Errorf("video map %+v, was %+v", video, first)
	}
	if m, ok := last[channel.AudioSourcesMap](again); !ok || len(m.MappedSources) != 1 {
		t.Errorf("audio map %+v", m)
	}
	if m, ok := last[channel.ForwardedSources](again); !ok || len(m.Sources) != 1 {
		t.Errorf("forwarded sources %+v", m)
	}
	if m, ok := last[channel.SenderSourceConstraints](again); !ok || m.MaxHeight != 360 || m.SourceName != "r-v0" {
		t.Errorf("sender constraints %+v", m)
	}
}

func TestMessagesGoToWhomTheyAreFor(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil)
	for _, id := range []string{"b", "c"} {
		w.join(id, nil)
	}
	got := func(id string) int {
		n := 0
		for _, m := range w.conns[id].messages {
			if _, ok := m.(channel.EndpointMessage); ok {
				n++
			}
		}
		return n
	}
	a.Receive(channel.EndpointMessage{From: "a", To: "b"})
	a.Receive(channel.EndpointMessage{From: "a"})
	a.Receive(channel.EndpointMessage{From: "a", To: "a"})
	a.Receive(channel.EndpointMessage{From: "a", To: "nobody"})
	if got("a") != 0 || got("b") != 2 || got("c") != 1 {
		t.Errorf("a got %d, b %d, c %d messages; want 0, 2, 1", got("a"), got("b"), got("c"))
	}
}

func TestVideoTypeNoneStopsASource(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("r", func(e *api.Endpoint) { e.Receive.Rewriting = true })
	w.wants("r", 360)
	a.Receive(channel.SourceVideoTypeMessage{SourceName: "a-v0", VideoType: channel.Desktop})
	if m, _ := last[channel.VideoSourcesMap](w.conns["r"]); len(m.MappedSources) != 1 || m.MappedSources[0].VideoType != channel.Desktop {
		t.Errorf("map %+v", m)
	}
	a.Receive(channel.SourceVideoTypeMessage{SourceName: "a-v0", VideoType: channel.None})
	w.pass(Period)
	if m, ok := last[channel.ForwardedSources](w.conns["r"]); !ok || len(m.Sources) != 0 {
		t.Errorf("forwarded sources %+v", m)
	}
	w.bridge.Endpoint("c", "r").Receive(channel.SourceVideoTypeMessage{SourceName: "a-v0", VideoType: channel.Camera}) // not r's
	w.pass(Period)
	if m, _ := last[channel.ForwardedSources](w.conns["r"]); len(m.Sources) != 0 {
		t.Errorf("forwarded sources %+v", m)
	}
}

func TestInactiveEndpointsAreTold(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 1000))
	w.join("b", nil)
	w.send("a", in{ssrc: 1000, seq: 1, payload: 111, body: []byte("x")})
	w.pass(7 * time.Second)
	if m, ok := last[channel.EndpointConnectivityStatusChangeEvent](w.conns["b"]); ok {
		t.Errorf("%+v after 7 s", m)
	}
	w.pass(2 * time.Second)
	if m, ok := last[channel.EndpointConnectivityStatusChangeEvent](w.conns["b"]); !ok || m.Active || m.Endpoint != "a" {
		t.Errorf("%+v after 9 s", m)
	}
	w.send("a", in{ssrc: 1000, seq: 2, payload: 111, body: []byte("x")})
	w.pass(Period)
	if m, _ := last[channel.EndpointConnectivityStatusChangeEvent](w.conns["b"]); !m.Active {
		t.Error("not active again")
	}
}

func TestAPoolOfFiftySlots(t *testing.T) {
	w := newWorld(t)
	w.join("r", func(e *api.Endpoint) { e.Receive.Rewriting = true })
	for i := range 60 {
		id := fmt.Sprintf("e%02d", i)
		w.join(id, nil, videoSource(id+"-v0", uint32(1000+100*i), 1))
	}
	w.wants("r", 180)
	w.pass(100 * time.Millisecond)
	mapped := make(map[uint32]string)
	slots := func() {
		for _, m := range w.conns["r"].messages {
			if m, ok := m.(channel.VideoSourcesMap); ok {
				for _, m := range m.MappedSources {
					mapped[m.SSRC] = m.Source
				}
			}
		}
	}
	slots()
	if len(mapped) != pool {
		t.Fatalf("%d slots", len(mapped))
	}
	w.bridge.Endpoint("c", "r").Receive(channel.ReceiverVideoConstraints{OnStageSources: []string{"e59-v0"}})
	w.pass(100 * time.Millisecond)
	slots()
	found := false
	for _, source := range mapped {
		found = found || source == "e59-v0"
	}
	if len(mapped) != pool || !found {
		t.Errorf("%d slots, of the source on stage: %v", len(mapped), found)
	}
}

func TestApplyIsLevelTriggered(t *testing.T) {
	opened := &transports{}
	b := New(Config{Transports: opened})
	wish := api.Conference{ID: "c", Version: 5, Endpoints: []api.Endpoint{{ID: "a", Session: 1}, {ID: "b", Session: 1}}}
	b.Apply(wish)
	b.Apply(wish)
	old := wish
	old.Version, old.Endpoints = 4, nil
	b.Apply(old)
	if opened.String() != "open a open b " {
		t.Errorf("transports: %s", opened)
	}
	wish.Version, wish.Endpoints = 6, []api.Endpoint{{ID: "a", Session: 2}}
	b.Apply(wish)
	wish.Version, wish.Endpoints = 7, []api.Endpoint{{ID: "a", Session: 2, Remote: &api.Remote{Ufrag: "u"}}}
	b.Apply(wish)
	if opened.String() != "open a open b close b open a open a " {
		t.Errorf("transports: %s", opened)
	}
	if v := b.Snapshot(); len(v) != 1 || v["c"] != 7 {
		t.Errorf("snapshot %v", v)
	}
	wish.Version, wish.Endpoints = 8, nil
	b.Apply(wish)
	if len(b.Snapshot()) != 0 {
		t.Error("the conference did not end")
	}
}

type transports struct{ log string }

func (t *transports) Open(e *Endpoint, _ api.Endpoint) { t.log += "open " + e.ID + " " }

func (t *transports) Close(e *Endpoint) { t.log += "close " + e.ID + " " }

func (t *transports) String() string { return t.log }

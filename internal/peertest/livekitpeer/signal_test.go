package livekitpeer

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/internal/peertest/jitsipeer"
)

// track is a TrackInfo, and participant a ParticipantInfo.
func track(id string, kind uint64) []byte { return appendUint(appendBytes(nil, 1, id), 2, kind) }

func participant(tracks ...[]byte) (b []byte) {
	b = appendBytes(appendBytes(b, 1, "PA_1"), 2, "juliet")
	for _, one := range tracks {
		b = appendBytes(b, 4, one)
	}
	return appendUint(b, 6, 1700000000)
}

func TestResponsesAreRead(t *testing.T) {
	people := [][]byte{participant(track("TR_a", 0), track("TR_v", 1)), participant(), participant(track("TR_w", 1))}
	var join, update []byte
	join = appendBytes(appendBytes(join, 1, "room"), 2, participant(track("TR_own", 1)))
	for _, p := range people {
		join, update = appendBytes(join, 3, p), appendBytes(update, 1, p)
	}
	for _, c := range []struct {
		said []byte
		want message
	}{
		{nil, message{}},
		{appendBytes(nil, hearJoin, join), message{kind: hearJoin, videos: []string{"TR_v", "TR_w"}}},
		{appendBytes(nil, hearUpdate, update), message{kind: hearUpdate, videos: []string{"TR_v", "TR_w"}}},
		{appendBytes(nil, hearOffer, description{"v=0", 7}.append(nil, "offer")), message{kind: hearOffer, description: description{"v=0", 7}}},
		{appendBytes(nil, hearAnswer, description{"v=1", 1}.append(nil, "answer")), message{kind: hearAnswer, description: description{"v=1", 1}}},
		{appendBytes(nil, hearTrickle, appendUint(appendBytes(nil, 1, `{"candidate":"candidate:1","sdpMid":"0"}`), 2, subscriber)), message{kind: hearTrickle, candidate: "candidate:1", transport: subscriber}},
		{appendBytes(nil, hearTrickle, appendBytes(nil, 1, `{}`)), message{kind: hearTrickle}},
		{appendBytes(nil, hearPublished, track("TR_own", 1)), message{kind: hearPublished}},
		{appendBytes(nil, 99, "what nobody knows yet"), message{kind: 99}},
		{appendUint(nil, hearLeave, 1), message{kind: hearLeave}},
	} {
		if got, err := parse(c.said); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v %v", c.said, got, err)
		}
	}
}

func TestBrokenResponsesAreRefused(t *testing.T) {
	for want, said := range map[string][]byte{
		"candidate":   appendBytes(nil, hearTrickle, appendBytes(nil, 1, "no JSON")),
		"ends within": appendBytes(nil, hearOffer, "\x12\x7f"),
		"number 0":    appendBytes(nil, hearUpdate, appendBytes(nil, 1, appendBytes(nil, 4, "\x00\x00"))),
		"type 3":      appendBytes(nil, hearJoin, appendBytes(nil, 3, "\x0b")),
	} {
		if _, err := parse(said); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", said, err)
		}
	}
}

// numbers are the fields of a message, bytes as text.
func numbers(t *testing.T, b []byte) map[int][]any {
	t.Helper()
	all := make(map[int][]any)
	list, err := fields(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		var v any = f.value
		if f.bytes != nil {
			v = string(f.bytes)
		}
		all[f.number] = append(all[f.number], v)
	}
	return all
}

func TestTracksAreAnnounced(t *testing.T) {
	voice := numbers(t, appendTrack(nil, jitsipeer.Sent{Name: "romeo-a0"}))
	if want := (map[int][]any{1: {"cid-romeo-a0"}, 2: {"romeo-a0"}, 7: {uint64(1)}, 8: {uint64(sourceMicrophone)}, 13: {uint64(1)}}); !reflect.DeepEqual(voice, want) {
		t.Errorf("%v", voice)
	}
	camera := numbers(t, appendTrack(nil, jitsipeer.Sent{Name: "romeo-v0", Video: &jitsipeer.Video{Heights: []int{180, 720}, Sizes: []int{500, 5000}, FPS: 25, RIDs: rids}}))
	if len(camera[9]) != 2 || !slices.Equal(camera[4], []any{uint64(1280)}) || !slices.Equal(camera[5], []any{uint64(720)}) || !slices.Equal(camera[3], []any{uint64(kindVideo)}) {
		t.Fatalf("%v", camera)
	}
	layer := numbers(t, []byte(camera[9][1].(string)))
	if want := (map[int][]any{1: {uint64(1)}, 2: {uint64(1280)}, 3: {uint64(720)}, 4: {uint64(1_000_000)}, 6: {uint64(1)}, 7: {"h"}}); !reflect.DeepEqual(layer, want) {
		t.Errorf("%v", layer)
	}
}

func TestWishesAreTold(t *testing.T) {
	if got := numbers(t, appendWishes(nil, []string{"a", "b"}, true)); !reflect.DeepEqual(got, map[int][]any{1: {"a", "b"}, 4: {uint64(bestQuality)}}) {
		t.Error(got)
	}
	if got := numbers(t, appendWishes(nil, []string{"a"}, false)); !reflect.DeepEqual(got, map[int][]any{1: {"a"}, 3: {uint64(1)}, 4: {uint64(bestQuality)}}) {
		t.Error(got)
	}
}

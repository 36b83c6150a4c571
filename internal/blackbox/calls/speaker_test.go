package calls

import (
	"context"
	"testing"

	"parley/internal/peertest/callpeer"
	"parley/internal/peertest/jitsipeer"
)

// A client that does not say how loud its packets are becomes the dominant speaker when it speaks, and others like it hear and see it
// then. When somebody else speaks it is no more.
func TestCallerWithoutLevelsIsTheSpeaker(t *testing.T) {
	room := fresh("room")
	bob := member(t, room, "bob")
	o := callpeer.Options{Video: true, Words: true}
	ann, carl := phone(t, "ann", o), phone(t, "carl", callpeer.Options{Video: true})
	carl.Call(at(room), fresh("call"))
	ann.Call(at(room), fresh("call"))
	get(t, bob, "ann-a0", "ann-v0", "carl-a0", "carl-v0")
	for _, speaker := range []string{"ann", "bob", "ann"} {
		mark := bob.Events.Mark()
		ann.Speak(speaker == "ann")
		bob.Level(map[bool]int{true: 20, false: 127}[speaker == "bob"])
		ctx, stop := context.WithTimeout(t.Context(), patience)
		_, err := bob.Events.Await(ctx, mark, func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Dominant && e.Endpoint == speaker })
		stop()
		if err != nil {
			t.Fatalf("%s is not the dominant speaker: %v", speaker, err)
		}
		eventually(t, "voice of "+speaker, func() bool { return carl.Heard("audio").Latest == speaker+"-a0" })
		eventually(t, "picture of "+speaker, func() bool { return carl.Heard("video").Latest == speaker+"-v0" })
	}
}

// The cameras of members who watch nobody rest, but for that of who speaks when somebody in the room sees one picture.
func TestCallerSeesWhoSpeaksThoughNobodyElseWatches(t *testing.T) {
	room := fresh("room")
	watchesNone := func(o *jitsipeer.Options) {
		o.Wanted = map[string]any{"defaultConstraints": map[string]any{"maxHeight": 0}}
	}
	members := map[string]*jitsipeer.Peer{"ann": member(t, room, "ann", watchesNone), "bob": member(t, room, "bob", watchesNone)}
	carl := phone(t, "carl", callpeer.Options{Video: true})
	carl.Call(at(room), fresh("call"))
	for _, p := range members {
		get(t, p, "carl-a0")
	}
	for _, speaker := range []string{"ann", "bob", "ann", "bob"} {
		for nick, p := range members {
			p.Level(map[bool]int{true: 20, false: 127}[nick == speaker])
		}
		eventually(t, "picture of "+speaker, func() bool { return carl.Heard("video").Latest == speaker+"-v0" })
	}
}

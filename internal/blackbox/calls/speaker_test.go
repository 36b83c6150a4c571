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
		if speaker == "ann" { // bob's camera rests while neither of the others is shown it
			eventually(t, "picture of ann", func() bool { return carl.Heard("video").Latest == "ann-v0" })
		}
	}
}

package calls

import (
	"strings"
	"testing"

	"parley/internal/peertest/callpeer"
	"parley/internal/peertest/jitsipeer"
	"parley/jingle"
)

// screens waits until a member is shown that somebody's source is a screen, or that it is not there any more.
func screens(t *testing.T, p *jitsipeer.Peer, from jitsipeer.Mark, nick, source string, on bool) {
	t.Helper()
	if _, err := p.Events.Await(t.Context(), from, func(e jitsipeer.Event) bool {
		_, info, has := strings.Cut(e.Text, `"`+source+`":{`)
		info, _, _ = strings.Cut(info, "}")
		return e.Kind == jitsipeer.SourceInfo && e.Endpoint == nick && has == on && strings.Contains(info, `"videoType":"desktop"`) == on
	}); err != nil {
		t.Fatal(err)
	}
}

// A client by XEP-0521 sends its screen in a session of its own beside that of its camera (§4): to another such client it is brought in
// a session of its own that says that it is a screen, to one of the Jitsi dialect it is a source of the same member. It comes and goes
// without the camera, and the camera without it.
func TestClientSendsItsScreenToo(t *testing.T) {
	for name, o := range map[string]callpeer.Options{"bundle": {Video: true, Bundle: true, Sources: true}, "two transports": {Video: true}} {
		for kind, change := range map[string]func(*jitsipeer.Options){"signalled": func(*jitsipeer.Options) {}, "rewritten": func(o *jitsipeer.Options) { o.Rewriting = true }} {
			t.Run(name+", "+kind, func(t *testing.T) {
				room := fresh("room")
				bob := member(t, room, "bob", change)
				carl := attendee(t, "carl", room, o)
				ann := attendee(t, "ann", room, o)
				camera := gets(carl, room, "ann", "ann-a0", "ann-v0")
				mark := bob.Events.Mark()
				screen := ann.Share(fresh("screen"), 1, true)
				if !screen.Accepted() {
					t.Fatalf("the screen is refused: %+v", screen.Ended)
				}
				screens(t, bob, mark, "ann", "ann-v1", true)
				shown := gets(carl, room, "ann", "ann-v1")
				get(t, bob, "ann-a0", "ann-v0", "ann-v1")
				if !shown.Screen || camera.Screen || shown == camera || shown.SID == camera.SID || len(shown.Media) != 1 {
					t.Errorf("the screen is brought as %+v, the camera as %+v", shown, camera)
				}
				gets(carl, room, "ann", "ann-a0", "ann-v0")
				if h := shown.Heard("video"); len(h.Sources) != 1 {
					t.Errorf("with the screen come %+v", h.Sources)
				}
				// The screen goes, and comes again.
				mark = bob.Events.Mark()
				ann.Unshare(screen)
				carl.Attending("end of the screen", func() bool { return shown.Ended != nil })
				screens(t, bob, mark, "ann", "ann-v1", false)
				again := ann.Share(fresh("screen"), 1, true)
				if !again.Accepted() {
					t.Fatalf("the second screen is refused: %+v", again.Ended)
				}
				shown = gets(carl, room, "ann", "ann-v1")
				// The camera goes, and the screen stays; then another camera comes.
				ann.CloseFirst()
				carl.Attending("end of the camera", func() bool { return camera.Ended != nil })
				get(t, bob, "ann-v1")
				second := ann.Share(fresh("camera"), 2, false)
				if !second.Accepted() {
					t.Fatalf("the second camera is refused: %+v", second.Ended)
				}
				if b := gets(carl, room, "ann", "ann-v2"); b.Screen || shown.Ended != nil {
					t.Errorf("the second camera is %+v, the screen ended with %+v", b, shown.Ended)
				}
				gets(ann, room, "carl", "carl-v0")
				// Without any session it is not there any more.
				ann.Unshare(again)
				ann.Unshare(second)
				if _, err := bob.Events.Await(t.Context(), 0, func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "ann" }); err != nil {
					t.Error(err)
				}
				if n := len(carl.Streams()); n != 1 {
					carl.Attending("end of all of ann", func() bool { return len(carl.Streams()) == 1 })
				}
			})
		}
	}
}

// A client may begin its sessions at once, before it has said whether it knows such conferences.
func TestSessionsAtOnce(t *testing.T) {
	room := fresh("room")
	bob := member(t, room, "bob")
	ann := phone(t, "ann", callpeer.Options{Attends: true, Video: true})
	ann.Offer(at(room), fresh("call"))
	screen := ann.OfferShare(fresh("screen"), 1, true)
	ann.Attending("both sessions", func() bool { return screen.Accepted() || screen.Ended != nil })
	if screen.Ended != nil || ann.Ended != nil {
		t.Fatalf("they ended: %+v %+v", screen.Ended, ann.Ended)
	}
	get(t, bob, "ann-a0", "ann-v0", "ann-v1")
	gets(ann, room, "bob", "bob-v0")
	ann.HangUp(jingle.Success)
}

// Screens that a member of the Jitsi dialect shows are brought as such.
func TestScreenOfAMember(t *testing.T) {
	room := fresh("room")
	bob := member(t, room, "bob")
	ann := attendee(t, "ann", room, callpeer.Options{Video: true})
	camera := gets(ann, room, "bob", "bob-v0")
	name, err := bob.Add(t.Context(), &jitsipeer.Video{Codec: jitsipeer.VP8, Desktop: true})
	if err != nil {
		t.Fatal(err)
	}
	if b := gets(ann, room, "bob", name); !b.Screen || camera.Screen || b == camera {
		t.Errorf("the screen is brought as %+v, the camera as %+v", b, camera)
	}
}

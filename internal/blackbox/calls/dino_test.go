package calls

import (
	"context"
	"image"
	"image/color"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/desk"
	"parley/internal/peertest/jitsipeer"
)

// TestDinoCallsARoom: Dino, as Debian has it, calls a room and shows the meeting's video, under Xvfb, without camera. With
// DINO_SHOT=FILE the last picture of the screen is kept.
func TestDinoCallsARoom(t *testing.T) {
	d := desk.NewDino(t, secret)
	if d == nil {
		return
	}
	d.Sound()
	ann := d.Enter("ann", secret)
	ann.Send("<presence xmlns='jabber:client' type='subscribe' to='room@call." + desk.Domain + "'/>")
	ann.Await("subscription='to'")
	ann.Send("<presence xmlns='jabber:client'><priority>-1</priority></presence>")
	ctx, stop := context.WithTimeout(t.Context(), desk.Patience)
	defer stop()
	bob, err := jitsipeer.Join(ctx, jitsipeer.Options{
		URL: "ws://" + d.Server.HTTP + "/xmpp-websocket", Room: "room", Nick: "bob", Domain: desk.Domain, NoChannel: true,
		Audio: &jitsipeer.Audio{Level: 20}, Video: &jitsipeer.Video{Codec: jitsipeer.VP8, Grey: true, Heights: []int{360}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Leave()
	for attempt := range 5 {
		if begun := time.Now(); call(d, ann, bob) {
			t.Logf("the picture is there in attempt %d, %.1f s after Dino's start", attempt+1, time.Since(begun).Seconds())
			return
		}
	}
	t.Fatal("no picture")
}

// call has Dino log in, call the room by its button, and reports that the picture of who is there is in its window. It may not draw
// what it decodes, and has to be started again then, as people would do.
func call(d *desk.Dino, ann *peertest.Client, bob *jitsipeer.Peer) bool {
	dino := d.Start("dino-im")
	defer dino.Kill()
	for online := false; !online; {
		e := ann.ReadWithin(desk.Patience)
		online = strings.HasPrefix(e, "<presence") && strings.Contains(e, "from='ann@"+desk.Domain+"/dino'") && !strings.Contains(e, "unavailable")
	}
	within := func(patience time.Duration, what string, ok func() bool) bool {
		held := d.Within(patience, func() bool { return !dino.Running() || ok() }) && dino.Running()
		if !held {
			d.T.Logf("no %s; Dino runs: %v", what, dino.Running())
		}
		return held
	}
	// The button is in the title bar, left of the one that searches, as soon as Dino knows that the contact can be called; its menu
	// has voice and video.
	button, menu := image.Rect(966, 15, 990, 39), image.Rect(900, 60, 1056, 160)
	if !within(40*time.Second, "button", func() bool {
		d.Start("dino-im", "xmpp:room@call."+desk.Domain+"?message") // while its window is not there yet, this is lost
		return d.Within(5*time.Second, func() bool { return d.Dark(button) > 20 })
	}) {
		return false
	}
	calls := func() string { return d.Query("SELECT count(*) FROM call") }
	before := calls()
	if !within(40*time.Second, "call", func() bool {
		d.Do("xdotool", "key", "Escape", "mousemove", "978", "27", "click", "1")
		if !d.Within(10*time.Second, func() bool { return d.Dark(menu) > 50 }) {
			return false
		}
		d.Do("xdotool", "key", "Down", "sleep", "0.5", "key", "Return")
		return d.Within(15*time.Second, func() bool { return calls() != before })
	}) {
		return false
	}
	grey := func(v uint8) bool { return v >= 120 && v <= 136 }
	return within(40*time.Second, "caller in the room", func() bool { return slices.Contains(bob.Occupants(), "ann") }) &&
		within(40*time.Second, "picture", func() bool {
			return d.Pixels(image.Rect(0, 0, 1280, 900), os.Getenv("DINO_SHOT"), func(c color.RGBA) bool { return grey(c.R) && grey(c.G) && grey(c.B) }) > 100_000
		})
}

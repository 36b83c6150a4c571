package clients

import (
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// openProfanity is profanity on a machine of that name, in a terminal that shows what a person would see.
func openProfanity(t *testing.T, server *peertest.Parley, user, machine string) *screen {
	t.Helper()
	program, home := peertest.Need(t, "profanity"), homeOf(t)
	settleProfanity(t, server, home, user, machine)
	return openScreen(t, home, program, "-a", "me")
}

// TestProfanityRemembers: two people at terminals become contacts and talk; one comes back on another machine, which knows nothing
// yet, and reads what was said, each word once.
func TestProfanityRemembers(t *testing.T) {
	peertest.Need(t, "profanity")
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, user := range []string{"ann", "bob"} {
		server.AddUser(user, user+"-password")
	}
	ann, bob := openProfanity(t, server, "ann", "desk"), openProfanity(t, server, "bob", "desk")
	for _, x := range []*screen{ann, bob} {
		x.sees("logged in successfully")
	}
	for _, pair := range []struct {
		who, whom      *screen
		asker, contact string
	}{{ann, bob, "ann@localhost", "bob@localhost"}, {bob, ann, "bob@localhost", "ann@localhost"}} {
		pair.who.line("/sub request " + pair.contact)
		pair.whom.sees("Received authorization request from " + pair.asker)
		pair.whom.line("/sub allow " + pair.asker)
		pair.who.sees("Subscription received from "+pair.contact, "++ "+pair.contact+" (desk) is online")
	}
	for tries := 0; ; tries++ { // the contact may come before what the roster says of him
		ann.line("/roster")
		if ann.lacks(5*time.Second, "bob@localhost - both") == "" {
			break
		}
		if tries == 10 {
			t.Fatal("the roster does not say that they see each other")
		}
	}

	ann.line("/msg bob@localhost first-words")
	bob.line("/msg ann@localhost an-answer")
	for _, x := range []*screen{ann, bob} {
		x.sees("first-words", "an-answer")
	}
	bob.line("/quit")
	ann.line("/win 1")
	ann.sees("-- bob@localhost (desk) is offline")

	again := openProfanity(t, server, "bob", "laptop")
	again.sees("logged in successfully")
	again.line("/mam on")
	again.sees("Message Archive Management enabled")
	again.line("/msg ann@localhost")
	again.sees("ann@localhost/desk: first-words", "me: an-answer")
	again.line("back-again")
	ann.line("/msg bob@localhost welcome-back")
	ann.sees("back-again")
	again.sees("welcome-back")
	for _, words := range []string{"first-words", "an-answer"} {
		if n := strings.Count(again.text(), words); n != 1 {
			t.Errorf("%q is there %d times", words, n)
		}
	}
}

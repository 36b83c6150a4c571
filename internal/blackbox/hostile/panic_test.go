package hostile

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// TestHF13Panic: a panic in the code that handles one session's packet ends that session, with a word and a stack in the
// log, and nobody else notices. The binary is built with a domain that panics.
func TestHF13Panic(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "parley")
	build := exec.Command("go", "build", "-tags", "fault", "-o", binary, "./cmd/parley")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := peertest.StartParley(t, peertest.ParleyOptions{Binary: binary})
	for _, name := range []string{"ann", "bob"} {
		server.AddUser(name, name+"-password")
	}
	enter := func(name string) *peertest.Client {
		p := peertest.Dial(t, server.XMPP, "localhost")
		p.Login(name, name+"-password")
		return p.Bind("")
	}
	ann, bob, again := enter("ann"), enter("bob"), enter("ann")
	ann.Send("<presence to='" + bob.JID + "'/>")
	bob.Await("<presence", "from='"+ann.JID+"'")
	for range 5 { // once is no accident
		ann.Send("<message to='fault.localhost'/>")
		ann.ExpectEnd("internal-server-error")
		bob.Await("<presence", "type='unavailable'", "from='"+ann.JID+"'")
		bob.Ping()
		again.Ping()
		ann = enter("ann")
		ann.Send("<presence to='" + bob.JID + "'/>")
		bob.Await("<presence", "from='"+ann.JID+"'")
	}
	if n := countedAt(t, server, "panic"); n != 5 {
		t.Errorf("counted %v", n)
	}
	if log := server.Log(); !strings.Contains(log, "somebody asked for it") || !strings.Contains(log, "goroutine ") {
		t.Errorf("no stack in the log:\n%s", log)
	}
}

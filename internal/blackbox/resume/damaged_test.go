package resume

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

// await reads on until an element holds all of the parts.
func await(v *traveller, parts ...string) string {
	v.t.Helper()
read:
	for {
		e := v.c.Read()
		switch {
		case e == "":
			v.t.Fatalf("%s: the connection ended before %q", v.jid, parts)
		case strings.HasPrefix(e, "<message"):
			v.h++
		default:
			v.take(e)
		}
		for _, part := range parts {
			if !strings.Contains(e, part) {
				continue read
			}
		}
		return e
	}
}

// refused wants that a session cannot be resumed, and that its client can begin a new one.
func refused(t testing.TB, v *traveller) {
	t.Helper()
	v.c.Conn.Close()
	if answer := v.ask(); !strings.HasPrefix(answer, "<failed ") || !strings.Contains(answer, "<item-not-found ") {
		t.Fatalf("%s: %s", v.jid, answer)
	}
	*v = traveller{t: v.t, at: v.at, door: v.door, user: v.user, c: v.c}
	v.jid = v.c.Bind("").JID
	v.c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	v.id = peertest.Attr(v.c.Expect("<enabled", "resume='true'"), "id")
}

// files are those of the journal that hold something.
func files(t testing.TB, server *peertest.Parley) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(server.Data, "journal", "*.journal"))
	if err != nil || len(all) == 0 {
		t.Fatal("there is no journal: ", err)
	}
	return all
}

// TestHC9DamagedJournal damages what a killed server has left: then sessions are refused, never resumed with a wrong count,
// and everything works.
func TestHC9DamagedJournal(t *testing.T) {
	t.Parallel()
	server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
	at := newPlace(server)
	server.AddUser("ann", "ann")
	server.AddUser("bob", "bob")
	ann, bob := newTraveller(t, at, "starttls", "ann"), newTraveller(t, at, "websocket", "bob")
	// A file says at lengthAt how many of its bytes hold something.
	const lengthAt, head = 2048, 4096
	for name, damage := range map[string]func(b []byte, size int) []byte{
		"a flipped bit":       func(b []byte, size int) []byte { b[(head+size)/2] ^= 4; return b },
		"a flipped last byte": func(b []byte, size int) []byte { b[size-1] ^= 0x80; return b },
		"zeros":               func(b []byte, _ int) []byte { clear(b[head+100 : head+200]); return b },
		"half of it":          func(b []byte, size int) []byte { return b[:(head+size)/2] },
		"a byte less":         func(b []byte, size int) []byte { return b[:size-1] },
		"nothing":             func([]byte, int) []byte { return nil },
		"something else":      func([]byte, int) []byte { return []byte(strings.Repeat("<message/>", 1000)) },
	} {
		ann.talk(bob.jid, 50, 0)
		bob.talk(ann.jid, 50, 50)
		server.Kill()
		for _, file := range files(t, server) {
			b, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(file, damage(b, int(binary.NativeEndian.Uint64(b[lengthAt:]))), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		server.Start()
		if n := server.Metric("parley_reject_total", `event="journal.damaged"`); n != 1 && name != "something else" {
			t.Errorf("%s: counted %v times", name, n)
		}
		refused(t, ann)
		refused(t, bob)
	}
	ann.talk(bob.jid, 50, 0)
	server.Kill()
	server.Start()
	ann.comeBack()
	bob.comeBack()
	bob.talk(ann.jid, 50, 50)
	ann.talk(bob.jid, 50, 50)
}

// TestHC9DiskFull fills the disk under the journal: the server goes on, sessions end with it, and when there is room again
// they outlive it again.
func TestHC9DiskFull(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	dir := filepath.Join(data, "journal")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if errors.Is(err, syscall.EPERM) && !peertest.Required("root") {
			t.Skip("mounting takes root")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	server := peertest.StartParley(t, peertest.ParleyOptions{Data: data, Args: []string{"--limits=off"}})
	at := newPlace(server)
	server.AddUser("ann", "ann")
	server.AddUser("bob", "bob")
	ann, bob := newTraveller(t, at, "starttls", "ann"), newTraveller(t, at, "starttls", "bob")
	failures := func() float64 { return server.Metric("parley_reject_total", `event="journal.fail"`) }
	talk := func(n int) {
		t.Helper()
		ann.talk(bob.jid, ann.sent+n, ann.got)
		bob.talk(ann.jid, bob.sent+n, bob.got+n)
		ann.talk(bob.jid, ann.sent, ann.got+n)
	}
	talk(10)
	filler := filepath.Join(dir, "filler")
	os.WriteFile(filler, make([]byte, 1<<20), 0o600) // as much as there is room for
	for n := 0; failures() == 0; n++ {
		if n == 100 {
			t.Fatal("the disk does not get full")
		}
		talk(100)
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "*.journal")); len(all) > 0 {
		t.Errorf("left: %v", all)
	}
	talk(100)
	server.Kill()
	server.Start()
	refused(t, ann)
	refused(t, bob)
	talk(10)

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if all, _ := filepath.Glob(filepath.Join(dir, "*.journal")); len(all) > 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the journal does not come back")
		}
	}
	time.Sleep(200 * time.Millisecond) // until the snapshot is complete
	talk(10)
	server.Kill()
	server.Start()
	ann.comeBack()
	bob.comeBack()
	talk(10)
}

package clients

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// screen is a terminal of tmux with a program in it. Unlike terminal it shows what a person would see.
type screen struct {
	t      *testing.T
	tmux   []string
	prompt string // what is before a line that is typed
}

// openScreen starts a program as somebody who is not root, with a home of its own.
func openScreen(t *testing.T, home string, args ...string) *screen {
	t.Helper()
	x := &screen{t: t, tmux: []string{peertest.Need(t, "tmux"), "-S", filepath.Join(t.TempDir(), "tmux"), "-f", "/dev/null"}}
	env := []string{"env", "HOME=" + home, "XDG_CONFIG_HOME=" + home + "/config", "XDG_DATA_HOME=" + home + "/data", "XDG_CACHE_HOME=" + home + "/cache", "LC_ALL=C.UTF-8"}
	if os.Geteuid() == 0 {
		if out, err := exec.Command("chown", "-R", "nobody", home).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		env = append(env, peertest.Need(t, "setpriv"), "--reuid=nobody", "--regid=nogroup", "--clear-groups")
	}
	x.do(append(append([]string{"new-session", "-d", "-x", "160", "-y", "40"}, env...), args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the screen:\n%s", x.text())
		}
		exec.Command(x.tmux[0], append(x.tmux[1:], "kill-server")...).Run()
	})
	return x
}

func (x *screen) do(args ...string) string {
	x.t.Helper()
	out, err := exec.Command(x.tmux[0], append(x.tmux[1:], args...)...).CombinedOutput()
	if err != nil {
		x.t.Errorf("tmux %s: %v\n%s", args[0], err, out)
	}
	return string(out)
}

func (x *screen) text() string { return x.do("capture-pane", "-p") }

// line types a line, not so fast that poezio takes it for one that is pasted.
func (x *screen) line(text string) {
	x.t.Helper()
	for i, part := range []string{text[:1], text[1:]} {
		x.do("send-keys", "-l", part)
		for until := time.Now().Add(time.Minute); !strings.Contains(x.lastLine(), x.prompt+text[:1+i*len(part)]); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(until) {
				x.t.Fatalf("%q is not in the last line", text)
			}
		}
	}
	x.do("send-keys", "Enter")
}

func (x *screen) lastLine() string {
	text := strings.TrimRight(x.text(), "\n ")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// sees waits until all of these texts are on the screen at once.
func (x *screen) sees(texts ...string) {
	x.t.Helper()
	if missing := x.lacks(time.Minute, texts...); missing != "" {
		x.t.Fatalf("%q does not appear", missing)
	}
}

// lacks waits like sees, and returns what does not appear.
func (x *screen) lacks(patience time.Duration, texts ...string) (missing string) {
	x.t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		seen := x.text()
		missing = ""
		for _, text := range texts {
			if !strings.Contains(seen, text) {
				missing = text
			}
		}
		if missing == "" || time.Now().After(until) {
			return missing
		}
	}
}

// homeOf is an empty home that others than root can reach.
func homeOf(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "parley-home-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// nameService is a plugin of poezio such as somebody has in the folder for own ones. slixmpp's search for the service fails on Python 3.11.
const nameService = `from poezio.plugin import BasePlugin
from slixmpp import JID

class Plugin(BasePlugin):
    def init(self):
        self.core.xmpp["xep_0363"].upload_service = JID("upload.localhost")
`

// startPoezio starts poezio in a home, which is returned to be filled before.
func startPoezio(t *testing.T, server *peertest.Parley, user, home string) *screen {
	t.Helper()
	program := peertest.Need(t, "poezio")
	host, port, err := net.SplitHostPort(server.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := os.ReadFile(server.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cert.pem":         string(certificate),
		"plugins/where.py": nameService,
		"poezio.cfg": fmt.Sprintf("[Poezio]\njid = %s@localhost/poezio\npassword = %s-password\ncustom_host = %s\ncustom_port = %s\nca_cert_path = %s/cert.pem\n"+
			"rooms =\ndefault_nick = %s\nuse_log = false\ncreate_gaps = false\nplugins_dir = %s/plugins\nplugins_autoload = where:upload\n", user, user, host, port, home, user, home),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x := openScreen(t, home, program, "-f", home+"/poezio.cfg")
	x.prompt = "│"
	return x
}

// TestPoezio: two people at terminals become contacts, talk, share a file, meet in a room; one comes back on another machine, and
// reads what was said.
func TestPoezio(t *testing.T) {
	peertest.Need(t, "poezio")
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, user := range []string{"ann", "bob"} {
		server.AddUser(user, user+"-password")
	}
	home := homeOf(t)
	content := strings.Repeat("a rose is a rose, ", 1000)
	if err := os.WriteFile(filepath.Join(home, "rose.txt"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	ann, bob := startPoezio(t, server, "ann", home), startPoezio(t, server, "bob", homeOf(t))
	ann.sees("Authentication success", "Your JID is ann@localhost/")
	bob.sees("Authentication success")

	ann.line("/add bob@localhost")
	bob.sees("ann@localhost wants to subscribe")
	bob.line("/accept ann@localhost")
	ann.sees("bob@localhost accepted your contact proposal", "Roster: 2/1 contacts") // oneself is counted as somebody who is there
	bob.sees("ann@localhost is now authorized", "Roster: 2/1 contacts")

	ann.line("/message bob@localhost first-words")
	bob.line("/message ann@localhost an-answer")
	for _, x := range []*screen{ann, bob} {
		x.sees("first-words", "an-answer")
	}
	ann.line("/upload " + home + "/rose.txt")
	bob.sees("/rose.txt")
	fetches(t, server, linkToRose.FindString(bob.text()), content)

	ann.line("/join coven@muc.localhost/ann")
	ann.sees("The room has been created")
	ann.line("/configure")
	ann.sees("Ctrl+Y")
	ann.do("send-keys", "C-y")
	for tries := 0; ; tries++ { // the form leaves the screen before the room is open
		bob.line("/join coven@muc.localhost/bob")
		if ann.lacks(5*time.Second, "---> bob (bob@localhost/poezio") == "" {
			break
		}
		if tries == 10 {
			t.Fatal("bob does not come")
		}
	}
	ann.line("words-in-the-room")
	bob.sees("words-in-the-room")
	bob.line("answer-in-the-room")
	ann.sees("answer-in-the-room")

	bob.line("/quit")
	again := startPoezio(t, server, "bob", homeOf(t))
	again.sees("Authentication success")
	again.line("/message ann@localhost back-again")
	again.sees("first-words", "an-answer", "back-again")
}

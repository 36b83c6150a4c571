package clients

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
)

// terminal is a profanity with somebody before it.
type terminal struct {
	t    *testing.T
	in   io.Writer
	mu   sync.Mutex // guards seen
	seen strings.Builder
	from int // what of seen has been looked through
}

func (x *terminal) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.Write(p)
}

// settleProfanity fills a home for somebody whose machine is called so.
func settleProfanity(t *testing.T, server *peertest.Parley, home, user, machine string) {
	t.Helper()
	host, port, err := net.SplitHostPort(server.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"data/profanity/accounts": fmt.Sprintf("[me]\nenabled=true\njid=%s@localhost\npassword=%s-password\nserver=%s\nport=%s\ntls.policy=trust\nresource=%s\nmuc.nick=%s\n", user, user, host, port, machine, user),
		"config/profanity/profrc": "[ui]\nsplash=false\ntime.console=off\ntime.chat=off\ntime.muc=off\n[chatstates]\nenabled=false\n",
	} {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func startProfanity(t *testing.T, server *peertest.Parley, user string) *terminal {
	t.Helper()
	program, python := peertest.Need(t, "profanity"), peertest.NeedPython(t, "pty")
	home := t.TempDir()
	settleProfanity(t, server, home, user, "prof")
	x := &terminal{t: t}
	cmd := exec.Command(python, "testdata/profanity.py", program, "-a", "me")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home+"/config", "XDG_DATA_HOME="+home+"/data", "LC_ALL=C.UTF-8")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	x.in = in
	cmd.Stdout, cmd.Stderr = x, x
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s saw:\n%s", user, x.seen.String())
		}
		fmt.Fprint(in, "/quit\n")
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
	})
	return x
}

// line types a line.
func (x *terminal) line(format string, args ...any) {
	x.t.Helper()
	if _, err := fmt.Fprintf(x.in, format+"\n", args...); err != nil {
		x.t.Fatal(err)
	}
}

// sees waits until a text appears that was not there at the last call.
func (x *terminal) sees(text string) {
	x.t.Helper()
	if !x.seesWithin(30*time.Second, text) {
		x.t.Fatalf("%q does not appear", text)
	}
}

func (x *terminal) seesWithin(d time.Duration, text string) bool {
	for end := time.Now().Add(d); ; time.Sleep(20 * time.Millisecond) {
		all := x.text()
		if i := strings.Index(all[x.from:], text); i >= 0 {
			x.from += i + len(text)
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

// matches waits until such a text has appeared.
func (x *terminal) matches(r *regexp.Regexp) {
	x.t.Helper()
	for end := time.Now().Add(30 * time.Second); !r.MatchString(x.text()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatalf("%v does not appear", r)
		}
	}
}

var linkToRose = regexp.MustCompile(`https?://[^ \n]*/upload/[^ \n]*/rose\.txt`)

// fetches fetches the file that a link leads to.
func fetches(t *testing.T, server *peertest.Parley, link, content string) {
	t.Helper()
	web := http.Client{Transport: &http.Transport{TLSClientConfig: server.TLS()}}
	res, err := web.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || string(got) != content {
		t.Errorf("%s: %s, %d bytes of the file, %v", link, res.Status, len(got), err)
	}
}

// TestProfanity: two people at terminals log in over STARTTLS, chat, send a file, meet in a room, and one promotes the other.
func TestProfanity(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, user := range []string{"ann", "bob"} {
		server.AddUser(user, user+"-password")
	}
	ann, bob := startProfanity(t, server, "ann"), startProfanity(t, server, "bob")
	ann.sees("logged in successfully")
	bob.sees("logged in successfully")
	ann.line("/msg bob@localhost first-words")
	bob.sees("chat message: ann@localhost")
	bob.line("/win 2")
	bob.sees("first-words")
	content := strings.Repeat("a rose is a rose, ", 1000)
	rose := filepath.Join(t.TempDir(), "rose.txt")
	if err := os.WriteFile(rose, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	ann.line("/sendfile %s", rose)
	bob.matches(linkToRose)
	fetches(t, server, linkToRose.FindString(bob.text()), content)

	ann.line("/join room@muc.localhost")
	ann.sees("requires configuration")
	ann.line("/room accept")
	ann.sees("unlocked")
	for tries := 0; ; tries++ { // "unlocked" is said before the room is asked to be
		bob.line("/join room@muc.localhost")
		if ann.seesWithin(3*time.Second, "bob") {
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
	ann.line("/subject set what-it-is-about")
	bob.sees("what-it-is-about")
	ann.line("/affiliation set admin bob@localhost")
	bob.sees("admin")
	ann.line("/kick bob because-of-the-test")
	bob.sees("because-of-the-test")
}

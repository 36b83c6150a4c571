// Package upload has people share files through the binary: those of a Go client and of slixmpp.
package upload

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

const ns = "urn:xmpp:http:upload:0"

// small bounds files and accounts.
const small = "[upload]\nsize = 1000000\nquota = 1500000\n"

func login(t testing.TB, s *peertest.Parley, user string) *peertest.Client {
	t.Helper()
	p := peertest.Dial(t, s.XMPP, "localhost")
	p.StartTLS(tls.VersionTLS13)
	p.Login(user, user+"-password")
	return p.Bind("desk")
}

// ask sends a request for a slot and returns the answer.
func ask(c *peertest.Client, name string, size int) string {
	c.T.Helper()
	c.Send(fmt.Sprintf("<iq type='get' id='slot' to='upload.localhost'><request xmlns='%s' filename='%s' size='%d' content-type='image/png'/></iq>", ns, name, size))
	return c.Await("<iq", "id='slot'")
}

// put uploads a file and returns its address.
func put(c *peertest.Client, name, content string) string {
	c.T.Helper()
	got := ask(c, name, len(content))
	_, rest, _ := strings.Cut(got, "<put")
	key, _, _ := strings.Cut(rest[strings.Index(rest, "'Authorization'>")+len("'Authorization'>"):], "<")
	if res := do(c.T, "PUT", peertest.Attr(rest, "url"), content, key); res.StatusCode != http.StatusCreated {
		c.T.Fatalf("%s: %s", name, res.Status)
	}
	_, rest, _ = strings.Cut(got, "<get")
	return peertest.Attr(rest, "url")
}

func do(t testing.TB, method, target, content, key string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, target, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", key)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func fetch(t testing.TB, target string) (status int, content string) {
	t.Helper()
	res := do(t, "GET", target, "", "")
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// files counts the files that the server keeps.
func files(s *peertest.Parley) (n int) {
	filepath.WalkDir(filepath.Join(s.Data, "uploads"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil
	})
	return n
}

func TestFilesOutliveTheServerAndNotTheirAccount(t *testing.T) {
	s := peertest.StartParley(t, peertest.ParleyOptions{Config: small})
	for _, user := range []string{"ann", "bob"} {
		s.AddUser(user, user+"-password")
	}
	ann, bob := login(t, s, "ann"), login(t, s, "bob")
	ann.Send("<iq type='get' id='items' to='localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
	ann.Await("id='items'", "<item jid='upload.localhost'/>")
	ann.Send("<iq type='get' id='info' to='upload.localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	ann.Await("id='info'", "<identity category='store' type='file'", "<feature var='"+ns+"'/>", "<value>1000000</value>")

	content := strings.Repeat("rose", 250_000)
	link := put(ann, "rose.png", content)
	if !strings.HasPrefix(link, "http://localhost:") {
		t.Errorf("the address: %s", link)
	}
	if status, got := fetch(t, link); status != 200 || got != content {
		t.Errorf("%d, %d bytes", status, len(got))
	}
	if got := ask(ann, "second.png", 500_001); !strings.Contains(got, "<resource-constraint ") || !strings.Contains(got, "<retry xmlns='"+ns+"' stamp='20") {
		t.Errorf("over the quota: %s", got)
	}
	if got := ask(ann, "large.png", 1_000_001); !strings.Contains(got, "<file-too-large ") {
		t.Errorf("too large: %s", got)
	}
	others := put(bob, "bob.png", "bob's")
	if s.Metric("parley_uploads_total", "") != 2 || s.Metric("parley_upload_bytes_total", "") != 1_000_005 || s.Metric("parley_reject_total", `event="upload.reject"`) != 2 {
		t.Error("not counted")
	}

	before := s.HTTP
	s.Kill()
	s.Start()
	for _, l := range []*string{&link, &others} {
		*l = strings.Replace(*l, before[strings.LastIndexByte(before, ':'):], s.HTTP[strings.LastIndexByte(s.HTTP, ':'):], 1)
	}
	if status, got := fetch(t, link); status != 200 || got != content {
		t.Errorf("after a new start: %d, %d bytes", status, len(got))
	}
	ann = login(t, s, "ann")
	if got := ask(ann, "second.png", 500_001); !strings.Contains(got, "<resource-constraint ") {
		t.Errorf("over the quota, after a new start: %s", got)
	}
	if files(s) != 2 {
		t.Errorf("%d files", files(s))
	}
	if _, err := s.Command("", "user", "del", "ann"); err != nil {
		t.Fatal(err)
	}
	if status, _ := fetch(t, link); status != 404 {
		t.Errorf("of a deleted account: %d", status)
	}
	for end := time.Now().Add(30 * time.Second); files(s) != 1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d files are left", files(s))
		}
	}
	if status, got := fetch(t, others); status != 200 || got != "bob's" {
		t.Errorf("of another account: %d %q", status, got)
	}
}

func TestGuestsUploadNothing(t *testing.T) {
	s := peertest.StartParley(t, peertest.ParleyOptions{})
	p := peertest.Dial(t, s.XMPP, "localhost")
	p.StartTLS(tls.VersionTLS13)
	p.Open()
	p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	p.Await("<success")
	p.Open()
	p.Bind("")
	if got := ask(p, "a.png", 1); !strings.Contains(got, "<forbidden ") {
		t.Errorf("%s", got)
	}
}

// TestSlowUploadIsGivenItsTime: a file takes longer than other requests may.
func TestSlowUploadIsGivenItsTime(t *testing.T) {
	s := peertest.StartParley(t, peertest.ParleyOptions{Config: "[http]\nbody_timeout = \"1s\"\n"})
	s.AddUser("ann", "ann-password")
	got := ask(login(t, s, "ann"), "slow.png", 10)
	_, rest, _ := strings.Cut(got, "<put")
	address, err := url.Parse(peertest.Attr(rest, "url"))
	if err != nil {
		t.Fatal(err)
	}
	key, _, _ := strings.Cut(rest[strings.Index(rest, "'Authorization'>")+len("'Authorization'>"):], "<")
	c, err := net.Dial("tcp", s.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nContent-Length: 10\r\n\r\n01234", address.Path, key)
	time.Sleep(3 * time.Second) // longer than the time for a request; it may be as long as it likes
	fmt.Fprint(c, "56789")
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("%v %v", res, err)
	}
	if status, content := fetch(t, address.String()); status != 200 || content != "0123456789" {
		t.Errorf("%d %q", status, content)
	}
}

// TestSlixmppSharesAFile: what each step means is in testdata/upload.py.
func TestSlixmppSharesAFile(t *testing.T) {
	python := peertest.NeedPython(t, "slixmpp")
	peertest.NeedPython(t, "aiohttp") // which its uploads need
	s := peertest.StartParley(t, peertest.ParleyOptions{Config: small})
	s.AddUser("ann", "ann-password")
	s.AddUser("bob", "bob-password")
	host, port, err := net.SplitHostPort(s.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, "testdata/upload.py", host, port, "localhost", s.Certificate).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var steps []string
	for line := range strings.Lines(string(out)) {
		var s struct{ Step string }
		if json.Unmarshal([]byte(line), &s) == nil && s.Step != "" {
			steps = append(steps, s.Step)
		}
	}
	if got, want := strings.Join(steps, " "), "login discovery uploaded fetched refused done"; got != want {
		t.Errorf("steps %s, want %s\n%s", got, want, out)
	}
}

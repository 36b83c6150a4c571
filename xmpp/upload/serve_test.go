package upload

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest/need"
)

func TestFileIsThereForWhoKnowsItsAddress(t *testing.T) {
	s := newService(t, nil)
	l := s.store("filename='très cool.jpg' size='10' content-type='image/jpeg'", "0123456789")
	res, text := s.do("GET", l.get, "")
	if res.StatusCode != 200 || text != "0123456789" {
		t.Errorf("%s %q", res.Status, text)
	}
	for name, want := range map[string]string{
		"Content-Type":                 "image/jpeg",
		"Content-Disposition":          "inline; filename*=UTF-8''tr%C3%A8s%20cool.jpg",
		"Content-Security-Policy":      "default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'none'; sandbox",
		"X-Content-Type-Options":       "nosniff",
		"Access-Control-Allow-Origin":  "*",
		"Cross-Origin-Resource-Policy": "cross-origin",
		"Content-Length":               "10",
		"Accept-Ranges":                "bytes",
		"Cache-Control":                "private, immutable, max-age=2592000",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if res, text := s.do("HEAD", l.get, ""); res.StatusCode != 200 || res.ContentLength != 10 || text != "" || res.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("HEAD: %s %q", res.Status, text)
	}
	if res, text := s.do("GET", l.get, "", "Range", "bytes=3-5"); res.StatusCode != 206 || text != "345" || res.Header.Get("Content-Range") != "bytes 3-5/10" {
		t.Errorf("a part: %s %q", res.Status, text)
	}
	if res, _ := s.do("GET", l.get, "", "If-None-Match", res.Header.Get("ETag")); res.StatusCode != 304 {
		t.Errorf("unchanged: %s", res.Status)
	}
	if stored, bytes, _ := s.Stats(); stored != 1 || bytes != 10 {
		t.Errorf("counted %d files of %d bytes", stored, bytes)
	}
	s.time = s.time.Add(30 * 24 * time.Hour)
	if res, _ := s.do("GET", l.get, ""); res.StatusCode != 404 {
		t.Errorf("after its time: %s", res.Status)
	}
}

func TestEmptyFile(t *testing.T) {
	s := newService(t, nil)
	l := s.store("filename='nothing' size='0'", "")
	if res, text := s.do("GET", l.get, ""); res.StatusCode != 200 || text != "" {
		t.Errorf("%s %q", res.Status, text)
	}
}

func TestCORSLetsPagesUpload(t *testing.T) {
	s := newService(t, nil)
	l := s.slot("filename='a' size='1'")
	res, _ := s.do("OPTIONS", l.put, "", "Origin", "https://chat.example", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization,content-type")
	if res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "PUT") ||
		res.Header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, Range" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	if res, _ := s.do("PUT", l.put, "x", "Origin", "https://chat.example", "Authorization", l.authorization); res.StatusCode != 201 || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

// TestHW7LiesOfAPut: what does not match the slot is not taken, and leaves nothing.
func TestHW7LiesOfAPut(t *testing.T) {
	s := newService(t, nil)
	l := s.slot("filename='a.png' size='5' content-type='image/png'")
	other := s.slot("filename='a.png' size='5'")
	for _, c := range []struct {
		what, target, body string
		headers            []string
		want               int
	}{
		{"no key", l.put, "12345", nil, 403},
		{"another slot's key", l.put, "12345", []string{"Authorization", other.authorization}, 403},
		{"a key of another scheme", l.put, "12345", []string{"Authorization", "Basic" + strings.TrimPrefix(l.authorization, "Bearer")}, 403},
		{"larger", l.put, "123456", []string{"Authorization", l.authorization}, 413},
		{"smaller", l.put, "1234", []string{"Authorization", l.authorization}, 400},
		{"another name", strings.Replace(l.put, "a.png", "a.html", 1), "12345", []string{"Authorization", l.authorization}, 404},
		{"another type", l.put, "12345", []string{"Authorization", l.authorization, "Content-Type", "text/html"}, 415},
		{"no type at all", l.put, "12345", []string{"Authorization", l.authorization, "Content-Type", "<"}, 415},
		{"POST", l.put, "12345", []string{"Authorization", l.authorization}, 405},
	} {
		method := "PUT"
		if c.what == "POST" {
			method = "POST"
		}
		if res, text := s.do(method, c.target, c.body, c.headers...); res.StatusCode != c.want {
			t.Errorf("%s: %s %s, want %d", c.what, res.Status, text, c.want)
		}
	}
	if list := s.files(); len(list) != 0 {
		t.Errorf("left behind: %q", list)
	}
	if res, _ := s.do("GET", l.get, ""); res.StatusCode != 404 {
		t.Errorf("a slot without file: %s", res.Status)
	}
	if res, text := s.do("PUT", l.put, "12345", "Authorization", l.authorization, "Content-Type", "Image/PNG; x=y"); res.StatusCode != 201 {
		t.Errorf("the truth: %s %s", res.Status, text)
	}
	if res, _ := s.do("PUT", l.put, "54321", "Authorization", l.authorization); res.StatusCode != 409 {
		t.Errorf("twice: %s", res.Status)
	}
	if _, text := s.do("GET", l.get, ""); text != "12345" {
		t.Errorf("the second put changed it: %q", text)
	}
	s.time = s.time.Add(slotTime + time.Second)
	if res, _ := s.do("PUT", other.put, "12345", "Authorization", other.authorization); res.StatusCode != 410 {
		t.Errorf("too late: %s", res.Status)
	}
}

func TestHW1PathsLeadToFilesOnly(t *testing.T) {
	s := newService(t, nil)
	l := s.store("filename='a' size='1'", "x")
	for _, path := range []string{
		"/upload/", "/upload/" + l.id, "/upload/" + l.id + "/", "/upload/" + l.id + "/a/b", "/upload/" + strings.ToUpper(l.id) + "/a", "/upload/" + l.id + "/b",
		"/upload/" + l.id + "x/a", "/upload/incoming/a", "/upload/../uploads/a", "/upload/%2e%2e/%2e%2e", "/upload/" + strings.Repeat("a", 26) + "/a",
		"/upload/" + l.id[:2] + "%2F" + l.id + "/a",
	} {
		for _, method := range []string{"GET", "PUT"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, path, strings.NewReader("x"))
			s.ServeHTTP(w, r)
			if w.Code != 404 && !(w.Code == 403 && method == "PUT") {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
}

func TestHW7RangeFlood(t *testing.T) {
	s := newService(t, nil)
	l := s.store("filename='a' size='1000'", strings.Repeat("x", 1000))
	if res, _ := s.do("GET", l.get, "", "Range", "bytes=0-1,4-5,8-9,12-13,16-17"); res.StatusCode != 206 {
		t.Errorf("five parts: %s", res.Status)
	}
	if res, text := s.do("GET", l.get, "", "Range", "bytes=0-"+strings.Repeat(",0-", 1000)); res.StatusCode != 416 || len(text) > 100 {
		t.Errorf("a thousand parts: %s, %d bytes", res.Status, len(text))
	}
}

// open begins to upload and returns the connection.
func (s *service) open(l slot, size int, content string) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.web.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: x.net\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", strings.TrimPrefix(l.put, s.web.URL), l.authorization, size, content)
	return c
}

// until waits for something.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: never", what)
		}
	}
}

func TestHW7InterruptedPutLeavesNothingAndCanBeRepeated(t *testing.T) {
	s := newService(t, nil)
	l := s.slot("filename='a' size='10'")
	c := s.open(l, 10, "01234")
	until(t, "the draft", func() bool { return len(s.files()) == 1 })
	c.Close()
	until(t, "the draft's end", func() bool { return len(s.files()) == 0 && !s.isActive(l.id) })
	if res, text := s.do("PUT", l.put, "0123456789", "Authorization", l.authorization); res.StatusCode != 201 {
		t.Errorf("%s %s", res.Status, text)
	}
	if _, text := s.do("GET", l.get, ""); text != "0123456789" {
		t.Error(text)
	}
}

// TestPutThatHangsGivesWay: a client whose connection died without a word tries again at once.
func TestPutThatHangsGivesWay(t *testing.T) {
	s := newService(t, nil)
	l := s.slot("filename='a' size='10'")
	c := s.open(l, 10, "bad")
	until(t, "the draft", func() bool { return len(s.files()) == 1 })
	if res, text := s.do("PUT", l.put, "0123456789", "Authorization", l.authorization); res.StatusCode != 201 {
		t.Errorf("%s %s", res.Status, text)
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode/100 != 4 {
		t.Errorf("the one that hung: %v %v", res, err)
	}
	if _, text := s.do("GET", l.get, ""); text != "0123456789" {
		t.Error(text)
	}
	until(t, "one file", func() bool { return len(s.files()) == 1 })
}

// TestTransferThatGaveWayDoesNotCount: also when its end came at the same time.
func TestTransferThatGaveWayDoesNotCount(t *testing.T) {
	s := newService(t, nil)
	stopped := 0
	first, second, third := &transfer{stop: func() { stopped++ }}, &transfer{stop: func() { stopped++ }}, &transfer{}
	if !s.begin("id", first) || !s.begin("id", second) || stopped != 1 {
		t.Errorf("stopped %d", stopped)
	}
	s.end("id", first)
	if s.keeps("id", first) || !s.keeps("id", second) {
		t.Error("the first is kept, or the second is not")
	}
	if s.begin("id", third) || stopped != 1 {
		t.Error("the second gave way although it was whole")
	}
	s.end("id", second)
	if !s.begin("id", third) || s.begin("other", second) != true {
		t.Error("nothing can be sent again")
	}
}

func TestOfManyPutsAtOnceOneIsTaken(t *testing.T) {
	s := newService(t, nil)
	l := s.slot("filename='a' size='10'")
	var group sync.WaitGroup
	codes := make([]int, 20)
	for i := range codes {
		group.Go(func() {
			r, _ := http.NewRequest("PUT", l.put, strings.NewReader(fmt.Sprintf("%010d", i)))
			r.Header.Set("Authorization", l.authorization)
			if res, err := s.web.Client().Do(r); err == nil {
				res.Body.Close()
				codes[i] = res.StatusCode
			}
		})
	}
	group.Wait()
	taken := -1
	for i, code := range codes {
		if code == 201 {
			if taken >= 0 {
				t.Errorf("%d and %d were taken", taken, i)
			}
			taken = i
		}
	}
	if _, text := s.do("GET", l.get, ""); taken < 0 || text != fmt.Sprintf("%010d", taken) {
		t.Errorf("%d was taken, and %q is there", taken, text)
	}
	if list := s.files(); len(list) != 1 {
		t.Errorf("files %q", list)
	}
}

func TestFaultsOfOursAreTold(t *testing.T) {
	for why, want := range map[error]int{
		fmt.Errorf("write: %w", syscall.ENOSPC): http.StatusInsufficientStorage, fmt.Errorf("write: %w", syscall.EDQUOT): http.StatusInsufficientStorage,
		errors.New("/secret/path"): http.StatusInternalServerError,
	} {
		w := httptest.NewRecorder()
		s := newService(t, nil)
		s.fail(w, httptest.NewRequest("PUT", "/", nil), why)
		if w.Code != want || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d %s", why, w.Code, w.Body)
		}
	}
}

// TestHF7StoreThatIsAway: a file of which the store knows nothing is not there, and can be put again.
func TestHF7StoreThatIsAway(t *testing.T) {
	s := newService(t, nil)
	l := s.slot("filename='a' size='1'")
	s.rows.failing = errors.New("database is down")
	if res, text := s.do("PUT", l.put, "x", "Authorization", l.authorization); res.StatusCode != 500 || strings.Contains(text, "database") {
		t.Errorf("%s %s", res.Status, text)
	}
	if res, text := s.do("GET", l.get, ""); res.StatusCode != 503 || strings.Contains(text, "database") {
		t.Errorf("%s %s", res.Status, text)
	}
	s.rows.failing = nil
	if res, _ := s.do("GET", l.get, ""); res.StatusCode != 404 {
		t.Errorf("%s", res.Status)
	}
	if res, text := s.do("PUT", l.put, "x", "Authorization", l.authorization); res.StatusCode != 201 {
		t.Errorf("%s %s", res.Status, text)
	}
}

func TestSweepRemovesWhatIsOldOrUnusedOrLeftBehind(t *testing.T) {
	s := newService(t, nil)
	old := s.store("filename='old' size='1'", "x")
	s.time = s.time.Add(25 * 24 * time.Hour)
	young, unused := s.store("filename='young' size='1'", "x"), s.slot("filename='unused' size='1'")
	hanging := s.slot("filename='hanging' size='2'")
	s.open(hanging, 2, "x")
	until(t, "the draft", func() bool { return s.isActive(hanging.id) })
	s.clear(context.Background())
	if len(s.rows.all) != 4 {
		t.Errorf("removed too early: %v", s.rows.all)
	}
	s.time = s.time.Add(6 * 24 * time.Hour)
	s.clear(context.Background())
	for _, c := range []struct {
		slot
		want bool
	}{{old, false}, {young, true}, {unused, false}, {hanging, true}} {
		if _, there := s.rows.all[c.id]; there != c.want {
			t.Errorf("%s: %v, want %v", c.put, there, c.want)
		}
	}
	if _, err := os.Stat(s.shelf.file(old.id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old file: %v", err)
	}
	if res, _ := s.do("GET", young.get, ""); res.StatusCode != 200 {
		t.Errorf("the young file: %s", res.Status)
	}
	s.rows.mu.Lock()
	s.rows.gone["ann@x.net"] = true
	s.rows.mu.Unlock()
	if res, _ := s.do("GET", young.get, ""); res.StatusCode != 404 {
		t.Errorf("of a deleted account: %s", res.Status)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	s.Forget()
	until(t, "its removal", func() bool { _, err := os.Stat(s.shelf.file(young.id)); return errors.Is(err, os.ErrNotExist) })
	cancel()
	<-done
}

func TestFilesSurviveANewStartAndDraftsDoNot(t *testing.T) {
	s := newService(t, nil)
	l := s.store("filename='a' size='1'", "x")
	if err := os.WriteFile(filepath.Join(s.shelf.incoming(), "draft"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := New(s.cfg, s.parts)
	if err != nil {
		t.Fatal(err)
	}
	if list := s.files(); len(list) != 1 || list[0] != l.id {
		t.Errorf("files %q", list)
	}
	w := httptest.NewRecorder()
	again.ServeHTTP(w, httptest.NewRequest("GET", strings.TrimPrefix(l.get, s.web.URL), nil))
	if body, _ := io.ReadAll(w.Body); w.Code != 200 || string(body) != "x" {
		t.Errorf("%d %s", w.Code, body)
	}
}

// TestHF9DiskFull: the client is told, nothing is left, and when there is room again the same slot takes the file.
func TestHF9DiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if need.Required("root") {
			t.Fatal("PARLEY_PEERS wants what takes root, and nothing can be mounted: ", err)
		}
		t.Skip("mounting takes root:", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	s := newService(t, func(c *Config) { c.Size, c.Quota = 1<<20, 1<<20 })
	s.parts.Folder = filepath.Join(dir, "uploads")
	var err error
	if s.shelf, err = openShelf(s.parts.Folder); err != nil {
		t.Fatal(err)
	}
	const size = 600 << 10
	l := s.slot(fmt.Sprintf("filename='a' size='%d'", size))
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 600<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("x", size)
	if res, text := s.do("PUT", l.put, content, "Authorization", l.authorization); res.StatusCode != http.StatusInsufficientStorage {
		t.Errorf("%s %s", res.Status, text)
	}
	if list := s.files(); len(list) != 0 {
		t.Errorf("left behind: %q", list)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if res, text := s.do("PUT", l.put, content, "Authorization", l.authorization); res.StatusCode != 201 {
		t.Errorf("%s %s", res.Status, text)
	}
}

package portal

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// withUploads adds a door for files that says how much it could read.
func withUploads(_ *Config, parts *Parts) {
	parts.UploadSize, parts.UploadHost = 300_000, "files.example"
	parts.Upload = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "sandbox")
		content, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		io.WriteString(w, strings.Repeat(".", len(content)/100_000)+" at "+r.URL.Path)
	})
}

func TestHW7FilesAreAsLargeAsTheyMayAndOtherBodiesAreNot(t *testing.T) {
	p := newPortal(t, withUploads)
	for _, c := range []struct {
		method, path string
		size, code   int
		want         string
	}{
		{"PUT", "/upload/id/name", 250_000, 200, ".. at /upload/id/name"},
		{"PUT", "/upload/id/tr%C3%A8s%20cool.jpg", 300_000, 200, "... at /upload/id/très cool.jpg"},
		{"PUT", "/upload/id/name", 300_001, 413, ""},
		{"GET", "/upload/id/name", 0, 200, " at /upload/id/name"},
		{"HEAD", "/upload/id/name", 0, 200, ""},
		{"OPTIONS", "/upload/id/name", 0, 200, " at "},
		{"GET", "/upload/id/name", 250_000, 413, ""},
		{"POST", "/upload/id/name", 1, 405, ""},
		{"DELETE", "/upload/id/name", 0, 405, ""},
		{"PUT", "/uploads", 250_000, 413, ""},
		{"PUT", "/http-bind", 250_000, 413, ""},
		{"PUT", "/upload/../http-bind", 10, 404, ""},
		{"PUT", "/upload/id/a%2Fb", 10, 404, ""},
		{"PUT", "/upload/%2e%2e/x", 10, 404, ""},
		{"PUT", "/upload//x", 10, 404, ""},
		{"PUT", "/upload/id/a%252e", 10, 404, ""},
		{"GET", "/upload", 0, 404, ""},
	} {
		w := send(p, c.method, "https://meet.example"+c.path, strings.Repeat("x", c.size))
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s, %d bytes: %d %s", c.method, c.path, c.size, w.Code, w.Body)
		}
		if w.Code == 200 && w.Header().Get("Content-Security-Policy") != "sandbox" {
			t.Errorf("%s %s: the page's policy", c.method, c.path)
		}
	}
}

// TestHW2PagesOfOthersPutFilesOnly: to put a file takes a key, which no cookie is.
func TestHW2PagesOfOthersPutFilesOnly(t *testing.T) {
	p := newPortal(t, withUploads)
	foreign := http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://chat.example"}}
	for target, want := range map[string]int{"/upload/id/name": 200, "/room": 403, "/conference-request/v1": 403} {
		if w := ask(p, "PUT", "https://meet.example"+target, "203.0.113.1:1000", foreign); w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
}

func TestHW11FilesHaveAHostOfTheirOwn(t *testing.T) {
	for host, want := range map[string]int{"files.example": 200, "other.example": 421} {
		if w := ask(newPortal(t, withUploads), "GET", "https://"+host+"/upload/id/name", "203.0.113.1:1000", nil); w.Code != want {
			t.Errorf("%s: %d", host, w.Code)
		}
	}
	if w := ask(newPortal(t, nil), "GET", "https://meet.example/upload/id/name", "203.0.113.1:1000", nil); w.Code != 404 {
		t.Errorf("without files: %d", w.Code)
	}
}

package roomserver

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"parley/internal/peertest"
)

//go:embed testdata/sdk.html
var sdk []byte

// TestR24_ABrowserThatBehavesAsTheSDKDoes has three clients with the traits of the protocol's web SDK in one page of Chromium: two
// meet, a third joins, and all see and hear one another by the bridge; then it leaves, and the two go on without it. How long one had
// no new picture meanwhile is logged: on a machine that does other things too it is no measure.
func TestR24_ABrowserThatBehavesAsTheSDKDoes(t *testing.T) {
	if !peertest.Required("chromium") {
		t.Skip("PARLEY_PEERS does not name chromium")
	}
	path := peertest.Need(t, "chromium")
	results := make(chan map[string]any, 1)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Write(sdk)
		case "/roomserver.js":
			http.ServeFile(w, r, "../../peertest/browser/roomserver.js")
		case "/result":
			var m map[string]any
			if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
				m = map[string]any{"error": err.Error()}
			}
			results <- m
		default:
			http.NotFound(w, r)
		}
	}))
	defer page.Close()
	s := start(t, "[http]\norigins = [\""+page.URL+"\"]\n"+mesh)
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns",
		"--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--user-data-dir="+dir, page.URL+"/?ws="+url.QueryEscape("ws://"+s.HTTP+"/rs/ws"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		time.Sleep(300 * time.Millisecond) // its children write to the folder until they notice
	}()
	select {
	case m := <-results:
		if m["error"] != nil {
			t.Fatal(m["error"])
		}
		t.Logf("no new picture for %v ms at most while the third came; after %v ms everybody saw and heard everybody", m["gap"], m["all"])
	case <-time.After(4 * time.Minute):
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("the browser says nothing more:\n%.2000s", text)
	}
}

package jinglepeer

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/jingle"
	"parley/jingle/sdp"
	"parley/xmpp/wire"
)

//go:embed testdata/call.html
var page []byte

// relay serves the page and carries what its peers tell each other, as Jingle stanzas.
type relay struct {
	results chan result

	mu  sync.Mutex // guards own
	own map[string]*jingle.Jingle
}

type result struct{ Call, Result string }

type message struct {
	Call string
	By   jingle.Role

	Type, SDP string // a description

	Candidate, SDPMid, UsernameFragment string // a candidate
	SDPMLineIndex                       int
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var reply any
	var err error
	switch req.URL.Path {
	case "/":
		w.Write(page)
		return
	case "/describe", "/candidate":
		var m message
		if err = json.NewDecoder(req.Body).Decode(&m); err == nil {
			reply, err = r.carry(&m)
		}
	case "/result":
		var res result
		err = json.NewDecoder(req.Body).Decode(&res)
		r.results <- res
	default:
		http.NotFound(w, req)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	json.NewEncoder(w).Encode(reply)
}

func (r *relay) carry(m *message) (reply any, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := m.Call + string(m.By)
	if m.SDP == "" {
		tr, err := jingle.ParseTrickle(m.Candidate, m.SDPMid, m.SDPMLineIndex, m.UsernameFragment)
		if err != nil {
			return nil, err
		}
		content, ok := tr.Content(r.own[key])
		if !ok {
			return []any{}, nil // of an ICE generation that is over
		}
		info, err := stanza(&jingle.Jingle{Action: jingle.TransportInfo, SID: "s", Contents: []jingle.Content{content}})
		if err != nil {
			return nil, err
		}
		list := []any{}
		for _, tr := range jingle.Trickles(info, r.own[key]) {
			candidate := ""
			if !tr.End {
				candidate = tr.Candidate.SDP()
			}
			list = append(list, map[string]any{"candidate": candidate, "sdpMid": tr.Mid, "sdpMLineIndex": tr.Index, "usernameFragment": tr.Ufrag})
		}
		return list, nil
	}
	j, err := jingle.ParseSDP(m.SDP, m.By, jingle.DefaultLimits)
	if err != nil {
		return nil, err
	}
	r.own[key] = j
	j.SID, j.Action = "s", jingle.SessionInitiate
	if m.Type == "answer" {
		j.Action = jingle.SessionAccept
	}
	there, err := stanza(j)
	if err != nil {
		return nil, err
	}
	out, err := there.AppendSDP(nil, m.By, sdp.Origin{ID: 1, Version: uint64(time.Now().UnixNano())})
	return map[string]string{"sdp": string(out)}, err
}

// stanza writes a Jingle element and reads it again as a server does.
func stanza(j *jingle.Jingle) (*jingle.Jingle, error) {
	s := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := s.Next(j.Append(nil))
	if err != nil {
		return nil, err
	}
	return jingle.Parse(p.Elem(), jingle.DefaultLimits)
}

// calls has a browser do every call of the page.
func calls(t *testing.T, browser func(url, dir string) *exec.Cmd) {
	r := &relay{results: make(chan result, 16), own: make(map[string]*jingle.Jingle)}
	server := httptest.NewServer(r)
	defer server.Close()
	dir := t.TempDir()
	cmd := browser(server.URL+"/", dir)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
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
	timeout := time.After(2 * time.Minute)
	seen := 0
	for {
		select {
		case res := <-r.results:
			if res.Call == "done" {
				if res.Result != fmt.Sprint(seen) || seen == 0 {
					t.Errorf("%d calls of %s", seen, res.Result)
				}
				return
			}
			seen++
			t.Run(res.Call, func(t *testing.T) {
				if res.Result != "ok" {
					t.Error(res.Result)
				}
			})
		case <-timeout:
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("the browser says nothing more:\n%.2000s", text)
		}
	}
}

func TestChromiumCallsItself(t *testing.T) {
	path := peertest.Need(t, "chromium")
	calls(t, func(url, dir string) *exec.Cmd {
		return exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
			"--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--user-data-dir="+dir, url)
	})
}

const firefoxPrefs = `user_pref("media.navigator.streams.fake", true);
user_pref("media.navigator.permission.disabled", true);
user_pref("media.peerconnection.ice.loopback", true);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
`

func TestFirefoxCallsItself(t *testing.T) {
	path := peertest.Need(t, "firefox")
	calls(t, func(url, dir string) *exec.Cmd {
		if err := os.WriteFile(filepath.Join(dir, "user.js"), []byte(firefoxPrefs), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(path, "--headless", "--no-remote", "--profile", dir, url)
	})
}

package upload

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/store"
	"parley/xmpp/route/routetest"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rows keeps slots and files in memory.
type rows struct {
	mu      sync.Mutex
	all     map[string]store.Upload
	gone    map[string]bool // owners
	failing error
}

func (r *rows) AddUpload(_ context.Context, u store.Upload, q store.UploadQuota) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var bytes int64
	files := 0
	for _, other := range r.all {
		if other.Owner == u.Owner {
			files, bytes = files+1, bytes+other.Size
		}
	}
	switch {
	case r.failing != nil:
		return r.failing
	case r.gone[u.Owner]:
		return store.ErrNotFound
	case files >= q.Files || bytes+u.Size > q.Bytes:
		return store.ErrQuota
	}
	r.all[u.ID] = u
	return nil
}

func (r *rows) Upload(_ context.Context, id string) (store.Upload, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.all[id]
	if !ok || r.gone[u.Owner] {
		return store.Upload{}, store.ErrNotFound
	}
	return u, r.failing
}

func (r *rows) StoreUpload(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.all[id]
	switch {
	case r.failing != nil:
		return r.failing
	case !ok || r.gone[u.Owner]:
		return store.ErrNotFound
	case u.Stored:
		return store.ErrExists
	}
	u.Stored = true
	r.all[id] = u
	return nil
}

func (r *rows) OldestUpload(_ context.Context, owner string) (oldest time.Time, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.all {
		if u.Owner == owner && u.Stored && (oldest.IsZero() || u.At.Before(oldest)) {
			oldest = u.At
		}
	}
	return oldest, nil
}

func (r *rows) StaleUploads(_ context.Context, before, unused time.Time, limit int) (ids []string, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, u := range r.all {
		if (u.At.Before(before) || !u.Stored && u.At.Before(unused) || r.gone[u.Owner]) && len(ids) < limit {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, r.failing
}

func (r *rows) RemoveUploads(_ context.Context, ids []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		delete(r.all, id)
	}
	return nil
}

// service is one with its HTTP side.
type service struct {
	*Service
	t    *testing.T
	rows *rows
	web  *httptest.Server
	time time.Time
}

func newService(t *testing.T, change func(*Config)) *service {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Size, cfg.Quota, cfg.DiskFree = 1000, 3000, 0
	if change != nil {
		change(&cfg)
	}
	s := &service{t: t, rows: &rows{all: make(map[string]store.Upload), gone: make(map[string]bool)}, time: time.Now()}
	s.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r) }))
	t.Cleanup(s.web.Close)
	var err error
	s.Service, err = New(cfg, Parts{
		Domain: "x.net", Address: "upload.x.net", Base: s.web.URL, Folder: filepath.Join(t.TempDir(), "uploads"), Secret: []byte("secret"), Store: s.rows,
		Do: func(_ wire.Addr, work func(*wire.Batch)) bool { work(&wire.Batch{}); return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return s.time }
	return s
}

// send sends a stanza to the service and returns the answer.
func (s *service) send(from *routetest.Session, stanza string) string {
	s.t.Helper()
	from.Got = ""
	p := routetest.Packet(s.t, stanza)
	to, _ := wire.ParseRawAddr(p.To())
	s.Handle(&wire.Batch{}, from, to, p)
	return from.Got
}

func ask(attributes string) string {
	return "<iq type='get' id='1' to='upload.x.net'><request xmlns='" + NS + "' " + attributes + "/></iq>"
}

// slot is what a client is given.
type slot struct{ id, put, get, authorization string }

// slot asks for one in the name of ann.
func (s *service) slot(attributes string) slot {
	s.t.Helper()
	got := s.send(&routetest.Session{Address: "ann@x.net/desk"}, ask(attributes))
	e := routetest.Packet(s.t, "<iq"+got).Elem().Child("slot", NS)
	put, get := e.Child("put", NS), e.Child("get", NS)
	header := put.Child("header", NS)
	if header.AttrString("name") != "Authorization" {
		s.t.Fatalf("%s: %s", attributes, got)
	}
	address := get.AttrString("url")
	id, _, _ := strings.Cut(strings.TrimPrefix(address, s.web.URL+Path), "/")
	return slot{id: id, put: put.AttrString("url"), get: address, authorization: header.Text()}
}

// do makes a request and returns the answer with its body.
func (s *service) do(method, target, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.web.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(text)
}

// store uploads a file and returns its slot.
func (s *service) store(attributes, content string) slot {
	s.t.Helper()
	l := s.slot(attributes)
	if res, text := s.do("PUT", l.put, content, "Authorization", l.authorization); res.StatusCode != http.StatusCreated {
		s.t.Fatalf("%s: %s %s", attributes, res.Status, text)
	}
	return l
}

// files are the names of all files on the disk.
func (s *service) files() (list []string) {
	s.t.Helper()
	filepath.WalkDir(s.parts.Folder, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, d.Name())
		}
		return nil
	})
	return list
}

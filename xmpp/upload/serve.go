package upload

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"parley/internal/limit"
	"parley/internal/store"
)

// How fast a file has to go over the wire at least, in bytes a second, and what is added to the time that this gives.
const (
	slowest   = 16 << 10
	extraTime = 30 * time.Second
)

// mostRanges is how many parts of a file may be asked for at once.
const mostRanges = 5

// ServeHTTP answers requests for files: PUT by whoever has a slot, the others by anyone, pages of all origins included.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	id, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Path), "/")
	switch {
	case !isID(id) || name == "" || strings.Contains(name, "/"):
		http.NotFound(w, r)
	case r.Method == http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, PUT, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Range")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut:
		if why := s.put(w, r, id, name); why != nil {
			s.fail(w, r, why)
		} else {
			w.WriteHeader(http.StatusCreated)
		}
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		s.get(w, r, id, name)
	default:
		h.Set("Allow", "GET, HEAD, PUT, OPTIONS")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// refusal is why a file is not taken.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// fail answers a request to put a file that was not taken. What may still come of the file is not read.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, why error) {
	refused := &refusal{http.StatusInternalServerError, "the file could not be kept"}
	switch {
	case errors.As(why, &refused):
		s.rec.Reject("upload.reject", source(r), "status", refused.status, "text", refused.text)
	case full(why):
		refused = &refusal{http.StatusInsufficientStorage, "the server's disk is full"}
		s.rec.Hurt("disk.full", "", "err", why.Error())
	default:
		s.rec.Hurt("upload.write", "", "err", why.Error())
	}
	w.Header().Set("Connection", "close")
	http.Error(w, refused.text, refused.status)
}

// source is what a request counts as.
func source(r *http.Request) string {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return limit.Source(at.Addr().Unmap()).String()
}

// transfer is a file that comes in. A later one for the same slot ends it: its client has given it up.
type transfer struct {
	stop    func() // ends the reading; called with Service.mu held
	keeping bool   // the file is whole, and becomes the slot's
}

// begin enters a transfer for a slot; false if the file of another one is about to be there.
func (s *Service) begin(id string, t *transfer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.active[id]; old != nil {
		if old.keeping {
			return false
		}
		old.stop()
	}
	s.active[id] = t
	return true
}

// keeps reports that no other transfer took this one's place, and that from now on none will.
func (s *Service) keeps(id string, t *transfer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.keeping = s.active[id] == t
	return t.keeping
}

func (s *Service) end(id string, t *transfer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[id] == t {
		delete(s.active, id)
	}
}

func (s *Service) isActive(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active[id] != nil
}

// put takes the file of a slot (XEP-0363 §6).
func (s *Service) put(w http.ResponseWriter, r *http.Request, id, name string) error {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(key), []byte(s.key(id))) != 1 {
		return &refusal{http.StatusForbidden, "not your slot"}
	}
	conn := http.NewResponseController(w)
	t := &transfer{stop: func() { conn.SetReadDeadline(time.Unix(1, 0)) }}
	if !s.begin(id, t) {
		return &refusal{http.StatusConflict, "the file is there already"}
	}
	defer s.end(id, t)
	u, err := s.find(r.Context(), id, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &refusal{http.StatusNotFound, "no such slot"}
	case err != nil:
		return err
	case u.Stored:
		return &refusal{http.StatusConflict, "the file is there already"}
	case s.now().Sub(u.At) > slotTime:
		return &refusal{http.StatusGone, "the slot was not used in time; ask for another one"}
	case r.ContentLength > u.Size:
		return &refusal{http.StatusRequestEntityTooLarge, "the file is larger than its slot"}
	case r.ContentLength != u.Size:
		return &refusal{http.StatusBadRequest, "the file is not as large as its slot"}
	}
	if kind := r.Header.Get("Content-Type"); kind != "" && u.Type != "" && cleanType(kind) != u.Type {
		return &refusal{http.StatusUnsupportedMediaType, "the file is of another type than its slot"}
	}
	return s.receive(r, conn, t, u)
}

// find returns a slot or a file by its address.
func (s *Service) find(ctx context.Context, id, name string) (u store.Upload, err error) {
	err = within(ctx, func(ctx context.Context) (err error) {
		u, err = s.parts.Store.Upload(ctx, id)
		return err
	})
	if err == nil && u.Name != name {
		err = store.ErrNotFound
	}
	return u, err
}

// receive writes a file and makes it the slot's.
func (s *Service) receive(r *http.Request, conn *http.ResponseController, t *transfer, u store.Upload) error {
	s.mu.Lock()
	if s.active[u.ID] == t { // if it is not, its deadline is over
		deadline := time.Now().Add(extraTime + time.Duration(u.Size/slowest)*time.Second)
		conn.SetReadDeadline(deadline)
		conn.SetWriteDeadline(deadline.Add(extraTime))
	}
	s.mu.Unlock()
	draft, err := s.shelf.draft(u.ID)
	if err != nil {
		return err
	}
	body := &reader{Reader: r.Body}
	n, err := io.Copy(draft, io.LimitReader(body, u.Size))
	switch {
	case body.failed != nil, err == nil && n != u.Size:
		draft.drop()
		return &refusal{http.StatusBadRequest, "the file did not come whole"}
	case err != nil:
		draft.drop()
		return err
	case !s.keeps(u.ID, t):
		draft.drop()
		return &refusal{http.StatusConflict, "the file was sent again"}
	}
	if err := draft.keep(u.ID); err != nil {
		return err
	}
	// The client may be gone by now, but its file is here.
	err = within(context.WithoutCancel(r.Context()), func(ctx context.Context) error { return s.parts.Store.StoreUpload(ctx, u.ID) })
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.Forget()
		return &refusal{http.StatusNotFound, "no such slot"}
	case err != nil:
		return err
	}
	s.stored.Add(1)
	s.bytes.Add(u.Size)
	return nil
}

// reader remembers that reading failed: the client's fault, and not the disk's.
type reader struct {
	io.Reader
	failed error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.failed = err
	}
	return n, err
}

// get gives a file to whoever knows its address.
func (s *Service) get(w http.ResponseWriter, r *http.Request, id, name string) {
	u, err := s.find(r.Context(), id, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.rec.Hurt("upload.store", "", "err", err.Error())
		http.Error(w, "the file cannot be looked up at the moment", http.StatusServiceUnavailable)
		return
	}
	if err != nil || !u.Stored || s.expired(&u) {
		http.NotFound(w, r)
		return
	}
	if strings.Count(r.Header.Get("Range"), ",") >= mostRanges {
		s.rec.Reject("upload.reject", source(r), "status", http.StatusRequestedRangeNotSatisfiable)
		http.Error(w, "too many ranges", http.StatusRequestedRangeNotSatisfiable)
		return
	}
	f, err := os.Open(s.shelf.file(id))
	if err != nil {
		s.rec.Hurt("upload.missing", "", "err", err.Error())
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	s.fetched.Add(1)
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(extraTime + time.Duration(u.Size/slowest)*time.Second))
	h := w.Header()
	kind, inline := asServed(u.Type)
	disposition := "attachment"
	if inline {
		disposition = "inline"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", disposition+"; filename*=UTF-8''"+strings.ReplaceAll(url.QueryEscape(u.Name), "+", "%20"))
	h.Set("ETag", strconv.Quote(id))
	h.Set("Cache-Control", s.caching(&u))
	h.Set("Access-Control-Expose-Headers", "Content-Disposition, Content-Length, Content-Range, ETag")
	http.ServeContent(w, r, "", u.At, f)
}

// caching says how long a file, which never changes, is kept by those who had it.
func (s *Service) caching(u *store.Upload) string {
	left := 365 * 24 * time.Hour
	if s.cfg.Days > 0 {
		left = min(left, s.retention()-s.now().Sub(u.At))
	}
	return "private, immutable, max-age=" + strconv.Itoa(int(left/time.Second))
}

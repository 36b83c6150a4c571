package c2s

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"parley/internal/limit"
	"parley/xmpp/wire"
)

// Namespaces of BOSH.
const (
	nsBind  = "http://jabber.org/protocol/httpbind" // XEP-0124
	nsXBOSH = "urn:xmpp:xbosh"                      // XEP-0206
)

// What BOSH allows (XEP-0124 §7.2).
const (
	longestWait   = 60 * time.Second  // that a request is held
	inactivity    = 60 * time.Second  // between two requests
	longestPause  = 120 * time.Second // that a client may announce to be away
	shortestPoll  = 1                 // seconds between two empty requests of a client that none is held for
	boshVersion   = 11                // we speak 1.11
	mostHeld      = 1                 // requests that wait for something to be sent
	boshOverhead  = 4 << 10           // bytes of <body/> around a stanza
	answersToKeep = mostHeld + 2      // so that a broken connection loses none
)

// ServeBOSH is the door at /http-bind (XEP-0124, XEP-0206).
func (srv *Server) ServeBOSH(w http.ResponseWriter, r *http.Request) {
	if !srv.crossOrigin(w, r, "bosh.abuse") {
		return
	}
	h := w.Header()
	switch r.Method {
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Content-Type")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	case http.MethodPost:
	default:
		h.Set("Allow", "POST, OPTIONS")
		http.Error(w, "only POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(srv.bodyLimits().Size)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		srv.rec.Reject(wire.ErrSize.Event, limit.Source(remoteAddr(r)).String())
		h.Set("Connection", "close")
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		srv.rec.Reject("conn.timeout", limit.Source(remoteAddr(r)).String())
		http.Error(w, "too slow", http.StatusRequestTimeout)
		return
	case err != nil:
		return // nobody reads an answer
	}
	q, err := readBody(body, srv.bodyLimits())
	if err != nil {
		srv.badBody(w, r, err)
		return
	}
	if q.sid == "" {
		srv.openBOSH(w, r, q)
		return
	}
	b := srv.findBOSH(q.sid)
	if b == nil || b.secure && r.TLS == nil { // what began under TLS goes on under TLS
		srv.abuse(w, r, "item-not-found", "unknown session")
		return
	}
	b.serve(w, r, q)
}

// bodyLimits are those of a stanza with <body/> around it.
func (srv *Server) bodyLimits() wire.Limits {
	l := srv.cfg.After.XML
	l.Size += boshOverhead
	l.Depth++
	return l
}

// BodyBytes is the largest request of BOSH.
func (srv *Server) BodyBytes() int64 { return int64(srv.bodyLimits().Size) }

// bodyRequest is a <body/> from the client.
type bodyRequest struct {
	sid       string
	rid       int64
	content   []byte // the elements in it, as they were written
	hash      [sha256.Size]byte
	terminate bool
	restart   bool // XEP-0206 §5
	pause     time.Duration
	key       string // XEP-0124 §15
	newKey    string

	// Of the request that begins a session.
	to, from, version string
	wait              time.Duration
	hold              int
	minor             int // of the protocol's version 1.x, -1 if it is not said
}

var errBody = errors.New("c2s: not a body element of BOSH")

// readBody takes a <body/> apart (XEP-0124 §7.1, §8).
func readBody(b []byte, limits wire.Limits) (*bodyRequest, error) {
	scan := wire.Scanner{Limits: limits}
	n, p, err := scan.Next(b)
	switch {
	case err == wire.ErrIncomplete:
		return nil, errBody
	case err != nil:
		return nil, err
	case !isElem(p, "body", nsBind) || len(strings.TrimLeft(string(b[n:]), " \t\r\n")) > 0:
		return nil, errBody
	}
	e := p.Elem()
	q := &bodyRequest{
		sid: e.AttrString("sid"), content: p.Inner(), hash: sha256.Sum256(b), terminate: e.AttrString("type") == "terminate",
		restart: isTrue(e.AttrString("xmpp:restart")), key: e.AttrString("key"), newKey: e.AttrString("newkey"),
		to: e.AttrString("to"), from: e.AttrString("from"), version: e.AttrString("xmpp:version"), minor: -1,
	}
	rid, _ := e.Attr("rid")
	var ok bool
	if q.rid, ok = parseNumber(rid); !ok || q.rid == 0 {
		return nil, errBody
	}
	seconds := func(name string) (time.Duration, bool) {
		v, ok := e.Attr(name)
		if !ok {
			return 0, true
		}
		n, err := strconv.ParseUint(string(v), 10, 31)
		return time.Duration(n) * time.Second, err == nil
	}
	hold, ok1 := seconds("hold")
	var ok2, ok3 bool
	q.wait, ok2 = seconds("wait")
	q.pause, ok3 = seconds("pause")
	if !ok1 || !ok2 || !ok3 {
		return nil, errBody
	}
	q.hold = int(min(hold/time.Second, mostHeld))
	if major, minor, ok := strings.Cut(e.AttrString("ver"), "."); ok && major == "1" {
		if q.minor, err = strconv.Atoi(minor); err != nil || q.minor < 0 {
			return nil, errBody
		}
	}
	return q, nil
}

// badBody answers what is no request of BOSH.
func (srv *Server) badBody(w http.ResponseWriter, r *http.Request, err error) {
	event := "bosh.abuse"
	var v *wire.Violation
	if errors.As(err, &v) && v.Event != "" {
		event = v.Event
	}
	srv.rec.Reject(event, limit.Source(remoteAddr(r)).String(), "text", err.Error())
	w.Header().Set("Connection", "close")
	writeBody(w, bodyEnd("bad-request", nil))
}

// abuse answers a request that belongs to no session, or not to the one that it names, which goes on (hardening HC7).
func (srv *Server) abuse(w http.ResponseWriter, r *http.Request, condition, text string) {
	srv.rec.Reject("bosh.abuse", limit.Source(remoteAddr(r)).String(), "text", text)
	w.Header().Set("Connection", "close") // so that guesses count as connections
	writeBody(w, bodyEnd(condition, nil))
}

func writeBody(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/xml; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// bodyEnd is the <body/> that ends a session (XEP-0124 §17.2).
func bodyEnd(condition string, content []byte) []byte {
	dst := []byte("<body xmlns='" + nsBind + "' xmlns:stream='" + wire.NSStream + "' type='terminate'")
	if condition != "" {
		dst = wire.AppendAttr(dst, "condition", condition)
	}
	if len(content) == 0 {
		return append(dst, "/>"...)
	}
	return append(append(append(dst, '>'), content...), "</body>"...)
}

// openBOSH begins a session (XEP-0124 §7).
func (srv *Server) openBOSH(w http.ResponseWriter, r *http.Request, q *bodyRequest) {
	remote := remoteAddr(r)
	source := limit.Source(remote)
	refuse := func(status int, event, text string) {
		srv.rec.Reject(event, source.String())
		w.Header().Set("Retry-After", "5")
		http.Error(w, text, status)
	}
	url := urlOf(r)
	if srv.full() && srv.recall(url.Previous) == nil {
		refuse(http.StatusServiceUnavailable, "limit.process", "the server is full")
		return
	}
	if !srv.sources.Open(source, time.Now()) {
		refuse(http.StatusTooManyRequests, "limit.conn", "too many connections")
		return
	}
	b := newBodies(srv, q, r.TLS != nil)
	l := makeLink(srv, remote)
	l.nc, l.low, l.bosh, l.in.c = b, b, b, b
	b.link = l
	srv.keepBOSH(b)
	if !srv.begin(l) {
		srv.sources.Close(source)
		srv.dropBOSH(b)
		writeBody(w, bodyEnd("system-shutdown", nil))
		return
	}
	go l.start(url, false)
	b.serve(w, r, q)
}

func urlOf(r *http.Request) URL {
	q := r.URL.Query()
	return URL{Room: q.Get("room"), Token: q.Get("token"), Prefix: q.Get("prefix"), Previous: q.Get("previd")}
}

func (srv *Server) findBOSH(sid string) *bodies {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.bosh[sid]
}

func (srv *Server) keepBOSH(b *bodies) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.bosh[b.sid] = b
}

func (srv *Server) dropBOSH(b *bodies) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.bosh, b.sid)
}

// crossOrigin lets pages of allowed origins read the answer, and reports false, having answered, to others.
func (srv *Server) crossOrigin(w http.ResponseWriter, r *http.Request, event string) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if !srv.originAllowed(origin, r) {
		srv.rec.Reject(event, limit.Source(remoteAddr(r)).String(), "origin", origin)
		http.Error(w, "this origin may not connect", http.StatusForbidden)
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Vary", "Origin")
	return true
}

func newSID() string { return rand.Text() }

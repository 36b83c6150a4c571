package jitsipeer

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"parley/xmpp/wire"

	"github.com/coder/websocket"
)

const (
	nsSASL   = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind   = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSM     = "urn:xmpp:sm:3"
	nsFrame  = "urn:ietf:params:xml:ns:xmpp-framing"
	nsStanza = "urn:ietf:params:xml:ns:xmpp-stanzas"

	elementLimit = 4 << 20 // bytes of an element
	askEvery     = 5       // stanzas between two requests for an acknowledgement, as of the Jitsi client
	answerTime   = 10 * time.Second
)

// errEnded says that the stream is over for good.
var errEnded = errors.New("jitsipeer: the stream has ended")

// StanzaError is an answer of type error.
type StanzaError struct {
	Condition string
	Text      string
	XML       string // the whole stanza
}

func (e *StanzaError) Error() string { return "jitsipeer: " + e.Condition + ": " + e.Text }

// stream is an XMPP session over WebSocket (RFC 7395) that resumes when its socket breaks (XEP-0198).
type stream struct {
	url     *url.URL
	domain  string
	back    time.Duration      // how long it waits before it connects again
	handle  func(e wire.Elem)  // takes presence, messages and requests; the element lives on
	changed func(state string) // StreamBroken, StreamResumed, StreamEnded

	mu      sync.Mutex // guards what follows
	ws      *websocket.Conn
	jid     string
	id      string // of the resumption, "" without
	count   bool   // stanzas are counted
	in, out uint32 // stanzas handled, stanzas sent
	acked   uint32 // of those sent
	unacked [][]byte
	waiting map[string]chan wire.Elem
	number  uint64
	ended   bool
}

// open logs in and binds, and runs until the context ends or the stream cannot go on. The channel is closed then.
func (s *stream) open(ctx context.Context) (done <-chan struct{}, err error) {
	s.waiting = make(map[string]chan wire.Elem)
	first, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	ws, err := s.login(first, "")
	if err != nil {
		return nil, err
	}
	if err := s.bind(first, ws); err != nil {
		ws.CloseNow()
		return nil, err
	}
	s.ws = ws
	c := make(chan struct{})
	go func() {
		defer close(c)
		s.run(ctx)
	}()
	return c, nil
}

// login opens a socket and authenticates. The features after that are read.
func (s *stream) login(ctx context.Context, previous string) (ws *websocket.Conn, err error) {
	u := *s.url
	if previous != "" {
		q := u.Query()
		q.Set("previd", previous)
		u.RawQuery = q.Encode()
	}
	ws, _, err = websocket.Dial(ctx, u.String(), &websocket.DialOptions{Subprotocols: []string{"xmpp"}, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil, fmt.Errorf("jitsipeer: %w", err)
	}
	ws.SetReadLimit(elementLimit)
	defer func(opened *websocket.Conn) {
		if err != nil {
			opened.CloseNow()
		}
	}(ws)
	for _, step := range []struct{ send, want string }{
		{"<open xmlns='" + nsFrame + "' to='" + s.domain + "' version='1.0'/>", "features"},
		{"<auth xmlns='" + nsSASL + "' mechanism='ANONYMOUS'/>", "success"},
		{"<open xmlns='" + nsFrame + "' to='" + s.domain + "' version='1.0'/>", "features"},
	} {
		if err := ws.Write(ctx, websocket.MessageText, []byte(step.send)); err != nil {
			return nil, fmt.Errorf("jitsipeer: login: %w", err)
		}
		if _, err := expect(ctx, ws, step.want); err != nil {
			return nil, err
		}
	}
	return ws, nil
}

// expect reads until an element of this name comes.
func expect(ctx context.Context, ws *websocket.Conn, name string) (wire.Elem, error) {
	for {
		_, b, err := ws.Read(ctx)
		if err != nil {
			return wire.Elem{}, fmt.Errorf("jitsipeer: no <%s/>: %w", name, err)
		}
		switch e := wire.ParseElem(b); string(e.Local()) {
		case name:
			return e, nil
		case "failure", "failed", "error", "close":
			return e, fmt.Errorf("jitsipeer: no <%s/> but %s", name, b)
		}
	}
}

// bind gets an address and turns stream management on.
func (s *stream) bind(ctx context.Context, ws *websocket.Conn) error {
	if err := ws.Write(ctx, websocket.MessageText, []byte("<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='"+nsBind+"'/></iq>")); err != nil {
		return err
	}
	e, err := expect(ctx, ws, "iq")
	if err != nil {
		return err
	}
	if s.jid = e.Child("bind", nsBind).Child("jid", nsBind).Text(); s.jid == "" {
		return fmt.Errorf("jitsipeer: bind: %s", e.Raw())
	}
	if err := ws.Write(ctx, websocket.MessageText, []byte("<enable xmlns='"+nsSM+"' resume='true'/>")); err != nil {
		return err
	}
	if e, err = expect(ctx, ws, "enabled"); err != nil {
		return err
	}
	s.id, s.count = e.AttrString("id"), true
	return nil
}

// run reads until the end, over as many sockets as it takes.
func (s *stream) run(ctx context.Context) {
	defer s.end()
	for {
		s.read(ctx)
		if ctx.Err() != nil || s.over() || s.id == "" {
			return
		}
		s.changed(StreamBroken)
		if s.resume(ctx) != nil {
			return
		}
		s.changed(StreamResumed)
	}
}

func (s *stream) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// end gives up.
func (s *stream) end() {
	s.mu.Lock()
	s.ended = true
	ws, waiting := s.ws, s.waiting
	s.ws, s.waiting = nil, nil
	s.mu.Unlock()
	if ws != nil {
		ws.CloseNow()
	}
	for _, c := range waiting {
		close(c)
	}
	s.changed(StreamEnded)
}

// read handles what comes over one socket.
func (s *stream) read(ctx context.Context) {
	s.mu.Lock()
	ws := s.ws
	s.mu.Unlock()
	if ws == nil {
		return
	}
	defer ws.CloseNow()
	for {
		_, b, err := ws.Read(ctx)
		if err != nil {
			return
		}
		switch e := wire.ParseElem(b); string(e.Local()) {
		case "r":
			s.mu.Lock()
			h := s.in
			s.mu.Unlock()
			ws.Write(ctx, websocket.MessageText, []byte("<a xmlns='"+nsSM+"' h='"+strconv.FormatUint(uint64(h), 10)+"'/>"))
		case "a":
			s.acknowledged(e.AttrString("h"))
		case "iq", "presence", "message":
			s.mu.Lock()
			s.in++
			s.mu.Unlock()
			if !s.answer(e) {
				s.handle(e)
			}
		case "close", "error":
			s.mu.Lock()
			s.ended = s.ended || string(e.Local()) == "error" // a stream error ends the session
			s.mu.Unlock()
			return
		}
	}
}

// acknowledged forgets what the server has handled.
func (s *stream) acknowledged(h string) bool {
	n, err := strconv.ParseUint(h, 10, 32)
	s.mu.Lock()
	defer s.mu.Unlock()
	done := uint32(n) - s.acked
	if err != nil || int(done) > len(s.unacked) {
		return false // it has handled more than there was
	}
	s.unacked = slices.Delete(s.unacked, 0, int(done))
	s.acked = uint32(n)
	return true
}

// answer hands a result or error to who waits for it.
func (s *stream) answer(e wire.Elem) bool {
	typ := e.AttrString("type")
	if string(e.Local()) != "iq" || typ != "result" && typ != "error" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.waiting[e.AttrString("id")]; ok {
		delete(s.waiting, e.AttrString("id"))
		c <- e
	}
	return true
}

// resume connects again until the session goes on, or the server does not know it any more.
func (s *stream) resume(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.back):
		}
		once, stop := context.WithTimeout(ctx, answerTime)
		ws, err := s.login(once, s.id)
		if err == nil {
			err = s.revive(once, ws)
		}
		stop()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
	}
}

// revive resumes the session over a new socket and sends again what was not handled.
func (s *stream) revive(ctx context.Context, ws *websocket.Conn) error {
	s.mu.Lock()
	h := s.in
	s.mu.Unlock()
	resume := "<resume xmlns='" + nsSM + "' h='" + strconv.FormatUint(uint64(h), 10) + "' previd='" + s.id + "'/>"
	if err := ws.Write(ctx, websocket.MessageText, []byte(resume)); err != nil {
		ws.CloseNow()
		return err
	}
	e, err := expect(ctx, ws, "resumed")
	if err != nil {
		ws.CloseNow()
		if string(e.Local()) == "failed" {
			return errEnded
		}
		return err
	}
	if !s.acknowledged(e.AttrString("h")) {
		ws.CloseNow()
		return errEnded
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.unacked { // under the lock, so that nothing overtakes it
		if err := ws.Write(ctx, websocket.MessageText, b); err != nil {
			ws.CloseNow()
			return err
		}
	}
	s.ws = ws
	return nil
}

// send sends a stanza; while the socket is broken it waits for the resumption.
func (s *stream) send(stanza string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errEnded
	}
	b := []byte(stanza)
	if s.count {
		s.out++
		s.unacked = append(s.unacked, b)
		if s.out%askEvery == 0 {
			defer s.write([]byte("<r xmlns='" + nsSM + "'/>"))
		}
	}
	s.write(b)
	return nil
}

// write writes to the socket, if there is one; that it breaks is found by the reader. The caller holds mu, which keeps the
// order.
func (s *stream) write(b []byte) {
	if s.ws == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), answerTime)
	defer stop()
	s.ws.Write(ctx, websocket.MessageText, b)
}

// ask sends a request and waits for the answer. An answer of type error is a *StanzaError.
func (s *stream) ask(ctx context.Context, typ, to, payload string) (wire.Elem, error) {
	c := make(chan wire.Elem, 1)
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return wire.Elem{}, errEnded
	}
	s.number++
	id := "p" + strconv.FormatUint(s.number, 10)
	s.waiting[id] = c
	s.mu.Unlock()
	b := append([]byte("<iq xmlns='jabber:client' id='"+id+"' type='"+typ+"'"), wire.AppendAttr(nil, "to", to)...)
	if err := s.send(string(b) + ">" + payload + "</iq>"); err != nil {
		return wire.Elem{}, err
	}
	select {
	case e, ok := <-c:
		switch {
		case !ok:
			return e, errEnded
		case e.AttrString("type") == "error":
			return e, stanzaError(e)
		}
		return e, nil
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
		return wire.Elem{}, fmt.Errorf("jitsipeer: no answer to %.80s: %w", payload, ctx.Err())
	}
}

func stanzaError(e wire.Elem) *StanzaError {
	err := &StanzaError{Condition: "undefined-condition", XML: string(e.Raw())}
	for it := e.Child("error", "jabber:client").Children(); it.Next(); {
		if string(it.Elem.NS()) != nsStanza {
			continue
		}
		if local := string(it.Elem.Local()); local == "text" {
			err.Text = it.Elem.Text()
		} else {
			err.Condition = local
		}
	}
	return err
}

// cut breaks the socket as a network does.
func (s *stream) cut() {
	s.mu.Lock()
	ws := s.ws
	s.mu.Unlock()
	if ws != nil {
		ws.CloseNow()
	}
}

// close ends the session.
func (s *stream) close() {
	s.mu.Lock()
	s.ended = true
	s.write([]byte("<close xmlns='" + nsFrame + "'/>"))
	ws := s.ws
	s.mu.Unlock()
	if ws != nil {
		ws.CloseNow()
	}
}

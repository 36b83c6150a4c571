package c2s

import (
	"crypto/rand"
	"strconv"
	"strings"

	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Inline is something that a client may have turned on while it binds (XEP-0386 §4.2). It is called when the session is
// bound and before anything reaches the client, in the reader's goroutine, and returns what <bound/> says of it, complete
// XML or nothing.
type Inline func(s route.Sender, request wire.Elem) (answer string)

// inline is an Inline with the element that asks for it.
type inline struct {
	local, ns string
	do        Inline
}

// Inline registers what other packages turn on. It is called before the first client.
func (srv *Server) Inline(local, ns string, do Inline) {
	srv.inlines = append(srv.inlines, inline{local, ns, do})
}

// DescribeArchive registers who says what is in an account's archive when a session is bound (XEP-0386 §4.2), as a complete
// element or nothing. It is called before the first client; describe may wait for the store.
func (srv *Server) DescribeArchive(describe func(account wire.Addr) string) { srv.archive = describe }

// inlineNames are the features that may be turned on inline.
func (srv *Server) inlineNames() []string {
	names := []string{NSClientInfo, NSResumption}
	for _, i := range srv.inlines {
		names = append(names, i.ns)
	}
	return names
}

// bind is RFC 6120 §7.
func (n *negotiation) bind(p *wire.Packet) (*Session, error) {
	if err := n.room(); err != nil {
		return nil, err
	}
	resource := p.Elem().Child("bind", wire.NSBind).Child("resource", wire.NSBind).Text()
	if resource == "" || n.identity.Anonymous {
		resource = strings.ToLower(rand.Text()[:12])
	}
	full, err := n.identity.Addr.WithResource(resource)
	if err != nil {
		return nil, n.writeStanza(badResource.ErrorTo(p, ""))
	}
	s := n.session(full)
	if e := n.enter(s); e != nil {
		return nil, n.writeStanza(e.ErrorTo(p, ""))
	}
	body := append([]byte("<bind xmlns='"+wire.NSBind+"'><jid>"), wire.AppendEscaped(nil, string(full))...)
	return s, n.publish(s, n.writeStanza(p.Result("", append(body, "</jid></bind>"...))))
}

// room reports that the process may take a session. In a full process only those come back that were there.
func (n *negotiation) room() error {
	if n.returns && n.srv.full() {
		n.reject("limit.process", "")
		return errFull
	}
	return nil
}

func (n *negotiation) session(full wire.Addr) *Session {
	return &Session{
		srv: n.srv, addr: full, guest: n.identity.Anonymous, claims: n.identity.Claims, source: n.source,
		room: n.url.Room, prefix: n.url.Prefix, link: n.link,
	}
}

// enter makes a session known. From then on stanzas are queued for it; they are written once publish is called, so that
// the client hears first that it is bound.
func (n *negotiation) enter(s *Session) *wire.Error {
	if !s.guest {
		defer n.srv.router.Expect(s.addr.Bare())()
	}
	n.writing = true
	e := n.srv.add(s)
	if e != nil {
		n.writing = false
	}
	return e
}

// publish lets others write to the session's connection, after what was written to it with the error err. A session that
// the client could not be told of ends.
func (n *negotiation) publish(s *Session, err error) error {
	s.mu.Lock()
	n.writing = false
	s.mu.Unlock()
	if err != nil {
		s.end(err, false)
	}
	return err
}

// longestTag bounds what a client adds to its resource, in bytes.
const longestTag = 64

// bindInline is XEP-0386. Without a session, bound says why the client has none.
func (n *negotiation) bindInline(r *request) (s *Session, bound string, err error) {
	if err := n.room(); err != nil {
		return nil, "", err
	}
	tag := ""
	if !n.identity.Anonymous {
		tag = r.bind.Child("tag", NSBind2).Text()
	}
	made := n.srv.auth.Resource(n.identity, r.client, tag)
	full, err := n.identity.Addr.WithResource(tag + "/" + made)
	if tag == "" || len(tag) > longestTag || err != nil {
		if full, err = n.identity.Addr.WithResource(made); err != nil {
			return nil, "", err
		}
	}
	s = n.session(full)
	s.modern, s.device = true, n.srv.auth.Device(n.identity, r.client)
	enable := r.bind.Child("enable", NSResumption)
	answer := ""
	if enable.Ok() {
		answer = s.countLocked(enable) // nobody else has it yet
	}
	s.inactive = r.bind.Child("inactive", NSClientInfo).Ok()
	if e := n.enter(s); e != nil {
		return nil, "<failed xmlns='" + NSBind2 + "'><" + string(e.Condition) + " xmlns='" + wire.NSStanzas + "'/></failed>", nil
	}
	if enable.Ok() {
		s.keepInline()
	}
	bound = "<bound xmlns='" + NSBind2 + "'>"
	if n.srv.archive != nil && !s.guest {
		bound += n.srv.archive(n.identity.Addr)
	}
	bound += answer
	for it := r.bind.Children(); it.Next(); {
		for _, i := range n.srv.inlines {
			if it.Elem.Is(i.local, i.ns) {
				bound += i.do(s, it.Elem)
			}
		}
	}
	return s, bound + "</bound>", nil
}

// keepInline makes a session that is bound and counts already one that its client may come back to.
func (s *Session) keepInline() {
	s.mu.Lock()
	sm := s.sm
	if sm.keep > 0 && !s.ended {
		q := s.queue
		s.queue = queue{}
		s.keepLocked()
		s.queue = q
		for i := range q.Len() { // what came since it is bound
			s.notePush(q.At(i))
		}
	}
	s.mu.Unlock()
	if sm.keep > 0 {
		s.srv.remember(sm.id, s)
	}
}

// resumeSession is XEP-0198 §5 for a client that logged in by RFC 6120.
func (n *negotiation) resumeSession(p *wire.Packet) (*Session, error) {
	s, failed, err := n.takeUp(p.Elem(), func(_ *Session, resumed string) string { return resumed })
	if s == nil && err == nil {
		err = n.write(failed)
	}
	return s, err
}

// takeUp resumes a session. Answer makes the element that tells the client, of <resumed/>; nothing is written before it.
// Without a session and without an error, failed is what the client is told.
func (n *negotiation) takeUp(resume wire.Elem, answer func(s *Session, resumed string) string) (_ *Session, failed string, err error) {
	h, err := countOf(resume)
	if err != nil {
		return nil, "", err
	}
	s := n.srv.recall(resume.AttrString("previd"))
	// A guest's address is new at each login; what shows that it is the same guest is the secret previd.
	if s == nil || s.guest != n.identity.Anonymous || !s.guest && s.addr.Bare() != n.identity.Addr {
		n.reject("sm.reject", "unknown session")
		return nil, failedElement("item-not-found", nil), nil
	}
	if n.identity.Claims != nil && s.claims != nil && !sameGrant(n.identity.Claims, s.claims) {
		n.reject("sm.reject", "the token is for something else")
		return nil, failedElement("not-authorized", nil), nil
	}
	ok, err := s.resume(n.link, h, answer)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		n.reject("sm.reject", "session cannot be resumed")
		return nil, failedElement("item-not-found", nil), nil
	}
	return s, "", nil
}

// Modern reports that the client bound its session by XEP-0386: it fetches from the archive what
// it missed until then.
func (s *Session) Modern() bool { return s.modern }

// parseNumber reads a number of an attribute, up to 2^53.
func parseNumber(v []byte) (int64, bool) {
	n, err := strconv.ParseUint(string(v), 10, 53)
	return int64(n), err == nil
}

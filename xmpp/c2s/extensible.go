package c2s

import (
	"context"
	"errors"
	"time"

	"parley/xmpp/auth"
	"parley/xmpp/wire"
)

// Namespaces of the newer way to log in.
const (
	NSExtensible = "urn:xmpp:sasl:2" // XEP-0388
	NSBind2      = "urn:xmpp:bind:0" // XEP-0386
	NSFast       = "urn:xmpp:fast:0" // XEP-0484
)

// request is an <authenticate/> (XEP-0388 §2.3): all that the client wants, in one element.
type request struct {
	mechanism string
	initial   []byte // base64; nil if there is none
	client    string // id of the user-agent
	fast      *auth.Fast
	token     string    // mechanism that a token is asked for, "" if none is
	resume    wire.Elem // XEP-0198 §9.2
	bind      wire.Elem // XEP-0386 §4.2
}

var errFastCount = &auth.Failure{Condition: "malformed-request", Text: "the attribute count is not a positive number"}

// readRequest takes an <authenticate/> apart. The packet must outlive the request.
func readRequest(p *wire.Packet) (*request, error) {
	e := p.Elem()
	r := &request{mechanism: e.AttrString("mechanism")}
	for it := e.Children(); it.Next(); {
		switch c := it.Elem; {
		case c.Is("initial-response", NSExtensible):
			r.initial = append([]byte{}, c.Text()...)
		case c.Is("user-agent", NSExtensible):
			r.client = c.AttrString("id")
		case c.Is("fast", NSFast):
			f := &auth.Fast{Invalidate: isTrue(c.AttrString("invalidate"))}
			if v, ok := c.Attr("count"); ok {
				n, ok := parseNumber(v)
				if !ok || n == 0 {
					return nil, errFastCount
				}
				f.Count = n
			}
			r.fast = f
		case c.Is("request-token", NSFast):
			r.token = c.AttrString("mechanism")
		case c.Is("resume", NSResumption):
			r.resume = c
		case c.Is("bind", NSBind2):
			r.bind = c
		}
	}
	if r.fast != nil {
		r.fast.Client = r.client
	}
	return r, nil
}

// isTrue is xs:boolean.
func isTrue(s string) bool { return s == "true" || s == "1" }

// authenticate runs one exchange of the extensible profile (XEP-0388), and at its end does what else was asked for. The
// session is nil if there is none yet.
func (n *negotiation) authenticate(p *wire.Packet) (*Session, error) {
	if n.needsTLS() || !n.sasl.Extensible() {
		return nil, n.refuse(&auth.Failure{Condition: "encryption-required"}, NSExtensible)
	}
	r, err := readRequest(p.Clone())
	if err != nil {
		n.reject("auth.malformed", "")
		return nil, n.refuse(err, NSExtensible)
	}
	n.sasl.Claims(n.from)
	var x *auth.Exchange
	if r.fast != nil {
		x, err = n.sasl.BeginFast(r.mechanism, *r.fast)
	} else {
		x, err = n.sasl.Begin(r.mechanism)
	}
	for text := r.initial; err == nil; {
		ctx, cancel := context.WithTimeout(context.Background(), n.srv.cfg.LoginTimeout)
		var reply []byte
		var done bool
		if reply, done, err = x.StepData(ctx, text); done && err == nil {
			s, err := n.welcome(ctx, x, r, reply)
			cancel()
			return s, err
		}
		cancel()
		if err != nil {
			break
		}
		if err := n.write("<challenge xmlns='" + NSExtensible + "'>" + string(reply) + "</challenge>"); err != nil {
			return nil, err
		}
		if p, err = n.next(); err != nil {
			return nil, err
		}
		switch {
		case isElem(p, "abort", NSExtensible):
			return nil, n.refuse(x.Abort(), NSExtensible)
		case !isElem(p, "response", NSExtensible):
			return nil, errLoginFirst // XEP-0388 §2.4
		}
		text = append([]byte{}, p.Elem().Text()...)
	}
	return nil, n.refuse(err, NSExtensible)
}

// welcome ends a login (XEP-0388 §2.6.1): what was asked for besides is done in the order of XEP-0386 §4.2, and then told
// with <success/> all at once. Nothing comes to the client before that.
func (n *negotiation) welcome(ctx context.Context, x *auth.Exchange, r *request, data []byte) (*Session, error) {
	n.identity, n.known = x.Identity(), true
	token, err := x.Token(ctx, r.client, r.token)
	if err != nil {
		token = auth.FastToken{} // the client has what it logged in with
	}
	n.admitted()
	failed := ""
	if r.resume.Ok() {
		s, refusal, err := n.takeUp(r.resume, func(s *Session, resumed string) string {
			return success(data, s.addr, token, resumed)
		})
		if s != nil || err != nil {
			return s, err
		}
		failed = refusal
	}
	if !r.bind.Ok() {
		return nil, n.say(success(data, n.identity.Addr, token, failed), n.features(nil))
	}
	s, bound, err := n.bindInline(r)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, n.say(success(data, n.identity.Addr, token, failed+bound), n.features(nil))
	}
	return s, n.publish(s, n.say(success(data, s.addr, token, failed+bound), n.features(s)))
}

// say writes elements at once; before the session is bound, or while nobody else may write to it.
func (n *negotiation) say(elements ...string) error {
	var out []byte
	for _, e := range elements {
		out = n.appendElement(out, e)
	}
	_, err := n.nc.Write(out)
	return err
}

func success(data []byte, addr wire.Addr, token auth.FastToken, more string) string {
	dst := append(make([]byte, 0, 512), "<success xmlns='"+NSExtensible+"'>"...)
	if data != nil {
		dst = append(append(append(dst, "<additional-data>"...), data...), "</additional-data>"...)
	}
	dst = wire.AppendElem(dst, "authorization-identifier", string(addr))
	dst = append(dst, more...)
	if token.Text != "" {
		dst = append(dst, "<token xmlns='"+NSFast+"'"...)
		dst = wire.AppendAttr(dst, "token", token.Text)
		dst = append(wire.AppendAttr(dst, "expiry", token.Expires.UTC().Format(time.RFC3339)), "/>"...)
	}
	return string(append(dst, "</success>"...))
}

// appendExtensible appends the feature of XEP-0388, with all that may be asked for inline.
func (n *negotiation) appendExtensible(f []byte) []byte {
	if !n.sasl.Extensible() {
		return f
	}
	f = append(f, "<authentication xmlns='"+NSExtensible+"'>"...)
	for _, m := range n.sasl.Mechanisms() {
		f = wire.AppendElem(f, "mechanism", m)
	}
	f = append(f, "<inline><sm xmlns='"+NSResumption+"'/><bind xmlns='"+NSBind2+"'><inline>"...)
	for _, ns := range n.srv.inlineNames() {
		f = append(wire.AppendAttr(append(f, "<feature"...), "var", ns), "/>"...)
	}
	f = append(f, "</inline></bind>"...)
	if fast := n.sasl.FastMechanisms(); len(fast) > 0 {
		f = append(f, "<fast xmlns='"+NSFast+"'>"...)
		for _, m := range fast {
			f = wire.AppendElem(f, "mechanism", m)
		}
		f = append(f, "</fast>"...)
	}
	return append(f, "</inline></authentication>"...)
}

// nsCode qualifies why a token was refused, as in the errors of rooms.
const nsCode = "urn:parley:muc:0"

// refuse answers a failed login in the profile that it was tried with; after too many the stream ends.
func (n *negotiation) refuse(err error, profile string) error {
	var f *auth.Failure
	if !errors.As(err, &f) {
		return err
	}
	if f.Delay > 0 {
		n.low.SetReadDeadline(n.srv.loginDeadline(time.Now()).Add(f.Delay))
		time.Sleep(f.Delay)
	}
	out := "<failure xmlns='" + profile + "'><" + f.Condition
	if profile != wire.NSSASL {
		out += " xmlns='" + wire.NSSASL + "'"
	}
	out += "/>"
	if f.Text != "" {
		out += "<text xml:lang='en'>" + string(wire.AppendEscaped(nil, f.Text)) + "</text>"
	}
	if f.Code != "" && profile == NSExtensible { // RFC 6120 §6.5 has no place for it: there it stands before the text
		out += "<code xmlns='" + nsCode + "'>" + f.Code + "</code>"
	}
	if err := n.write(out + "</failure>"); err != nil {
		return err
	}
	if f.Close {
		return errTooMany
	}
	return nil
}

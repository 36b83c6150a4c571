package c2s

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"time"

	"parley/internal/limit"
	"parley/internal/store"
	"parley/internal/token"
	"parley/xmpp/auth"
	"parley/xmpp/wire"

	mstream "mellium.im/xmpp/stream"
)

var (
	errHost        = &wire.Violation{Condition: mstream.HostUnknown.Err, Event: "stream.header", Text: "this host is not served here"}
	errAddressing  = &wire.Violation{Condition: mstream.ImproperAddressing.Err, Event: "stream.header", Text: "the attribute to names no host"}
	errVersion     = &wire.Violation{Condition: mstream.UnsupportedVersion.Err, Event: "stream.header", Text: "the version must be 1.0 or higher"}
	errPipelined   = &wire.Violation{Condition: mstream.PolicyViolation.Err, Event: "tls.policy", Text: "nothing may follow <starttls/> before the handshake"}
	errNoTLS       = &wire.Violation{Condition: mstream.PolicyViolation.Err, Event: "tls.policy", Text: "use STARTTLS first"}
	errLoginFirst  = &wire.Violation{Condition: mstream.NotAuthorized.Err, Event: "xml.sequence", Text: "log in first"}
	errBindFirst   = &wire.Violation{Condition: mstream.NotAuthorized.Err, Event: "xml.sequence", Text: "bind a resource first"}
	errTooMany     = &wire.Violation{Condition: mstream.PolicyViolation.Err, Text: "too many failed logins"}
	errSecondLogin = &wire.Violation{Condition: mstream.PolicyViolation.Err, Event: "auth.sequence", Text: "you are logged in already"}
)

// negotiation brings a connection from its first byte to a bound session (RFC 6120 §4.3).
type negotiation struct {
	*link
	url      URL
	secure   bool
	from     string       // whom the header names as the client, in canonical form; not to be believed
	sasl     *auth.Stream // of the stream that is open, before login
	identity auth.Identity
	known    bool          // identity is set
	invite   *store.Invite // that the client has shown, to make an account with
	returns  bool          // the process is full: nothing but a resumption may follow the login
}

// URL is what the address of a WebSocket said (spec: jitsi §2).
type URL struct{ Room, Token, Prefix, Previous string }

// run negotiates. It returns the session that the connection is now bound to, or why there is none.
func (n *negotiation) run() (*Session, error) {
	if n.in.tls != nil {
		if err := n.handshake(); err != nil {
			return nil, err
		}
	}
	if err := n.open(); err != nil {
		return nil, err
	}
	for !n.known {
		p, err := n.next()
		if err != nil {
			return nil, err
		}
		switch {
		case isElem(p, "starttls", wire.NSTLS) && !n.secure && !n.alone() && n.srv.cfg.TLS != nil:
			err = n.startTLS()
		case isElem(p, "auth", wire.NSSASL):
			err = n.login(p)
		case isElem(p, "authenticate", NSExtensible):
			var s *Session
			if s, err = n.authenticate(p); s != nil {
				return s, err
			}
		case asksToRegister(p) && n.registers():
			err = n.register(p)
		case isElem(p, "compress", nsCompress):
			err = n.refuseCompression()
		case n.alone() && isElem(p, "close", wire.NSFraming):
			err = wire.ErrClosed
		case !n.secure && !n.srv.cfg.Insecure && !n.alone():
			err = errNoTLS
		default:
			err = errLoginFirst
		}
		if err != nil {
			return nil, err
		}
	}
	for {
		p, err := n.next()
		if err != nil {
			return nil, err
		}
		s, err := n.bindStep(p)
		if s != nil || err != nil {
			return s, err
		}
	}
}

// admitted gives a client that has logged in what clients may do.
func (n *negotiation) admitted() {
	n.srv.authenticated(n.link)
	n.limits(&n.srv.cfg.After)
}

func isElem(p *wire.Packet, name, ns string) bool {
	return string(p.Name()) == name && string(p.NS()) == ns
}

func (n *negotiation) handshake() error {
	n.in.tls.SetDeadline(time.Now().Add(n.srv.cfg.HandshakeTimeout))
	err := n.in.tls.Handshake()
	if err != nil {
		n.reject("tls.policy", err.Error())
		n.closed.Store(true)
		n.low.Close()
		return errClosedQuietly
	}
	n.in.tls.SetDeadline(time.Time{})
	n.low.SetReadDeadline(n.srv.loginDeadline(n.now))
	n.secure = true
	return nil
}

// errClosedQuietly says that the connection is closed and nobody needs to be told.
var errClosedQuietly = errors.New("c2s: closed")

// open exchanges stream headers and sends the features that go with where the negotiation is.
func (n *negotiation) open() error {
	h, err := n.readHeader()
	if err != nil {
		return err
	}
	n.header = false
	n.from = ""
	if from, err := wire.ParseAddr(h.From); err == nil {
		n.from = string(from.Bare())
	}
	out := n.appendHeader(nil, rand.Text())
	switch host, err := wire.ParseAddr(h.To); {
	case h.To == "":
		return n.sendThen(out, errAddressing)
	case err != nil || string(host) != n.srv.cfg.Domain:
		return n.sendThen(out, errHost)
	case !versionOK(h.Version):
		return n.sendThen(out, errVersion)
	case h.ContentNS != wire.NSClient:
		return n.sendThen(out, errNamespace)
	}
	_, err = n.nc.Write(n.appendElement(out, n.features(nil)))
	return err
}

func (n *negotiation) sendThen(out []byte, why error) error {
	n.nc.Write(out)
	return why
}

// versionOK is RFC 6120 §4.7.5: a major version of 1 or more.
func versionOK(v string) bool {
	major, _, ok := strings.Cut(v, ".")
	num, err := strconv.Atoi(major)
	return ok && err == nil && num >= 1
}

func (n *negotiation) readHeader() (wire.Header, error) {
	if n.alone() {
		p, err := n.next()
		if err != nil {
			return wire.Header{}, err
		}
		if !isElem(p, "open", wire.NSFraming) {
			return wire.Header{}, &wire.Violation{Condition: mstream.InvalidNamespace.Err, Event: "stream.header", Text: "<open/> was expected"}
		}
		return wire.OpenHeader(p), nil
	}
	if n.used > 0 {
		n.in.take(n.used)
		n.used = 0
	}
	for {
		used, h, err := wire.ParseHeader(n.in.bytes(), wire.BeforeAuth)
		if err == nil {
			n.in.take(used)
			return h, nil
		}
		if err != wire.ErrIncomplete {
			return h, err
		}
		if len(n.in.bytes()) > wire.BeforeAuth.Size {
			return h, wire.ErrSize
		}
		if err := n.more(); err != nil {
			return h, err
		}
	}
}

// features lists what may come next (RFC 6120 §4.3.2); s is the client's session, if it has one.
func (n *negotiation) features(s *Session) string {
	f := []byte("<stream:features")
	if n.alone() {
		f = append(f, " xmlns='"+wire.NSClient+"' xmlns:stream='"+wire.NSStream+"'"...)
	}
	f = append(f, '>')
	if n.known {
		if s == nil {
			f = append(f, "<bind xmlns='"+wire.NSBind+"'/>"...)
		}
		if s == nil || s.sm == nil {
			f = append(f, "<sm xmlns='"+NSResumption+"'/>"...)
		}
		f = append(f, "<csi xmlns='"+NSClientInfo+"'/>"...)
		f = append(f, n.srv.cfg.Caps...)
	} else {
		if !n.secure && !n.alone() && n.srv.cfg.TLS != nil {
			f = append(f, "<starttls xmlns='"+wire.NSTLS+"'>"...)
			if !n.srv.cfg.Insecure {
				f = append(f, "<required/>"...)
			}
			f = append(f, "</starttls>"...)
		}
		f = n.appendMechanisms(f)
		f = n.appendRegister(f)
	}
	f = append(f, "<limits xmlns='"+NSLimits+"'><max-bytes>"+strconv.Itoa(n.scan.Limits.Size)+"</max-bytes><idle-seconds>"...)
	f = append(f, strconv.Itoa(int(n.srv.cfg.IdleTimeout/time.Second))+"</idle-seconds></limits></stream:features>"...)
	return string(f)
}

func (n *negotiation) appendMechanisms(f []byte) []byte {
	n.sasl = n.srv.auth.Stream(n.channel())
	mechanisms := n.sasl.Mechanisms()
	if len(mechanisms) == 0 || n.needsTLS() {
		return f
	}
	f = append(f, "<mechanisms xmlns='"+wire.NSSASL+"'>"...)
	for _, m := range mechanisms {
		f = wire.AppendElem(f, "mechanism", m)
	}
	f = n.appendExtensible(append(f, "</mechanisms>"...))
	if bindings := n.sasl.ChannelBindings(); len(bindings) > 0 {
		f = append(f, "<sasl-channel-binding xmlns='"+NSBindings+"'>"...)
		for _, b := range bindings {
			f = append(wire.AppendAttr(append(f, "<channel-binding"...), "type", b), "/>"...)
		}
		f = append(f, "</sasl-channel-binding>"...)
	}
	return f
}

// needsTLS reports that nothing but STARTTLS may come next.
func (n *negotiation) needsTLS() bool { return !n.secure && !n.alone() && !n.srv.cfg.Insecure }

// channel tells the mechanisms what they run over.
func (n *negotiation) channel() auth.Channel {
	ch := auth.Channel{Secure: n.secure, Source: n.source, Token: n.url.Token}
	if n.in.tls != nil {
		state := n.in.tls.ConnectionState()
		ch.Bindings = auth.Bindings(&state, n.srv.leaf(&state))
	}
	return ch
}

// startTLS upgrades the connection (RFC 6120 §5).
func (n *negotiation) startTLS() error {
	n.in.take(n.used)
	n.used = 0
	if len(n.in.bytes()) > 0 {
		return errPipelined // RFC 6120 §5.4.3.3: injected text must not be read as if it came over TLS
	}
	if err := n.write("<proceed xmlns='" + wire.NSTLS + "'/>"); err != nil {
		return err
	}
	over := n.low.(*conn).startTLS(n.srv.cfg.TLS)
	n.nc, n.in.tls = over, over
	if err := n.handshake(); err != nil {
		return err
	}
	return n.open()
}

// login runs one SASL exchange (RFC 6120 §6.4). A refusal is no error as long as the stream goes on.
func (n *negotiation) login(p *wire.Packet) error {
	if n.needsTLS() {
		return n.refuse(&auth.Failure{Condition: "encryption-required"}, wire.NSSASL)
	}
	x, err := n.sasl.Begin(p.Elem().AttrString("mechanism"))
	for err == nil {
		var reply []byte
		var done bool
		ctx, cancel := context.WithTimeout(context.Background(), n.srv.cfg.LoginTimeout)
		reply, done, err = x.StepText(ctx, []byte(p.Elem().Text()))
		cancel()
		switch {
		case err != nil:
			return n.refuse(err, wire.NSSASL)
		case done:
			n.identity, n.known = x.Identity(), true
			if err := n.write("<success xmlns='" + wire.NSSASL + "'>" + string(reply) + "</success>"); err != nil {
				return err
			}
			n.admitted()
			return n.open()
		}
		if err := n.write("<challenge xmlns='" + wire.NSSASL + "'>" + string(reply) + "</challenge>"); err != nil {
			return err
		}
		if p, err = n.next(); err != nil {
			return err
		}
		switch {
		case isElem(p, "abort", wire.NSSASL):
			return n.refuse(x.Abort(), wire.NSSASL)
		case !isElem(p, "response", wire.NSSASL):
			return errLoginFirst
		}
	}
	return n.refuse(err, wire.NSSASL)
}

// bindStep handles an element between login and session: bind (RFC 6120 §7) or resume (XEP-0198 §5).
func (n *negotiation) bindStep(p *wire.Packet) (*Session, error) {
	switch {
	case p.Kind == wire.IQ && string(p.Type()) == "set" && p.ChildIs("bind", wire.NSBind) && p.HasID():
		return n.bind(p)
	case isElem(p, "resume", NSResumption):
		return n.resumeSession(p)
	case isElem(p, "compress", nsCompress):
		return nil, n.refuseCompression()
	case n.alone() && isElem(p, "close", wire.NSFraming):
		return nil, wire.ErrClosed
	case isElem(p, "auth", wire.NSSASL), isElem(p, "authenticate", NSExtensible):
		return nil, errSecondLogin
	}
	return nil, errBindFirst
}

const nsCompress = "http://jabber.org/protocol/compress"

// refuseCompression answers a request that no offer was made for (XEP-0138 §3): compressed secrets can be guessed by
// their length, and little input may become much.
func (n *negotiation) refuseCompression() error {
	n.srv.rec.Count("xml.compress")
	return n.write("<failure xmlns='" + nsCompress + "'><setup-failed/></failure>")
}

func (n *negotiation) writeStanza(st wire.Stanza) error {
	_, err := n.nc.Write(n.appendStanza(nil, st.Kind, "", st.Tail))
	return err
}

// sameGrant reports that a refreshed token opens the same rooms as the one before.
func sameGrant(a, b *token.Claims) bool { return a.Room == b.Room && a.Tenant == b.Tenant }

// Budget bounds what a peer may send.
type Budget struct {
	XML     wire.Limits
	Bytes   limit.Rate
	Stanzas limit.Rate
}

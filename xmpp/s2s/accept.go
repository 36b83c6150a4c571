package s2s

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"parley/xmpp/wire"

	mstream "mellium.im/xmpp/stream"
)

var (
	errNoHost    = violation(mstream.HostUnknown, "stream.header", "this host is not served here")
	errNoTo      = violation(mstream.ImproperAddressing, "stream.header", "the attribute to names no host")
	errBadFrom   = violation(mstream.InvalidFrom, "stream.header", "the attribute from names no other server")
	errVersion   = violation(mstream.UnsupportedVersion, "stream.header", "the version must be 1.0 or higher")
	errContent   = violation(mstream.InvalidNamespace, "stream.header", "the content namespace must be "+wire.NSServer)
	errNoTLS     = violation(mstream.PolicyViolation, "tls.policy", "use STARTTLS first")
	errPipelined = violation(mstream.PolicyViolation, "tls.policy", "nothing may follow <starttls/> before the handshake")
	errTooMany   = violation(mstream.PolicyViolation, "s2s.cert", "too many failed attempts to authenticate")
	errTwice     = violation(mstream.PolicyViolation, "auth.sequence", "you are authenticated already")
)

const (
	nsBidi       = "urn:xmpp:bidi" // XEP-0288
	nsOfferBidi  = "urn:xmpp:features:bidi"
	nsOfferDB    = "urn:xmpp:features:dialback" // XEP-0220 §2.4.2
	nsLimits     = "urn:xmpp:stream-limits:0"   // XEP-0478
	mechanism    = "EXTERNAL"
	mostFailures = 3
)

// greet begins a stream that we accepted.
func (s *stream) greet() error {
	s.until = s.began.Add(s.srv.cfg.LoginTimeout)
	s.deadline(s.until)
	if s.direct {
		if err := s.handshake(s.nc.(*tls.Conn)); err != nil {
			return err
		}
	}
	return s.welcome()
}

// welcome exchanges stream headers and says what may come next (RFC 6120 §4.3.2).
func (s *stream) welcome() error {
	s.fresh()
	h, err := s.readHeader()
	if err != nil {
		return err
	}
	s.id = rand.Text()
	remote, fine := "", true
	if h.From != "" {
		remote, fine = parseDomain(h.From)
	}
	local, named := parseDomain(h.To)
	_, served := s.srv.local[local]
	_, own := s.srv.local[remote]
	if s.local = s.srv.first; served {
		s.local = local
	}
	trusted := *s.trusted.Load()
	if len(trusted) > 0 && remote == "" {
		remote = trusted[0]
	}
	switch s.remote = remote; {
	case !fine || own || len(trusted) > 0 && !s.trusts(remote):
		s.remote, err = "", errBadFrom
	case h.To == "":
		err = errNoTo
	case !named || !served:
		err = errNoHost
	case !versionOK(h.Version):
		err = errVersion
	case h.ContentNS != wire.NSServer:
		err = errContent
	case remote != "" && !s.srv.admits(remote):
		err = errBlocked
	}
	out := s.appendHeader(nil)
	if err == nil {
		out = s.appendFeatures(out)
		if len(trusted) > 0 && s.bidi.Load() {
			// The peer may speak as soon as it has read the features: by then its answers have to find this stream.
			s.hush()
			defer s.speak()
			s.srv.attach(pair{s.local, s.remote}, s)
		}
	}
	if e := s.send(out); err == nil {
		err = e
	}
	return err
}

// versionOK is RFC 6120 §4.7.5: a major version of 1 or more.
func versionOK(v string) bool {
	major, _, ok := strings.Cut(v, ".")
	n, err := strconv.Atoi(major)
	return ok && err == nil && n >= 1
}

func (s *stream) appendFeatures(f []byte) []byte {
	f = append(f, "<stream:features>"...)
	known := len(*s.trusted.Load()) > 0
	size := wire.BeforeAuth.Size
	switch {
	case !s.secure:
		f = append(f, "<starttls xmlns='"+wire.NSTLS+"'><required/></starttls>"...)
	case known:
		size = s.srv.cfg.Peer.XML.Size
		f = append(f, "<sm xmlns='"+NSResumption+"'/><dialback xmlns='"+nsOfferDB+"'><errors/></dialback>"...)
	default:
		if s.remote != "" {
			if err := s.certified(s.remote); err == nil {
				f = append(f, "<mechanisms xmlns='"+wire.NSSASL+"'><mechanism>"+mechanism+"</mechanism></mechanisms>"...)
			} else {
				s.srv.rec.Debug("s2s.cert", s.source.String(), "peer", s.remote, "err", err.Error())
			}
		}
		f = append(f, "<bidi xmlns='"+nsOfferBidi+"'/><dialback xmlns='"+nsOfferDB+"'><errors/></dialback>"...)
	}
	f = append(f, "<limits xmlns='"+nsLimits+"'><max-bytes>"+strconv.Itoa(size)+"</max-bytes><idle-seconds>"...)
	return append(f, strconv.Itoa(int(s.srv.cfg.IdleTimeout/time.Second))+"</idle-seconds></limits></stream:features>"...)
}

// request handles what a peer asks for that opened the stream.
func (s *stream) request(p *wire.Packet) error {
	switch {
	case isElem(p, "starttls", wire.NSTLS) && !s.secure:
		return s.startTLS()
	case !s.secure:
		return errNoTLS
	case isElem(p, "bidi", nsBidi):
		s.bidi.Store(true)
		return nil
	case isElem(p, "auth", wire.NSSASL):
		return s.external(p)
	case isElem(p, "compress", nsCompress):
		s.srv.rec.Count("xml.compress")
		s.say(&s.batch, "<failure xmlns='"+nsCompress+"'><setup-failed/></failure>")
		return nil
	}
	return errUnexpected
}

const nsCompress = "http://jabber.org/protocol/compress"

// startTLS upgrades the connection (RFC 6120 §5).
func (s *stream) startTLS() error {
	s.discard()
	if s.from < s.to {
		return errPipelined // RFC 6120 §5.4.3.3: injected text must not be read as if it came over TLS
	}
	if err := s.send([]byte("<proceed xmlns='" + wire.NSTLS + "'/>")); err != nil {
		return err
	}
	s.headed = false
	if err := s.handshake(tls.Server(s.tcp, s.srv.tls)); err != nil {
		return err
	}
	return s.welcome()
}

// external is SASL EXTERNAL (RFC 6120 §6, XEP-0178 §3): the certificate must name the domain that the peer said it is, and
// that it claims now, if it claims one.
func (s *stream) external(p *wire.Packet) error {
	if len(*s.trusted.Load()) > 0 {
		return errTwice
	}
	if p.Elem().AttrString("mechanism") != mechanism {
		return s.refuse("invalid-mechanism", "")
	}
	claim := strings.TrimSpace(p.Elem().Text())
	if claim != "" && claim != "=" {
		text, err := base64.StdEncoding.Strict().DecodeString(claim)
		if err != nil {
			return s.refuse("incorrect-encoding", "")
		}
		domain, ok := parseDomain(string(text))
		if !ok || domain != s.remote {
			s.reject("s2s.cert", "claims to be "+string(text))
			return s.refuse("invalid-authzid", "the domain is not the one in the stream's header")
		}
	}
	if s.remote == "" {
		return s.refuse("invalid-authzid", "the stream's header does not say who you are")
	}
	if err := s.certified(s.remote); err != nil {
		s.reject("s2s.cert", err.Error())
		return s.refuse("not-authorized", err.Error())
	}
	if !s.trust(s.remote) {
		return s.refuse("temporary-auth-failure", "too many streams of this domain")
	}
	if err := s.send([]byte("<success xmlns='" + wire.NSSASL + "'/>")); err != nil {
		return err
	}
	s.srv.log.Info("a server has connected", "peer", s.remote, "addr", s.source, "how", "certificate")
	s.headed = false
	return s.welcome()
}

// refuse answers a failed attempt; after too many the stream ends.
func (s *stream) refuse(condition, text string) error {
	out := "<failure xmlns='" + wire.NSSASL + "'><" + condition + "/>"
	if text != "" {
		out += "<text xml:lang='en'>" + string(wire.AppendEscaped(nil, text)) + "</text>"
	}
	if err := s.send([]byte(out + "</failure>")); err != nil {
		return err
	}
	if s.failures++; s.failures >= mostFailures {
		return errTooMany
	}
	return nil
}

package wire

import "bytes"

// Namespaces of RFC 6120, RFC 7395 and their neighbours.
const (
	NSClient   = "jabber:client"
	NSServer   = "jabber:server"
	NSDialback = "jabber:server:dialback"
	NSStream   = "http://etherx.jabber.org/streams"
	NSFraming  = "urn:ietf:params:xml:ns:xmpp-framing"
	NSTLS      = "urn:ietf:params:xml:ns:xmpp-tls"
	NSSASL     = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSBind     = "urn:ietf:params:xml:ns:xmpp-bind"
	NSStreams  = "urn:ietf:params:xml:ns:xmpp-streams"
	NSStanzas  = "urn:ietf:params:xml:ns:xmpp-stanzas"
	NSStreamID = "urn:xmpp:sid:0"
)

// Kind says which stanza a packet is (RFC 6120 §8).
type Kind uint8

// The three stanzas, and everything else that may stand at the top of a stream.
const (
	Other Kind = iota
	Message
	Presence
	IQ
)

func kindOf(name []byte) Kind {
	switch string(name) {
	case "message":
		return Message
	case "presence":
		return Presence
	case "iq":
		return IQ
	}
	return Other
}

// String returns the element's name, "" for Other.
func (k Kind) String() string { return [...]string{"", "message", "presence", "iq"}[k] }

// Packet is one validated top-level element. Its accessors return slices of the scanned bytes, attribute values as they
// were written (still escaped, see Unescape); nil means absent. A packet from Scanner.Next lives until the scanner's
// next call; Clone makes one that lasts.
type Packet struct {
	Kind Kind

	raw                  []byte
	name, ns             span
	to, from, id, typ    span
	child, childNS       span
	innerStart, innerEnd int32 // innerEnd is 0 for an empty-element tag
}

// Raw returns the whole element.
func (p *Packet) Raw() []byte { return p.raw }

// Name returns the element's name, prefix included.
func (p *Packet) Name() []byte { return p.name.of(p.raw) }

// NS returns the element's own xmlns, nil where it inherits the stream's.
func (p *Packet) NS() []byte { return p.ns.of(p.raw) }

// To returns the attribute to.
func (p *Packet) To() []byte { return p.to.of(p.raw) }

// From returns the attribute from.
func (p *Packet) From() []byte { return p.from.of(p.raw) }

// ID returns the attribute id.
func (p *Packet) ID() []byte { return p.id.of(p.raw) }

// Type returns the attribute type.
func (p *Packet) Type() []byte { return p.typ.of(p.raw) }

// HasTo tells an empty attribute from an absent one.
func (p *Packet) HasTo() bool { return p.to.from != 0 }

// HasFrom tells an empty attribute from an absent one.
func (p *Packet) HasFrom() bool { return p.from.from != 0 }

// HasID tells an empty attribute from an absent one.
func (p *Packet) HasID() bool { return p.id.from != 0 }

// Child returns the local name and the namespace of the first child element; the namespace is the stream's (nil) where
// nothing else is declared.
func (p *Packet) Child() (local, ns []byte) {
	local = p.child.of(p.raw)
	if i := bytes.IndexByte(local, ':'); i >= 0 {
		local = local[i+1:]
	}
	return local, p.childNS.of(p.raw)
}

// ChildIs reports that the first child element has this local name and this explicit namespace.
func (p *Packet) ChildIs(local, ns string) bool {
	l, n := p.Child()
	return string(l) == local && string(n) == ns
}

// Inner returns the bytes between the start and the end tag.
func (p *Packet) Inner() []byte {
	if p.innerEnd == 0 {
		return nil
	}
	return p.raw[p.innerStart:p.innerEnd]
}

// Elem returns a cursor on the element.
func (p *Packet) Elem() Elem {
	return Elem{raw: p.raw, head: p.raw[:p.innerStart], inner: p.Inner()}
}

// Clone copies the packet out of the scanner's buffer.
func (p *Packet) Clone() *Packet {
	c := *p
	c.raw = bytes.Clone(p.raw)
	return &c
}

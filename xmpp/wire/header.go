package wire

import (
	"bytes"

	mstream "mellium.im/xmpp/stream"
)

// Header is a stream header (RFC 6120 §4.7) or a WebSocket <open/> (RFC 7395 §3.4). The strings are unescaped.
type Header struct {
	To, From, Version, Lang string
	ID                      string
	ContentNS               string // the default namespace, e.g. jabber:client
	Dialback                string // the prefix that is bound to jabber:server:dialback (XEP-0220 §2.4.1), "" if none is
}

var (
	errHeaderNS     = violation(mstream.InvalidNamespace, "stream.header", "the stream namespace must be "+NSStream)
	errHeaderPrefix = violation(mstream.BadNamespacePrefix, "stream.header", "the stream prefix must be \"stream\"")
	errHeaderFormat = violation(mstream.BadFormat, "stream.header", "a stream header was expected")
)

// ParseHeader reads a stream header, with an XML declaration before it or not, at the start of b, and returns how many
// bytes it took. ErrIncomplete asks for more bytes; the caller bounds how many.
func ParseHeader(b []byte, limits Limits) (n int, h Header, err error) {
	n = skipSpace(b, 0)
	declaration, err := xmlDeclaration(b[n:])
	if err != nil {
		return 0, h, err
	}
	if declaration > 0 {
		n = skipSpace(b, n+declaration)
	}
	b = b[n:]
	switch {
	case len(b) < 2:
		return 0, h, ErrIncomplete
	case b[0] != '<':
		return 0, h, errHeaderFormat
	case b[1] == '?':
		return 0, h, ErrInstruction
	case b[1] == '!':
		return 0, h, markupError(b)
	}
	s := Scanner{Limits: limits}
	done, err := s.startTag(b)
	if err != nil {
		return 0, h, err
	}
	name := s.packet.name.of(b)
	i := bytes.IndexByte(name, ':')
	if i < 0 || string(name[i+1:]) != "stream" || done {
		return 0, h, errHeaderFormat
	}
	if ns, _ := s.lookup(b, name[:i]); string(ns) != NSStream {
		return 0, h, errHeaderNS
	}
	if string(name[:i]) != "stream" {
		return 0, h, errHeaderPrefix
	}
	h = headerOf(b, s.attrs)
	return n + s.pos, h, nil
}

// OpenHeader reads the attributes of a WebSocket <open/>.
func OpenHeader(p *Packet) Header {
	e := p.Elem()
	lang, _ := e.Attr("xml:lang")
	return Header{
		To: e.AttrString("to"), From: e.AttrString("from"), Version: e.AttrString("version"),
		Lang: UnescapeString(lang), ContentNS: NSClient,
	}
}

func headerOf(b []byte, attrs []attr) (h Header) {
	for _, a := range attrs {
		value := UnescapeString(a.value.of(b))
		if a.colon > 0 && value == NSDialback && isDecl(b, a) {
			h.Dialback = string(b[a.colon+1 : a.name.to])
		}
		switch string(a.name.of(b)) {
		case "to":
			h.To = value
		case "from":
			h.From = value
		case "id":
			h.ID = value
		case "version":
			h.Version = value
		case "xml:lang":
			h.Lang = value
		case "xmlns":
			h.ContentNS = value
		}
	}
	return h
}

// xmlDeclaration returns the length of the XML declaration that b begins with, 0 if there is none.
func xmlDeclaration(b []byte) (int, error) {
	const start, longest = "<?xml", 128
	if len(b) < len(start)+1 {
		if bytes.HasPrefix([]byte(start), b) {
			return 0, ErrIncomplete
		}
		return 0, nil
	}
	if !bytes.HasPrefix(b, []byte(start)) || class[b[len(start)]]&isSpace == 0 {
		return 0, nil
	}
	end := bytes.Index(b[:min(len(b), longest)], []byte("?>"))
	if end < 0 {
		if len(b) < longest {
			return 0, ErrIncomplete
		}
		return 0, ErrMalformed
	}
	content := b[len(start):end]
	for _, c := range content {
		if c >= 0x80 || c == '<' || class[c]&(inText|isSpace) == 0 {
			return 0, ErrMalformed
		}
	}
	version, rest, ok := pseudoAttr(content, "version")
	if !ok || string(version) != "1.0" {
		return 0, ErrMalformed
	}
	if encoding, after, ok := pseudoAttr(rest, "encoding"); ok {
		if !bytes.EqualFold(encoding, []byte("utf-8")) {
			return 0, ErrCharset
		}
		rest = after
	}
	if standalone, after, ok := pseudoAttr(rest, "standalone"); ok {
		if string(standalone) != "yes" && string(standalone) != "no" {
			return 0, ErrMalformed
		}
		rest = after
	}
	if skipSpace(rest, 0) != len(rest) {
		return 0, ErrMalformed
	}
	return end + 2, nil
}

// pseudoAttr reads ` name = "value"` at the start of b (XML 1.0 §2.8).
func pseudoAttr(b []byte, name string) (value, rest []byte, ok bool) {
	p := skipSpace(b, 0)
	if p == 0 || !bytes.HasPrefix(b[p:], []byte(name)) {
		return nil, b, false
	}
	p = skipSpace(b, p+len(name))
	if p == len(b) || b[p] != '=' {
		return nil, b, false
	}
	p = skipSpace(b, p+1)
	if p == len(b) || b[p] != '\'' && b[p] != '"' {
		return nil, b, false
	}
	end := bytes.IndexByte(b[p+1:], b[p])
	if end < 0 {
		return nil, b, false
	}
	return b[p+1 : p+1+end], b[p+end+2:], true
}

// markupError says what is wrong with a "<!" outside of an element.
func markupError(b []byte) error {
	switch {
	case len(b) < 3:
		return ErrIncomplete
	case b[2] == '-':
		return ErrComment
	case b[2] == 'D':
		return ErrDoctype
	}
	return ErrMalformed
}

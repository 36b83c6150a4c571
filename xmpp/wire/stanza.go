package wire

import (
	"unicode/utf8"

	mstanza "mellium.im/xmpp/stanza"
)

// Stanza is a stanza on its way to one or many receivers: everything of it but its name and the attribute to, so that
// all receivers share the memory.
type Stanza struct {
	Kind Kind
	// Tail is what follows the attribute to: ` from='…' type='…'>…</message>`. The attribute from comes first in
	// tails made by this package. It is immutable once the stanza is handed on.
	Tail []byte
}

// AppendStart appends the start tag up to and with the attribute to; ns is the content namespace to declare, "" for
// none (RFC 7395 §3.3.3 wants it on every stanza over WebSocket).
func AppendStart(dst []byte, kind Kind, ns string, to Addr) []byte {
	dst = append(dst, '<')
	dst = append(dst, kind.String()...)
	if ns != "" {
		dst = append(dst, " xmlns='"...)
		dst = append(dst, ns...)
		dst = append(dst, '\'')
	}
	if to == "" {
		return dst
	}
	return AppendAttr(dst, "to", string(to))
}

// AppendTail appends the packet's own tail with from stamped: every other attribute and the content as they were
// written. The attributes to, from and the default xmlns, which is the stream's, are left out.
func (p *Packet) AppendTail(dst []byte, from Addr) []byte {
	if from != "" {
		dst = AppendAttr(dst, "from", string(from))
	}
	for it := attrsOf(p.raw[:p.innerStart]); it.next(); {
		switch string(it.name) {
		case "to", "from", "xmlns":
		default:
			dst = append(dst, ' ')
			dst = append(dst, it.whole...)
		}
	}
	if p.innerEnd == 0 {
		return append(dst, '/', '>')
	}
	return append(dst, p.raw[p.innerStart-1:]...)
}

// Stanza returns the packet as it is forwarded in the name of from, in memory of its own.
func (p *Packet) Stanza(from Addr) Stanza {
	return Stanza{Kind: p.Kind, Tail: p.AppendTail(make([]byte, 0, len(p.raw)+len(from)+16), from)}
}

// AppendAttr appends ` name='value'`, escaped.
func AppendAttr(dst []byte, name, value string) []byte {
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, '=', '\'')
	dst = AppendEscaped(dst, value)
	return append(dst, '\'')
}

// AppendRawAttr appends ` name='value'` with a value that is escaped already, as the accessors of Packet and Elem give
// it. The value may hold either quote, so it is quoted with the one that it does not hold.
func AppendRawAttr(dst []byte, name string, value []byte) []byte {
	quote := byte('\'')
	for _, c := range value {
		if c == '\'' {
			quote = '"'
			break
		}
	}
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, '=', quote)
	dst = append(dst, value...)
	return append(dst, quote)
}

// AppendElem appends `<name>text</name>`, escaped.
func AppendElem(dst []byte, name, text string) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = append(dst, '>')
	dst = AppendEscaped(dst, text)
	dst = append(dst, '<', '/')
	dst = append(dst, name...)
	return append(dst, '>')
}

// AppendEscaped appends s so that it reads back the same as text and inside either quote; what XML cannot hold becomes
// U+FFFD.
func AppendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf && c >= ' ' && class[c]&inValue != 0 && c != '>' {
			i++
			continue
		}
		var as string
		size := 1
		switch c {
		case '&':
			as = "&amp;"
		case '<':
			as = "&lt;"
		case '>':
			as = "&gt;"
		case '\'':
			as = "&apos;"
		case '"':
			as = "&quot;"
		case '\t':
			as = "&#9;"
		case '\n':
			as = "&#10;"
		case '\r':
			as = "&#13;"
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if isChar(r) && !(r == utf8.RuneError && size == 1) {
				i += size
				continue
			}
			as = "\uFFFD"
		}
		dst = append(dst, s[from:i]...)
		dst = append(dst, as...)
		i += size
		from = i
	}
	return append(dst, s[from:]...)
}

// UnescapeString returns validated character data as a string, its references resolved.
func UnescapeString(b []byte) string {
	for _, c := range b {
		if c == '&' || c == '\r' {
			return string(AppendUnescaped(nil, b))
		}
	}
	return string(b)
}

// AppendUnescaped appends validated character data with its references resolved and its line ends normalised (XML 1.0
// §2.11).
func AppendUnescaped(dst, b []byte) []byte {
	for p := 0; p < len(b); p++ {
		switch b[p] {
		case '\r':
			dst = append(dst, '\n')
			if p+1 < len(b) && b[p+1] == '\n' {
				p++
			}
		case '&':
			end := p + 1
			for b[end] != ';' {
				end++
			}
			switch name := b[p+1 : end]; string(name) {
			case "lt":
				dst = append(dst, '<')
			case "gt":
				dst = append(dst, '>')
			case "amp":
				dst = append(dst, '&')
			case "quot":
				dst = append(dst, '"')
			case "apos":
				dst = append(dst, '\'')
			default:
				r, _ := charRef(name[1:])
				dst = utf8.AppendRune(dst, r)
			}
			p = end
		default:
			dst = append(dst, b[p])
		}
	}
	return dst
}

// Error is a stanza error (RFC 6120 §8.3).
type Error struct {
	Type      mstanza.ErrorType
	Condition mstanza.Condition
	Text      string // safe to show to the peer; may be empty
	App       string // an application-specific condition element, complete XML written by us; may be empty
	By        Addr   // who raised it; may be empty
	Echo      string // part of the refused stanza that goes before <error/>, complete XML; may be empty
}

func (e *Error) Error() string { return "stanza error " + string(e.Condition) + ": " + e.Text }

// Append appends the <error/> element.
func (e *Error) Append(dst []byte) []byte {
	dst = append(dst, "<error"...)
	if e.By != "" {
		dst = AppendAttr(dst, "by", string(e.By))
	}
	dst = AppendAttr(dst, "type", string(e.Type))
	dst = append(dst, "><"...)
	dst = append(dst, e.Condition...)
	dst = append(dst, " xmlns='"+NSStanzas+"'/>"...)
	if e.Text != "" {
		dst = append(dst, "<text xmlns='"+NSStanzas+"' xml:lang='en'>"...)
		dst = AppendEscaped(dst, e.Text)
		dst = append(dst, "</text>"...)
	}
	dst = append(dst, e.App...)
	return append(dst, "</error>"...)
}

// ErrorTo answers the packet with a stanza error in the name of from.
func (e *Error) ErrorTo(p *Packet, from Addr) Stanza {
	dst := make([]byte, 0, 256+len(e.Text)+len(e.App))
	dst = appendReplyHead(dst, p, from, "error")
	dst = append(dst, '>')
	dst = e.Append(append(dst, e.Echo...))
	return closeStanza(p.Kind, dst)
}

// Result answers an IQ in the name of from; payload is complete XML written by us and may be empty.
func (p *Packet) Result(from Addr, payload []byte) Stanza {
	dst := make([]byte, 0, 96+len(payload))
	dst = appendReplyHead(dst, p, from, "result")
	if len(payload) == 0 {
		return Stanza{Kind: p.Kind, Tail: append(dst, '/', '>')}
	}
	dst = append(dst, '>')
	dst = append(dst, payload...)
	return closeStanza(p.Kind, dst)
}

func appendReplyHead(dst []byte, p *Packet, from Addr, typ string) []byte {
	if from != "" {
		dst = AppendAttr(dst, "from", string(from))
	}
	if p.HasID() {
		dst = AppendRawAttr(dst, "id", p.ID())
	}
	return AppendAttr(dst, "type", typ)
}

func closeStanza(kind Kind, dst []byte) Stanza {
	dst = append(dst, '<', '/')
	dst = append(dst, kind.String()...)
	return Stanza{Kind: kind, Tail: append(dst, '>')}
}

package wire

import "bytes"

// span is a range of the element being scanned, relative to its first byte. An absent span is the zero value: no
// attribute value or name can begin at 0, where the '<' is.
type span struct{ from, to int32 }

func (s span) of(b []byte) []byte {
	if s.from == 0 {
		return nil
	}
	return b[s.from:s.to]
}

// decl binds a prefix to a namespace name.
type decl struct{ prefix, name span }

// open is an element whose end tag has not come yet.
type open struct {
	name     span
	decls    int16 // declarations to forget at its end
	children int32
}

// Scanner splits a byte stream into top-level elements. It keeps its place between calls, so bytes that trickle in
// cost no more than bytes that come at once. The zero Scanner is not usable; set Limits. A Scanner belongs to one
// goroutine. After an error other than ErrIncomplete it must not be used again.
type Scanner struct {
	Limits Limits
	// Root is a prefix besides "stream" that the root of the stream binds and that top-level elements may have: that of
	// dialback, between servers. Inside of them it is unbound.
	Root string

	begun bool   // a top-level element is in hand
	pos   int    // where to go on
	mark  int    // how far the CDATA section at pos was looked through
	text  int    // where the text that pos is in began
	tag   tag    // the start tag at pos, if it is not complete yet
	stack []open // elements that are open
	decls []decl // declarations in scope
	attrs []attr // attributes of the start tag in hand

	packet Packet
}

// Next looks for one complete top-level element at the start of b. It returns how many bytes of b are done with and,
// when the element is complete, the packet, which shares b's memory and is valid until the next call. ErrIncomplete
// asks for a call with the remaining bytes b[n:] and more behind them; what was scanned is not scanned again, and b may
// have moved in memory. ErrClosed is the peer's </stream:stream>. All other errors are a *Violation.
func (s *Scanner) Next(b []byte) (n int, p *Packet, err error) {
	if !s.begun {
		for n < len(b) && class[b[n]]&isSpace != 0 {
			n++
		}
		b = b[n:]
		if len(b) == 0 {
			return n, nil, ErrIncomplete
		}
		if b[0] != '<' {
			return n, nil, ErrText
		}
		s.begun, s.packet = true, Packet{}
		s.decls, s.stack = s.decls[:0], s.stack[:0]
	}
	end, err := s.scan(b)
	if err != nil {
		if err == ErrIncomplete && len(b) > s.Limits.Size {
			err = ErrSize
		}
		if err == ErrClosed {
			n += end
		}
		return n, nil, err
	}
	if end > s.Limits.Size {
		return n, nil, ErrSize
	}
	s.packet.raw = b[:end:end]
	s.begun, s.pos, s.text = false, 0, 0
	return n + end, &s.packet, nil
}

// Idle reports that no element is begun: what follows is white space or a new element.
func (s *Scanner) Idle() bool { return !s.begun }

// scan goes on from s.pos and returns the position behind the top-level element's last '>'.
func (s *Scanner) scan(b []byte) (end int, err error) {
	for {
		if err := s.scanText(b); err != nil {
			return 0, err
		}
		p := s.pos
		if p+1 >= len(b) {
			return 0, ErrIncomplete
		}
		if p > s.Limits.Size {
			return 0, ErrSize
		}
		var done bool
		switch b[p+1] {
		case '/':
			done, err = s.endTag(b)
		case '!':
			err = s.cdata(b)
		case '?':
			err = ErrInstruction
		default:
			done, err = s.startTag(b)
		}
		if err != nil {
			return s.pos, err
		}
		s.mark, s.text = 0, s.pos
		if done {
			return s.pos, nil
		}
	}
}

// scanText moves s.pos over character data to the next '<'.
func (s *Scanner) scanText(b []byte) error {
	p := s.pos
	for {
		p = skipPlain(b, p)
		if p < len(b) && b[p] == '<' {
			break
		}
		if s.Limits.Text > 0 && p-s.text > s.Limits.Text {
			return ErrTextSize
		}
		s.pos = p
		if p == len(b) {
			return ErrIncomplete
		}
		if b[p] == ']' {
			if len(b)-p < 3 {
				return ErrIncomplete
			}
			if b[p+1] == ']' && b[p+2] == '>' {
				return ErrMalformed // XML 1.0 §2.4
			}
			p++
			continue
		}
		n, err := special(b, p)
		if err != nil {
			return err
		}
		p += n
	}
	if s.Limits.Text > 0 && p-s.text > s.Limits.Text {
		return ErrTextSize
	}
	s.pos = p
	return nil
}

// slack is the white space that an end tag may hold before its '>'.
const slack = 16

func (s *Scanner) endTag(b []byte) (done bool, err error) {
	p := s.pos + 2
	name := []byte("stream:stream")
	depth := len(s.stack)
	if depth > 0 {
		name = s.stack[depth-1].name.of(b)
	}
	if len(b)-p < len(name) {
		if bytes.HasPrefix(name, b[p:]) {
			return false, ErrIncomplete
		}
		return false, ErrMalformed
	}
	if !bytes.Equal(b[p:p+len(name)], name) {
		return false, ErrMalformed
	}
	p += len(name)
	for limit := p + slack; ; p++ {
		if p == len(b) {
			return false, ErrIncomplete
		}
		if b[p] == '>' {
			break
		}
		if class[b[p]]&isSpace == 0 || p == limit {
			return false, ErrMalformed
		}
	}
	if depth == 0 {
		s.pos = p + 1
		return false, ErrClosed
	}
	if depth == 1 {
		s.packet.innerEnd = int32(s.pos)
	}
	s.decls = s.decls[:len(s.decls)-int(s.stack[depth-1].decls)]
	s.stack = s.stack[:depth-1]
	s.pos = p + 1
	return depth == 1, nil
}

const (
	cdataOpen  = "<![CDATA["
	cdataClose = "]]>"
)

// cdata moves s.pos over a CDATA section, the only "<!" that a stream may hold.
func (s *Scanner) cdata(b []byte) error {
	rest := b[s.pos:]
	if len(rest) > 2 && rest[2] == '[' && len(s.stack) == 0 {
		return ErrText
	}
	if len(rest) < len(cdataOpen) && bytes.HasPrefix([]byte(cdataOpen), rest) {
		return ErrIncomplete
	}
	if !bytes.HasPrefix(rest, []byte(cdataOpen)) {
		return markupError(rest)
	}
	from := max(len(cdataOpen), s.mark-s.pos)
	i := bytes.Index(rest[from:], []byte(cdataClose))
	if i < 0 {
		if s.mark = s.pos + max(from, len(rest)-len(cdataClose)+1); s.Limits.Text > 0 && len(rest) > s.Limits.Text {
			return ErrTextSize
		}
		return ErrIncomplete
	}
	content := rest[len(cdataOpen) : from+i]
	if s.Limits.Text > 0 && len(content) > s.Limits.Text {
		return ErrTextSize
	}
	if !validRaw(content) {
		return ErrEncoding
	}
	s.pos += from + i + len(cdataClose)
	return nil
}

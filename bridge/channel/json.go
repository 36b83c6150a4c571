package channel

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The limits of a message from a client (hardening: bridge channel message).
const (
	MaxMessage = 16 << 10 // bytes
	MaxDepth   = 16       // objects and arrays within one another, the message itself included
)

// Faults that are a limit exceeded: the connection is closed. Other faults cost the message only.
var (
	ErrTooBig  = errors.New("channel: message too big")
	ErrTooDeep = errors.New("channel: message too deep")
)

var (
	errSyntax    = errors.New("channel: not JSON")
	errText      = errors.New("channel: string is not Unicode text")
	errDuplicate = errors.New("channel: name twice in an object")
	errProto     = errors.New("channel: name __proto__")
	errNumber    = errors.New("channel: number out of range")
	errType      = errors.New("channel: value of another type")
)

// member is a name of an object, decoded, with its value as it was written.
type member struct{ name, raw string }

// scanner reads JSON once and checks all of it. The names of the objects that are open lie one after the other in names.
type scanner struct {
	s     string
	i     int
	depth int
	names []string
}

// parse checks a whole message, which is an object, and returns its members.
func parse(s string) ([]member, error) {
	p := scanner{s: s}
	p.space()
	if p.peek() != '{' {
		return nil, errSyntax
	}
	var members []member
	err := p.object(func(name, raw string) { members = append(members, member{name, raw}) })
	if err != nil {
		return nil, err
	}
	if p.space(); p.i != len(s) {
		return nil, errSyntax
	}
	return members, nil
}

// within returns the members of an object that is a value of a checked message.
func within(raw string) ([]member, error) {
	if raw == "" || raw[0] != '{' {
		return nil, errType
	}
	return parse(raw)
}

func (p *scanner) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *scanner) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.i++
	return true
}

func (p *scanner) space() {
	for p.i < len(p.s) && isSpace(p.s[p.i]) {
		p.i++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (p *scanner) value() error {
	switch c := p.peek(); {
	case c == '{':
		return p.object(nil)
	case c == '[':
		return p.array(nil)
	case c == '"':
		_, err := p.text()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(p.s[p.i:], word) {
			p.i += len(word)
			return nil
		}
	}
	return errSyntax
}

func (p *scanner) enter() error {
	p.i++
	if p.depth++; p.depth > MaxDepth {
		return ErrTooDeep
	}
	return nil
}

// object reads an object and calls each, where there is one, for each member.
func (p *scanner) object(each func(name, raw string)) error {
	if err := p.enter(); err != nil {
		return err
	}
	first := len(p.names)
	for p.space(); !p.take('}'); p.space() {
		if len(p.names) > first && !p.take(',') {
			return errSyntax
		}
		p.space()
		if p.peek() != '"' {
			return errSyntax
		}
		name, err := p.text()
		if err != nil {
			return err
		}
		if name == "__proto__" { // a script that copies the members one by one would be led astray
			return errProto
		}
		p.names = append(p.names, name)
		if p.space(); !p.take(':') {
			return errSyntax
		}
		p.space()
		from := p.i
		if err := p.value(); err != nil {
			return err
		}
		if each != nil {
			each(name, p.s[from:p.i])
		}
	}
	names := p.names[first:]
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return errDuplicate
		}
	}
	p.names = p.names[:first]
	p.depth--
	return nil
}

// array reads an array and calls each, where there is one, for each element.
func (p *scanner) array(each func(raw string)) error {
	if err := p.enter(); err != nil {
		return err
	}
	p.space()
	for n := 0; !p.take(']'); n++ {
		if n > 0 && !p.take(',') {
			return errSyntax
		}
		p.space()
		from := p.i
		if err := p.value(); err != nil {
			return err
		}
		if each != nil {
			each(p.s[from:p.i])
		}
		p.space()
	}
	p.depth--
	return nil
}

// number reads a number (RFC 8259 §6) that a double can hold.
func (p *scanner) number() error {
	from := p.i
	p.take('-')
	if !p.take('0') && !p.digits() {
		return errSyntax
	}
	if p.take('.') && !p.digits() {
		return errSyntax
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if !p.digits() {
			return errSyntax
		}
	}
	if _, err := strconv.ParseFloat(p.s[from:p.i], 64); err != nil {
		return errNumber
	}
	return nil
}

func (p *scanner) digits() bool {
	from := p.i
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.i++
	}
	return p.i > from
}

// text reads a string. Without escapes the result is part of the message.
func (p *scanner) text() (string, error) {
	from := p.i + 1
	for p.i = from; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '\\':
			p.i++
		case c < 0x20:
			return "", errSyntax
		case c == '"':
			raw := p.s[from:p.i]
			p.i++
			return unquote(raw)
		}
	}
	return "", errSyntax
}

// unquote decodes what stands between the quotes of a string.
func unquote(raw string) (string, error) {
	if !utf8.ValidString(raw) {
		return "", errText
	}
	i := strings.IndexByte(raw, '\\')
	if i < 0 {
		return raw, nil
	}
	b := make([]byte, 0, len(raw))
	for ; i >= 0; i = strings.IndexByte(raw, '\\') {
		b = append(b, raw[:i]...)
		if i+1 == len(raw) {
			return "", errSyntax
		}
		c := raw[i+1]
		raw = raw[i+2:]
		if c != 'u' {
			j := strings.IndexByte(`"\/bfnrt`, c)
			if j < 0 {
				return "", errSyntax
			}
			b = append(b, "\"\\/\b\f\n\r\t"[j])
			continue
		}
		r, err := unit(raw)
		if err != nil {
			return "", err
		}
		raw = raw[4:]
		if utf16.IsSurrogate(r) {
			if !strings.HasPrefix(raw, `\u`) {
				return "", errText
			}
			low, err := unit(raw[2:])
			if err != nil {
				return "", err
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return "", errText
			}
			raw = raw[6:]
		}
		b = utf8.AppendRune(b, r)
	}
	return string(append(b, raw...)), nil
}

// unit reads the four hex digits of a UTF-16 code unit.
func unit(s string) (rune, error) {
	if len(s) < 4 {
		return 0, errSyntax
	}
	var r rune
	for _, c := range []byte(s[:4]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, errSyntax
		}
		r = r<<4 | rune(c)
	}
	return r, nil
}

// appendValue encodes a checked value again: without white space, and with strings quoted as we do. It is never longer
// than what was read.
func appendValue(dst []byte, raw string) []byte {
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '"':
			p := scanner{s: raw, i: i}
			s, _ := p.text()
			dst, i = appendText(dst, s), p.i
		case isSpace(c):
			i++
		default:
			dst, i = append(dst, c), i+1
		}
	}
	return dst
}

// appendText encodes a string. What is not UTF-8 becomes U+FFFD.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r >= 0x20:
			dst = utf8.AppendRune(dst, r)
		default:
			if j := strings.IndexRune("\b\f\n\r\t", r); j >= 0 {
				dst = append(dst, '\\', "bfnrt"[j])
			} else {
				dst = append(dst, `\u00`...)
				dst = append(dst, "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
			}
		}
	}
	return append(dst, '"')
}

package wire

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Classes of bytes. A byte without the class in question takes the slow path, never the wrong one.
const (
	inText  = 1 << iota // stands for itself in text
	inValue             // stands for itself in an attribute value, whatever the quote
	inName              // may continue a name; names are ASCII by our policy
	atStart             // may begin a name
	isSpace
)

var class = func() (t [256]uint8) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = inText | inValue
	}
	for _, c := range "\t\n\r " {
		t[c] |= inText | inValue | isSpace
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= inName | atStart
		t[c-'a'+'A'] |= inName | atStart
	}
	for c := '0'; c <= '9'; c++ {
		t[c] |= inName
	}
	t['_'] |= inName | atStart
	t['-'] |= inName
	t['.'] |= inName
	for _, c := range "<&]" {
		t[c] &^= inText
	}
	for _, c := range "<&'\"" {
		t[c] &^= inValue
	}
	return t
}()

// skipPlain returns the first position at or after p whose byte does not stand for itself in text.
func skipPlain(b []byte, p int) int {
	for p+8 <= len(b) && plain8(binary.LittleEndian.Uint64(b[p:])) {
		p += 8
	}
	for p < len(b) && class[b[p]]&inText != 0 {
		p++
	}
	return p
}

// plain8 reports that eight bytes are ASCII from space upwards and none of them is '<', '&' or ']'. It may say no
// where the answer is yes (borrows run from one byte into the next), never the other way round.
func plain8(x uint64) bool {
	const (
		ones = 0x0101010101010101
		tops = 0x8080808080808080
	)
	bad := x | (x - ones*0x20)
	bad |= (x ^ ones*'<') - ones
	bad |= (x ^ ones*'&') - ones
	bad |= (x ^ ones*']') - ones
	return bad&tops == 0
}

// special checks the character at b[p], which does not stand for itself, and returns its width in bytes.
func special(b []byte, p int) (int, error) {
	switch c := b[p]; {
	case c == '&':
		return reference(b, p)
	case c == '<':
		return 0, ErrMalformed // only reached inside an attribute value
	case c < 0x80:
		return 0, ErrEncoding // a control character
	}
	if !utf8.FullRune(b[p:]) {
		return 0, ErrIncomplete
	}
	r, n := utf8.DecodeRune(b[p:])
	if r == utf8.RuneError && n == 1 || r == 0xFFFE || r == 0xFFFF {
		return 0, ErrEncoding
	}
	return n, nil
}

// longest is the room that a reference may take: "&#x0010FFFF;" and no more leading zeros than that.
const longest = 12

// reference checks an entity or character reference at b[p] and returns its width (RFC 6120 §11.1, XML 1.0 §4.1).
func reference(b []byte, p int) (int, error) {
	window := b[p:min(p+longest, len(b))]
	end := bytes.IndexByte(window, ';')
	if end < 0 {
		if len(window) < longest {
			return 0, ErrIncomplete
		}
		return 0, ErrEntity
	}
	name := window[1:end]
	switch string(name) {
	case "lt", "gt", "amp", "quot", "apos":
		return end + 1, nil
	}
	if len(name) == 0 || name[0] != '#' {
		return 0, ErrEntity
	}
	r, ok := charRef(name[1:])
	if !ok {
		return 0, ErrMalformed
	}
	if !isChar(r) {
		return 0, ErrEncoding
	}
	return end + 1, nil
}

// charRef reads the digits of a character reference, "65" or "x41".
func charRef(digits []byte) (r rune, ok bool) {
	base := rune(10)
	if len(digits) > 0 && digits[0] == 'x' {
		base, digits = 16, digits[1:]
	}
	for _, c := range digits {
		var d rune
		switch {
		case c >= '0' && c <= '9':
			d = rune(c - '0')
		case base == 16 && c|0x20 >= 'a' && c|0x20 <= 'f':
			d = rune(c|0x20-'a') + 10
		default:
			return 0, false
		}
		if r = r*base + d; r > utf8.MaxRune {
			return r, true // isChar says no
		}
	}
	return r, len(digits) > 0
}

// isChar is the Char production of XML 1.0 §2.2.
func isChar(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return true
	case r < 0x20:
		return false
	case r < 0xD800:
		return true
	}
	return r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// validRaw reports that every character of b may stand in XML; b is the content of a CDATA section.
func validRaw(b []byte) bool {
	for p := 0; p < len(b); {
		if c := b[p]; c < 0x80 {
			if c < 0x20 && class[c]&isSpace == 0 {
				return false
			}
			p++
			continue
		}
		r, n := utf8.DecodeRune(b[p:])
		if r == utf8.RuneError && n == 1 || r == 0xFFFE || r == 0xFFFF {
			return false
		}
		p += n
	}
	return true
}

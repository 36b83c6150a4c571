package xmpp

import (
	"bytes"
	"errors"
)

// The generator must cost little beside the server that it measures, and treats every server alike. So it does not
// check XML, it only finds where the elements of a stream begin and end, and the attributes of their start tags.

var (
	errMore      = errors.New("xmpp: the element is not complete")
	errEnd       = errors.New("xmpp: the server has closed the stream")
	errMalformed = errors.New("xmpp: not a stream of elements")
	errLong      = errors.New("xmpp: an element is longer than a megabyte")
)

const longest = 1 << 20

// element is a complete child of the stream, or the stream's own start tag. It lives until the next read.
type element struct {
	raw []byte
	tag []byte // the start tag, from < to >
}

// splitter keeps its place in an element that has not come as a whole.
type splitter struct {
	at    int // read so far, from the start of the element
	depth int
	tag   int // length of the start tag
}

// next returns the first element of b and how many bytes to drop. On errMore it wants to be called again with the same
// bytes, less the n that it says, and more behind them.
func (s *splitter) next(b []byte) (n int, el element, err error) {
	if s.at == 0 {
		for n < len(b) && (b[n] == ' ' || b[n] == '\n' || b[n] == '\r' || b[n] == '\t') {
			n++
		}
		b = b[n:]
	}
	for {
		i := bytes.IndexByte(b[s.at:], '<')
		if i < 0 {
			if s.depth == 0 && len(b) > s.at {
				return n, el, errMalformed
			}
			s.at = len(b)
			return n, el, s.more()
		}
		if s.depth == 0 && i > 0 {
			return n, el, errMalformed
		}
		s.at += i
		rest := b[s.at:]
		if len(rest) < 2 {
			return n, el, s.more()
		}
		switch rest[1] {
		case '?':
			i := bytes.Index(rest, []byte("?>"))
			if i < 0 {
				return n, el, s.more()
			}
			if s.depth > 0 || s.at > 0 {
				return n, el, errMalformed
			}
			m, el, err := s.next(b[i+2:])
			return n + i + 2 + m, el, err
		case '!':
			const open, end = "<![CDATA[", "]]>"
			if len(rest) < len(open) {
				return n, el, s.more()
			}
			if s.depth == 0 || string(rest[:len(open)]) != open {
				return n, el, errMalformed
			}
			i := bytes.Index(rest, []byte(end))
			if i < 0 {
				return n, el, s.more()
			}
			s.at += i + len(end)
			continue
		}
		e := tagEnd(rest)
		if e < 0 {
			return n, el, s.more()
		}
		s.at += e
		switch {
		case rest[1] == '/':
			if s.depth == 0 {
				return n + s.at, el, errEnd
			}
			s.depth--
		case rest[e-2] == '/':
			if s.depth == 0 {
				s.tag = e
			}
		default:
			if s.depth == 0 {
				s.tag = e
				if bytes.HasPrefix(rest, []byte("<stream:stream")) {
					break // its children are what we are after
				}
			}
			s.depth++
		}
		if s.depth == 0 {
			el = element{b[:s.at], b[:s.tag]}
			n += s.at
			*s = splitter{}
			return n, el, nil
		}
	}
}

func (s *splitter) more() error {
	if s.at > longest {
		return errLong
	}
	return errMore
}

// tagEnd returns the length of the tag that b begins with, -1 if it is not complete.
func tagEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch c := b[i]; c {
		case '>':
			return i + 1
		case '\'', '"':
			j := bytes.IndexByte(b[i+1:], c)
			if j < 0 {
				return -1
			}
			i += j + 1
		}
	}
	return -1
}

// is reports that the element has the name.
func (el *element) is(name string) bool {
	return len(el.tag) > len(name)+1 && string(el.tag[1:1+len(name)]) == name && !nameByte(el.tag[1+len(name)])
}

func nameByte(c byte) bool {
	return c != ' ' && c != '>' && c != '/' && c != '\n' && c != '\r' && c != '\t'
}

// attr returns an attribute of the start tag as it is written, nil if there is none.
func (el *element) attr(name string) []byte {
	b := el.tag
	i := 1
	for i < len(b) && nameByte(b[i]) {
		i++
	}
	for {
		for i < len(b) && !nameByte(b[i]) {
			i++
		}
		start := i
		for i < len(b) && b[i] != '=' && nameByte(b[i]) {
			i++
		}
		key := b[start:i]
		for i < len(b) && b[i] != '\'' && b[i] != '"' {
			i++
		}
		if i >= len(b) {
			return nil
		}
		j := bytes.IndexByte(b[i+1:], b[i])
		if j < 0 {
			return nil
		}
		if string(key) == name {
			return b[i+1 : i+1+j]
		}
		i += j + 2
	}
}

// has reports that the text is somewhere in the element.
func (el *element) has(text string) bool { return bytes.Contains(el.raw, []byte(text)) }

// between returns what stands between two texts in the element, nil if they do not.
func (el *element) between(a, b string) []byte {
	i := bytes.Index(el.raw, []byte(a))
	if i < 0 {
		return nil
	}
	rest := el.raw[i+len(a):]
	j := bytes.Index(rest, []byte(b))
	if j < 0 {
		return nil
	}
	return rest[:j]
}

package ejabberd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Terms of Erlang as they are written: an atom, a binary or string of bytes, a list, a tuple, an integer (int64) or float64. Maps,
// functions and the like are not in what ejabberd dumps.
type (
	atom  string
	list  []any
	tuple []any
)

var errTerm = errors.New("not what ejabberd dumps")

// deepest bounds terms inside one another, largest one term, in bytes.
const (
	deepest = 200
	largest = 64 << 20
)

// terms calls do for each term of a file, each of which ends in a full stop.
func terms(r io.Reader, do func(any) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var b strings.Builder
	line, begins := 0, 1 // of the term
	bad := func() error { return fmt.Errorf("line %d: %w", begins, errTerm) }
	for {
		text, err := in.ReadString('\n')
		line++
		b.WriteString(text)
		if b.Len() > largest {
			return bad()
		}
		if end := strings.TrimRight(text, " \t\r\n"); strings.HasSuffix(end, ".") || err != nil {
			p := &parser{s: b.String()}
			p.space()
			if p.s == "" && err == io.EOF {
				return nil
			}
			v, wrong := p.value(0)
			if p.space(); wrong == nil && p.s == "." {
				if e := do(v); e != nil {
					return e
				}
				b.Reset()
				begins = line + 1
			} else if err != nil {
				return bad() // else the full stop was one inside a text
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

type parser struct{ s string }

// space skips white space and comments.
func (p *parser) space() {
	for {
		p.s = strings.TrimLeft(p.s, " \t\r\n")
		if !strings.HasPrefix(p.s, "%") {
			break
		}
		_, p.s, _ = strings.Cut(p.s, "\n")
	}
	if strings.TrimSpace(p.s) == "." {
		p.s = "."
	}
}

func (p *parser) take(s string) bool {
	rest, ok := strings.CutPrefix(p.s, s)
	if ok {
		p.s = rest
	}
	return ok
}

func (p *parser) value(depth int) (any, error) {
	p.space()
	switch {
	case p.s == "" || depth > deepest:
		return nil, errTerm
	case p.take("<<"):
		return p.binary()
	case p.take("{"):
		all, err := p.until("}", depth)
		return tuple(all), err
	case p.take("["):
		all, err := p.until("]", depth)
		return list(all), err
	case p.s[0] == '"':
		return p.quoted('"')
	case p.s[0] == '\'':
		s, err := p.quoted('\'')
		return atom(s), err
	case p.s[0] >= 'a' && p.s[0] <= 'z':
		n := 1
		for n < len(p.s) && (p.s[n] == '_' || p.s[n] == '@' || p.s[n] >= '0' && p.s[n] <= '9' || p.s[n] >= 'a' && p.s[n] <= 'z' || p.s[n] >= 'A' && p.s[n] <= 'Z') {
			n++
		}
		a := atom(p.s[:n])
		p.s = p.s[n:]
		return a, nil
	}
	return p.number()
}

func (p *parser) number() (any, error) {
	n := 0
	for n < len(p.s) && (p.s[n] >= '0' && p.s[n] <= '9' || p.s[n] == '-' || p.s[n] == '+' || p.s[n] == 'e' || p.s[n] == '.' && n+1 < len(p.s) && p.s[n+1] >= '0' && p.s[n+1] <= '9') {
		n++
	}
	text := p.s[:n]
	p.s = p.s[n:]
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, errTerm
	}
	return f, nil
}

// until reads terms up to an end, parted by commas.
func (p *parser) until(end string, depth int) (all []any, err error) {
	if p.space(); p.take(end) {
		return nil, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
		p.space()
		if p.take(end) {
			return all, nil
		}
		if !p.take(",") {
			return nil, errTerm
		}
	}
}

// binary reads what follows "<<": a text, or numbers of bytes.
func (p *parser) binary() (any, error) {
	var b strings.Builder
	for p.space(); !p.take(">>"); p.space() {
		if p.s == "" {
			return nil, errTerm
		}
		if p.s[0] == '"' {
			s, err := p.quoted('"')
			if err != nil {
				return nil, err
			}
			b.WriteString(s)
			p.take("/utf8")
		} else {
			v, err := p.number()
			n, ok := v.(int64)
			if err != nil || !ok || n < 0 || n > 255 {
				return nil, errTerm
			}
			b.WriteByte(byte(n))
		}
		if p.space(); !p.take(",") && !strings.HasPrefix(p.s, ">>") {
			return nil, errTerm
		}
	}
	return b.String(), nil
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f', 'v': '\v', 'e': 27, 's': ' ', 'd': 127, '0': 0, '\\': '\\', '"': '"', '\'': '\''}

// quoted reads a text between quotes.
func (p *parser) quoted(quote byte) (string, error) {
	var b strings.Builder
	for i := 1; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == quote:
			p.s = p.s[i+1:]
			return b.String(), nil
		case c != '\\':
			b.WriteByte(c)
		default:
			if i++; i >= len(p.s) {
				return "", errTerm
			}
			if rest, ok := strings.CutPrefix(p.s[i:], "x{"); ok {
				digits, _, closed := strings.Cut(rest, "}")
				n, err := strconv.ParseUint(digits, 16, 32)
				if !closed || err != nil || n > utf8.MaxRune {
					return "", errTerm
				}
				b.WriteRune(rune(n))
				i += len("x{") + len(digits)
				continue
			}
			if n := octal(p.s[i:]); n > 0 {
				v, _ := strconv.ParseUint(p.s[i:i+n], 8, 16)
				if v > 255 {
					return "", errTerm
				}
				b.WriteByte(byte(v))
				i += n - 1
				continue
			}
			e, ok := escapes[p.s[i]]
			if !ok {
				return "", errTerm
			}
			b.WriteByte(e)
		}
	}
	return "", errTerm
}

// octal counts the digits of an escape such as \377, three at most.
func octal(s string) (n int) {
	for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
		n++
	}
	return n
}

// The rest makes terms easy to look into: what is not there is empty.

func text(v any) string {
	s, _ := v.(string)
	return s
}

func (t tuple) at(i int) any {
	if i < len(t) {
		return t[i]
	}
	return nil
}

func isAtom(v any, name atom) bool { a, ok := v.(atom); return ok && a == name }

// option returns what stands beside a name in a list of pairs.
func (l list) option(name atom) any {
	for _, v := range l {
		if t, ok := v.(tuple); ok && len(t) == 2 && isAtom(t[0], name) {
			return t[1]
		}
	}
	return nil
}

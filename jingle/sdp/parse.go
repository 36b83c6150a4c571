package sdp

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits bound what a description may cost. All of them must be set.
type Limits struct {
	Bytes   int // of the whole text
	Lines   int
	Line    int // bytes of one line
	Media   int // media descriptions
	Formats int // of one medium
}

// DefaultLimits are those of hardening.md §1; the largest description of a browser that we have seen, of four media,
// takes 11 kB and 330 lines.
var DefaultLimits = Limits{Bytes: 128 << 10, Lines: 4000, Line: 4096, Media: 16, Formats: 128}

// Error says what is wrong with a description. Its text quotes nothing of the input.
type Error struct {
	Line int // counted from 1; 0 where no single line is to blame
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return "sdp: " + e.Text
	}
	return "sdp: line " + strconv.Itoa(e.Line) + ": " + e.Text
}

// The order of the fields of RFC 8866 §5. A field may follow one of the same or a lower rank.
const (
	sessionOrder = "vosiuepcbtrzka"
	mediaOrder   = "micbka"
	once         = "vosiucm" // per session or medium; m begins a new one
)

type parser struct {
	limits Limits
	d      *Description
	m      *Media // nil in the session part
	line   int
	rank   int // position of the last field in its order string
}

// Parse reads a description. Lines may end in CRLF or LF (RFC 8866 §5). The result shares the memory of text. The error
// is an *Error.
func Parse(text string, limits Limits) (*Description, error) {
	p := parser{limits: limits, d: &Description{}, rank: -1}
	if len(text) > limits.Bytes {
		return nil, p.fail("the description is larger than %d bytes", limits.Bytes)
	}
	if !utf8.ValidString(text) {
		return nil, p.fail("the description is not UTF-8")
	}
	var seen [256]bool
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = strings.TrimRight(strings.TrimSuffix(line, "\r"), " ")
		if p.line++; p.line > limits.Lines {
			return nil, p.fail("more than %d lines", limits.Lines)
		}
		if line == "" && strings.TrimRight(text, "\r\n ") == "" {
			break // empty lines at the end
		}
		if err := p.field(line, &seen); err != nil {
			return nil, err
		}
	}
	p.line = 0
	for _, f := range "vost" {
		if !seen[f] {
			return nil, p.fail("no %c= line", f)
		}
	}
	return p.d, nil
}

func (p *parser) fail(format string, args ...any) error {
	return &Error{Line: p.line, Text: fmt.Sprintf(format, args...)}
}

// field reads one line and checks that it may stand here.
func (p *parser) field(line string, seen *[256]bool) error {
	if len(line) > p.limits.Line {
		return p.fail("longer than %d bytes", p.limits.Line)
	}
	if len(line) < 2 || line[1] != '=' {
		return p.fail("no field")
	}
	if !isText(line) {
		return p.fail("control character")
	}
	name, value := line[0], line[2:]
	if name == 'm' {
		if len(p.d.Media) == 0 && !seen['t'] {
			return p.fail("media before t=")
		}
		if len(p.d.Media) == p.limits.Media {
			return p.fail("more than %d media", p.limits.Media)
		}
		p.d.Media = append(p.d.Media, Media{})
		p.m, p.rank = &p.d.Media[len(p.d.Media)-1], -1
		seen['i'], seen['c'], seen['m'] = false, false, false
	}
	order := sessionOrder
	if p.m != nil {
		order = mediaOrder
	}
	rank := strings.IndexByte(order, name)
	switch {
	case rank < 0:
		return p.fail("a field that may not stand here")
	case rank < p.rank && !(p.m == nil && name == 't' && p.rank < strings.IndexByte(order, 'z')):
		return p.fail("a field out of order")
	case seen[name] && strings.IndexByte(once, name) >= 0:
		return p.fail("a field that may stand once only")
	}
	p.rank, seen[name] = rank, true
	return p.value(name, value)
}

func (p *parser) value(name byte, value string) error {
	attributes, bandwidth, connection := &p.d.Attributes, &p.d.Bandwidth, &p.d.Connection
	if p.m != nil {
		attributes, bandwidth, connection = &p.m.Attributes, &p.m.Bandwidth, &p.m.Connection
	}
	switch name {
	case 'v':
		if value != "0" {
			return p.fail("the version is not 0")
		}
	case 'o':
		return p.origin(value)
	case 's':
		if p.d.Name = strings.TrimSpace(value); p.d.Name == "" {
			p.d.Name = "-"
		}
	case 't':
		start, stop, _ := strings.Cut(value, " ")
		if !isNumber(start) || !isNumber(stop) {
			return p.fail("bad times")
		}
	case 'c':
		c, ok := parseConnection(strings.Split(value, " "))
		if !ok {
			return p.fail("bad connection data")
		}
		*connection = &c
	case 'b':
		kind, number, _ := strings.Cut(value, ":")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil || !isToken(kind) {
			return p.fail("bad bandwidth")
		}
		*bandwidth = append(*bandwidth, Bandwidth{kind, n})
	case 'm':
		return p.media(value)
	case 'a':
		name, value, _ := strings.Cut(value, ":")
		if !isToken(name) {
			return p.fail("bad attribute name")
		}
		attributes.Add(name, value)
	}
	return nil
}

func (p *parser) origin(value string) error {
	f := strings.Split(value, " ")
	if len(f) != 6 || f[0] == "" {
		return p.fail("bad origin")
	}
	id, err := strconv.ParseUint(f[1], 10, 64)
	version, err2 := strconv.ParseUint(f[2], 10, 64)
	address, ok := parseConnection(f[3:])
	if err != nil || err2 != nil || !ok {
		return p.fail("bad origin")
	}
	p.d.Origin = Origin{f[0], id, version, address}
	return nil
}

func (p *parser) media(value string) error {
	f := strings.Split(value, " ")
	if len(f) < 4 || !isToken(f[0]) {
		return p.fail("bad media description")
	}
	port, err := strconv.ParseUint(f[1], 10, 16)
	if err != nil {
		return p.fail("bad port")
	}
	for part := range strings.SplitSeq(f[2], "/") {
		if !isToken(part) {
			return p.fail("bad transport protocol")
		}
	}
	formats := f[3:]
	if len(formats) > p.limits.Formats {
		return p.fail("more than %d formats", p.limits.Formats)
	}
	for _, format := range formats {
		if !isToken(format) {
			return p.fail("bad format")
		}
	}
	p.m.Type, p.m.Port, p.m.Protocol, p.m.Formats = f[0], uint16(port), f[2], formats
	return nil
}

// parseConnection reads nettype, addrtype and address.
func parseConnection(f []string) (c Connection, ok bool) {
	if len(f) != 3 || f[0] != "IN" || f[1] != "IP4" && f[1] != "IP6" || f[2] == "" {
		return Connection{}, false
	}
	return Connection{f[1], f[2]}, true
}

package sdp

import (
	"strconv"
	"strings"
)

// Append appends the description, lines ended by CRLF. It fails with an *Error, and dst unchanged, where a field holds
// what its place cannot, so that nobody's text becomes a line of its own, and where the result is over DefaultLimits.
func (d *Description) Append(dst []byte) ([]byte, error) {
	w := writer{out: dst}
	w.field('v', "0")
	w.field('o', d.Origin.fields()...)
	w.field('s', orDash(d.Name))
	w.part(d.Connection, d.Bandwidth, nil)
	w.field('t', "0", "0")
	w.part(nil, nil, d.Attributes)
	for i := range d.Media {
		m := &d.Media[i]
		w.tokens(m.Type)
		w.tokens(strings.Split(m.Protocol, "/")...)
		w.tokens(m.Formats...)
		w.field('m', append([]string{m.Type, strconv.Itoa(int(m.Port)), m.Protocol}, m.Formats...)...)
		if len(m.Formats) == 0 || len(m.Formats) > DefaultLimits.Formats {
			w.fail("medium without formats, or with too many")
		}
		w.part(m.Connection, m.Bandwidth, m.Attributes)
	}
	if len(d.Media) > DefaultLimits.Media || w.line > DefaultLimits.Lines || len(w.out)-len(dst) > DefaultLimits.Bytes {
		w.fail("the description is too large")
	}
	if w.err != nil {
		return dst, w.err
	}
	return w.out, nil
}

type writer struct {
	out  []byte
	line int
	err  error
}

func (w *writer) fail(text string) {
	if w.err == nil {
		w.err = &Error{Line: w.line, Text: text}
	}
}

// field writes a line of fields parted by spaces.
func (w *writer) field(name byte, fields ...string) {
	w.line++
	start := len(w.out)
	w.out = append(w.out, name, '=')
	for i, f := range fields {
		if i > 0 {
			w.out = append(w.out, ' ')
		}
		if len(fields) > 1 && (f == "" || strings.IndexByte(f, ' ') >= 0) {
			w.fail("a field that is empty or holds a space")
		}
		w.text(f)
	}
	if len(w.out)-start > DefaultLimits.Line {
		w.fail("a line that is too long")
	}
	w.out = append(w.out, '\r', '\n')
}

func (w *writer) text(s string) {
	if !Text(s) {
		w.fail("a character that may not stand in a line")
	}
	w.out = append(w.out, s...)
}

func (w *writer) tokens(list ...string) {
	for _, s := range list {
		if !isToken(s) {
			w.fail("a name that is no token")
		}
	}
}

// part writes what sessions and media have in common.
func (w *writer) part(c *Connection, bandwidth []Bandwidth, attributes Attributes) {
	if c != nil {
		w.field('c', c.fields()...)
	}
	for _, b := range bandwidth {
		w.tokens(b.Type)
		w.field('b', b.Type+":"+strconv.FormatUint(b.Value, 10))
	}
	for _, a := range attributes {
		w.tokens(a.Name)
		if a.Value == "" {
			w.field('a', a.Name)
		} else {
			w.field('a', a.Name+":"+a.Value)
		}
	}
}

func (c Connection) fields() []string { return []string{"IN", c.Type, c.Address} }

func (o Origin) fields() []string {
	f := []string{orDash(o.Username), strconv.FormatUint(o.ID, 10), strconv.FormatUint(o.Version, 10)}
	if o.Address == (Connection{}) {
		o.Address = Connection{"IP4", "0.0.0.0"}
	}
	return append(f, o.Address.fields()...)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

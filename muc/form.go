package muc

import (
	"strconv"

	"parley/xmpp/wire"
)

// answers are the fields of a submitted form (XEP-0004), by name.
type answers map[string][]string

// mostFields bounds the fields of a form, and the values of all fields.
const (
	mostFields = 128
	mostValues = 1024
)

// readForm reads a form that is submitted for the given FORM_TYPE. ok is false if it is too large or for something else;
// a form without FORM_TYPE passes, for old clients.
func readForm(x wire.Elem, formType string) (a answers, ok bool) {
	a = make(answers)
	values := 0
	for it := x.Children(); it.Next(); {
		f := it.Elem
		if !f.Is("field", NSData) {
			continue
		}
		name := f.AttrString("var")
		list := a[name]
		if len(a) > mostFields {
			return nil, false
		}
		for vs := f.Children(); vs.Next(); {
			if vs.Elem.Is("value", NSData) {
				if values++; values > mostValues {
					return nil, false
				}
				list = append(list, vs.Elem.Text())
			}
		}
		a[name] = list
	}
	if t, typed := a["FORM_TYPE"]; typed && (len(t) != 1 || t[0] != formType) {
		return nil, false
	}
	return a, true
}

// text reads a field with one value. An absent field leaves what is there.
func (a answers) text(name string, to *string) {
	if v, ok := a[name]; ok {
		*to = ""
		if len(v) > 0 {
			*to = v[0]
		}
	}
}

// flag reads a boolean field (XEP-0004 §3.3) and reports that it is absent or one.
func (a answers) flag(name string, to *bool) bool {
	v, ok := a[name]
	if !ok {
		return true
	}
	if len(v) == 0 {
		*to = false
		return true
	}
	switch v[0] {
	case "1", "true":
		*to = true
	case "0", "false", "":
		*to = false
	default:
		return false
	}
	return len(v) == 1
}

// sheet writes a form.
type sheet struct{ dst []byte }

func newSheet(dst []byte, typ, formType string) *sheet {
	dst = append(dst, "<x xmlns='"+NSData+"' type='"...)
	dst = append(append(dst, typ...), "'>"...)
	s := &sheet{dst}
	s.field("FORM_TYPE", "hidden", "", formType)
	return s
}

// words appends a child such as title or instructions.
func (s *sheet) words(name, text string) { s.dst = wire.AppendElem(s.dst, name, text) }

// field appends a field; typ and label may be empty.
func (s *sheet) field(name, typ, label string, values ...string) {
	s.open(name, typ, label)
	for _, v := range values {
		s.dst = wire.AppendElem(s.dst, "value", v)
	}
	s.dst = append(s.dst, "</field>"...)
}

func (s *sheet) open(name, typ, label string) {
	s.dst = wire.AppendAttr(append(s.dst, "<field"...), "var", name)
	if typ != "" {
		s.dst = wire.AppendAttr(s.dst, "type", typ)
	}
	if label != "" {
		s.dst = wire.AppendAttr(s.dst, "label", label)
	}
	s.dst = append(s.dst, '>')
}

func (s *sheet) flag(name, label string, on bool) {
	s.field(name, "boolean", label, bit(on))
}

// choice appends a field of type list-single or list-multi.
func (s *sheet) choice(name, typ, label string, chosen, from []string) {
	s.open(name, typ, label)
	for _, v := range chosen {
		s.dst = wire.AppendElem(s.dst, "value", v)
	}
	for _, v := range from {
		s.dst = append(s.dst, "<option>"...)
		s.dst = append(wire.AppendElem(s.dst, "value", v), "</option>"...)
	}
	s.dst = append(s.dst, "</field>"...)
}

func (s *sheet) end() []byte { return append(s.dst, "</x>"...) }

func bit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

func decimal(n int) string { return strconv.Itoa(n) }

// Package form reads and writes data forms (XEP-0004) whose FORM_TYPE says what they are for (XEP-0068). Reading is bounded;
// what is written is the server's own and trusted to be small.
package form

import (
	"strconv"

	"parley/xmpp/wire"
)

// NS is the namespace of XEP-0004.
const NS = "jabber:x:data"

// TypeField is the field that names a form's purpose (XEP-0068).
const TypeField = "FORM_TYPE"

// Answers are the fields of a submitted form, by name.
type Answers map[string][]string

// MostFields bounds the fields of a form, MostValues the values of all fields.
const (
	MostFields = 128
	MostValues = 1024
)

// Read reads a form that is submitted for the given FORM_TYPE. ok is false if it is too large or for something else; a form
// without FORM_TYPE passes, for old clients.
func Read(x wire.Elem, formType string) (a Answers, ok bool) {
	a = make(Answers)
	values := 0
	for it := x.Children(); it.Next(); {
		f := it.Elem
		if !f.Is("field", NS) {
			continue
		}
		name := f.AttrString("var")
		list := a[name]
		if len(a) > MostFields {
			return nil, false
		}
		for vs := f.Children(); vs.Next(); {
			if vs.Elem.Is("value", NS) {
				if values++; values > MostValues {
					return nil, false
				}
				list = append(list, vs.Elem.Text())
			}
		}
		a[name] = list
	}
	if t, typed := a[TypeField]; typed && (len(t) != 1 || t[0] != formType) {
		return nil, false
	}
	return a, true
}

// One returns the value of a field that has one, "" for every other.
func (a Answers) One(name string) string {
	if v := a[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// Text reads a field with one value. An absent field leaves what is there.
func (a Answers) Text(name string, to *string) {
	if v, ok := a[name]; ok {
		*to = ""
		if len(v) > 0 {
			*to = v[0]
		}
	}
}

// Flag reads a boolean field (XEP-0004 §3.3) and reports that it is absent or one.
func (a Answers) Flag(name string, to *bool) bool {
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

// Sheet writes a form. What it has written so far is appended to what New was given.
type Sheet struct{ dst []byte }

// New begins a form of the type "form" or "result" behind dst.
func New(dst []byte, typ, formType string) *Sheet {
	dst = append(dst, "<x xmlns='"+NS+"' type='"...)
	dst = append(append(dst, typ...), "'>"...)
	s := &Sheet{dst}
	s.Field(TypeField, "hidden", "", formType)
	return s
}

// Words appends a child such as title or instructions.
func (s *Sheet) Words(name, text string) { s.dst = wire.AppendElem(s.dst, name, text) }

// Field appends a field; typ and label may be empty.
func (s *Sheet) Field(name, typ, label string, values ...string) {
	s.open(name, typ, label)
	s.values(values)
	s.dst = append(s.dst, "</field>"...)
}

// Required appends a field that has to be filled in.
func (s *Sheet) Required(name, typ, label string, values ...string) {
	s.open(name, typ, label)
	s.dst = append(s.dst, "<required/>"...)
	s.values(values)
	s.dst = append(s.dst, "</field>"...)
}

func (s *Sheet) open(name, typ, label string) {
	s.dst = wire.AppendAttr(append(s.dst, "<field"...), "var", name)
	if typ != "" {
		s.dst = wire.AppendAttr(s.dst, "type", typ)
	}
	if label != "" {
		s.dst = wire.AppendAttr(s.dst, "label", label)
	}
	s.dst = append(s.dst, '>')
}

func (s *Sheet) values(list []string) {
	for _, v := range list {
		s.dst = wire.AppendElem(s.dst, "value", v)
	}
}

// Flag appends a boolean field.
func (s *Sheet) Flag(name, label string, on bool) {
	value := "0"
	if on {
		value = "1"
	}
	s.Field(name, "boolean", label, value)
}

// Number appends a field with a number.
func (s *Sheet) Number(name, typ, label string, n int) { s.Field(name, typ, label, strconv.Itoa(n)) }

// Choice appends a field of type list-single or list-multi.
func (s *Sheet) Choice(name, typ, label string, chosen, from []string) {
	s.open(name, typ, label)
	s.values(chosen)
	for _, v := range from {
		s.dst = append(s.dst, "<option>"...)
		s.dst = append(wire.AppendElem(s.dst, "value", v), "</option>"...)
	}
	s.dst = append(s.dst, "</field>"...)
}

// End closes the form and returns everything.
func (s *Sheet) End() []byte { return append(s.dst, "</x>"...) }

// EndWith closes the form behind an element of another namespace, which is complete XML (XEP-0133 §4.8).
func (s *Sheet) EndWith(elem []byte) []byte { return append(append(s.dst, elem...), "</x>"...) }

package pubsub

import "parley/xmpp/wire"

// answer is a field of a submitted form (XEP-0004) with its values.
type answer struct {
	name   string
	values []string
}

// mostFields and mostValues bound a form.
const (
	mostFields = 64
	mostValues = 256
)

// readForm reads the form in e that is submitted for a FORM_TYPE; ok is false if there is none, or if it is for something
// else, too large or repeats itself. A cancelled form is ok and has no fields.
func readForm(e wire.Elem, formType string) (fields []answer, ok bool) {
	x := e.Child("x", NSData)
	switch x.AttrString("type") {
	case "cancel":
		return nil, true
	case "submit":
	default:
		return nil, false
	}
	seen := make(map[string]bool)
	values, typed := 0, false
	for it := x.Children(); it.Next(); {
		if !it.Elem.Is("field", NSData) {
			continue
		}
		f := answer{name: it.Elem.AttrString("var")}
		if seen[f.name] || len(seen) == mostFields {
			return nil, false
		}
		seen[f.name] = true
		for vs := it.Elem.Children(); vs.Next(); {
			if vs.Elem.Is("value", NSData) {
				if values++; values > mostValues {
					return nil, false
				}
				f.values = append(f.values, vs.Elem.Text())
			}
		}
		if f.name == "FORM_TYPE" {
			typed = len(f.values) == 1 && f.values[0] == formType
			continue
		}
		fields = append(fields, f)
	}
	return fields, typed
}

// appendForm appends a form of the type "form" or "result" with these fields of a configuration.
func appendForm(dst []byte, typ, formType string, fields []field, c *config) []byte {
	dst = append(dst, "<x xmlns='"+NSData+"' type='"+typ+"'><field var='FORM_TYPE' type='hidden'>"...)
	dst = append(wire.AppendElem(dst, "value", formType), "</field>"...)
	for _, f := range fields {
		dst = wire.AppendAttr(append(dst, "<field"...), "var", f.name)
		if typ == "form" {
			dst = wire.AppendAttr(dst, "type", f.kind)
			dst = wire.AppendAttr(dst, "label", f.label)
		}
		dst = append(dst, '>')
		for _, v := range f.get(c) {
			dst = wire.AppendElem(dst, "value", v)
		}
		if typ == "form" {
			for _, o := range f.options {
				dst = append(dst, "<option>"...)
				dst = append(wire.AppendElem(dst, "value", o), "</option>"...)
			}
		}
		dst = append(dst, "</field>"...)
	}
	return append(dst, "</x>"...)
}

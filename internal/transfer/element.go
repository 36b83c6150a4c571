package transfer

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// AppendText appends character data.
func AppendText(dst []byte, s string) []byte {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(s)) // writing to memory does not fail
	return append(dst, b.Bytes()...)
}

// AppendAttr appends an attribute. Names that are none are left out; it reports whether it is in.
func AppendAttr(dst []byte, name, value string) ([]byte, bool) {
	if !IsName(name) {
		return dst, false
	}
	dst = append(append(append(dst, ' '), name...), "='"...)
	return append(AppendText(dst, value), '\''), true
}

// IsName reports that a name can be one of an element or an attribute, with the prefix xml or none.
func IsName(s string) bool {
	s = strings.TrimPrefix(s, "xml:")
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c > 0x7F
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// Sound reports that bytes are one well-formed element.
func Sound(b []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(b))
	depth, roots := 0, 0
	for {
		t, err := d.Token()
		if err != nil {
			return err.Error() == "EOF" && depth == 0 && roots == 1
		}
		switch t.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			depth--
		case xml.ProcInst, xml.Directive, xml.Comment:
			return false
		}
	}
}

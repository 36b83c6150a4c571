package xmpp

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// all splits text that comes in pieces of n bytes.
func all(text string, n int) (elements []string, err error) {
	var s splitter
	b := []byte(text)
	for fill := min(n, len(b)); ; {
		m, el, err := s.next(b[:fill])
		b, fill = b[m:], fill-m
		switch {
		case err == errMore && fill == len(b):
			return elements, err
		case err == errMore:
			fill = min(fill+n, len(b))
		case err != nil:
			return elements, err
		default:
			elements = append(elements, string(el.raw))
		}
	}
}

var streams = map[string]struct {
	text string
	want []string
	err  error
}{
	"stream start and stanzas": {
		"<?xml version='1.0'?>\n<stream:stream from='x' version='1.0'><a/>\n <b x='1'>t<c>&gt;</c></b>",
		[]string{"<stream:stream from='x' version='1.0'>", "<a/>", "<b x='1'>t<c>&gt;</c></b>"}, errMore,
	},
	"the end of a tag in an attribute":       {`<a x='>' y="/>'"><b z="'>"/></a><c/>`, []string{`<a x='>' y="/>'"><b z="'>"/></a>`, "<c/>"}, errMore},
	"the end of an element in a section":     {"<a><![CDATA[</a>]]></a>", []string{"<a><![CDATA[</a>]]></a>"}, errMore},
	"the end of the stream":                  {"<a/></stream:stream>", []string{"<a/>"}, errEnd},
	"text between stanzas":                   {"<a/>x", []string{"<a/>"}, errMalformed},
	"text before a stanza":                   {"<a/>x<b/>", []string{"<a/>"}, errMalformed},
	"a comment, which servers may not send":  {"<a/><!-- -->..", []string{"<a/>"}, errMalformed},
	"an instruction inside an element":       {"<a><?x?></a>", nil, errMalformed},
	"a stanza that has not come as a whole":  {"<a><b>", nil, errMore},
	"an attribute that has not come":         {"<a x='", nil, errMore},
	"an element that is too long to be true": {"<a>" + strings.Repeat("x", longest), nil, errLong},
}

func TestSplit(t *testing.T) {
	for name, c := range streams {
		t.Run(name, func(t *testing.T) {
			sizes := []int{1, 2, 7, 1 << 20}
			if len(c.text) > longest {
				sizes = sizes[2:]
			}
			for _, n := range sizes {
				got, err := all(c.text, n)
				if !slices.Equal(got, c.want) || err != c.err {
					t.Errorf("in pieces of %d: %q, %v", n, got, err)
				}
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	var s splitter
	_, el, err := s.next([]byte(`<iq  type='get' xid="x" id = "a'b" to="">"id='no'"</iq>`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"type": "get", "id": "a'b", "xid": "x", "to": ""} {
		if got := el.attr(name); got == nil || string(got) != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if el.attr("from") != nil || !el.is("iq") || el.is("i") || el.is("iqq") {
		t.Error("what is not there was found")
	}
}

// What encoding/xml reads as a stream of elements is split into the same elements, however it comes.
func FuzzSplit(f *testing.F) {
	for _, c := range streams {
		if len(c.text) < longest {
			f.Add(c.text, 3)
		}
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = max(1, n&0xff)
		whole, wholeErr := all(text, 1<<20)
		pieces, err := all(text, n)
		if !slices.Equal(whole, pieces) || !errors.Is(err, wholeErr) {
			t.Fatalf("whole %q, %v; in pieces of %d: %q, %v", whole, wholeErr, n, pieces, err)
		}
		for _, raw := range whole {
			var s splitter
			if _, el, err := s.next([]byte(raw)); err != nil || string(el.raw) != raw {
				t.Fatalf("%q is not itself: %v", raw, err)
			} else {
				el.attr("id")
				el.between("<", ">")
				occupant(&el)
			}
		}
		if strings.Contains(text, "<?") || strings.Contains(text, "<!") || strings.Contains(text, "stream:stream") {
			return // encoding/xml takes more of these than servers may send
		}
		if want, ok := reference(text); ok && !slices.Equal(whole, want) {
			t.Fatalf("%q: %q, want %q", text, whole, want)
		}
	})
}

// reference splits a well-formed text with encoding/xml.
func reference(text string) (out []string, ok bool) {
	d := xml.NewDecoder(strings.NewReader(text))
	start := int64(0)
	for depth := 0; ; {
		at := d.InputOffset()
		token, err := d.Token()
		if err == io.EOF && depth == 0 {
			return out, true
		}
		if err != nil {
			return nil, false
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				start = at
			}
			depth++
		case xml.EndElement:
			if depth--; depth == 0 {
				out = append(out, text[start:d.InputOffset()])
			}
		case xml.CharData:
			if depth == 0 && strings.Trim(text[at:d.InputOffset()], " \t\r\n") != "" || len(token) > 0 && depth == 0 && strings.Trim(string(token), " \t\r\n") != "" {
				return nil, false
			}
		}
	}
}

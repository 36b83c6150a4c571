package wire

import (
	"bytes"
	"encoding/xml"
	"io"
	"testing"
)

func TestStandaloneElementMeansTheSame(t *testing.T) {
	for _, c := range []struct{ name, stanza, want string }{
		{"nothing is needed", `<iq><a xmlns='u:a'><b xmlns='u:b' k="v">t</b></a></iq>`, `<b xmlns='u:b' k="v">t</b>`},
		{"default namespace of the parent", `<iq><a xmlns='u:a'><b/></a></iq>`, `<b xmlns='u:a'/>`},
		{"default namespace of the stream", `<iq><p:a xmlns:p='u:a'><b><c/></b></p:a></iq>`, `<b xmlns='jabber:client'><c/></b>`},
		{"default namespace of a prefixed element", `<iq><a xmlns='u:a'><p:b xmlns:p='u:p'><c/></p:b></a></iq>`,
			`<p:b xmlns='u:a' xmlns:p='u:p'><c/></p:b>`},
		{"prefix of the stanza", `<iq xmlns:p="u:'p"><a xmlns='u:a'><p:b/></a></iq>`, `<p:b xmlns='u:a' xmlns:p="u:'p"/>`},
		{"prefix used inside", `<iq xmlns:p='u:p'><a xmlns='u:a'><b xmlns='u:b'><c p:k='v'/></b></a></iq>`,
			`<b xmlns:p='u:p' xmlns='u:b'><c p:k='v'/></b>`},
		{"prefix not used", `<iq xmlns:p='u:p'><a xmlns='u:a'><b xmlns='u:b'>p</b></a></iq>`, `<b xmlns='u:b'>p</b>`},
		{"nearer declaration wins", `<iq xmlns:p='u:far'><a xmlns='u:a' xmlns:p='u:near'><p:b/></a></iq>`, `<p:b xmlns='u:a' xmlns:p='u:near'/>`},
		{"own declaration wins", `<iq xmlns:p='u:far'><a xmlns='u:a'><p:b xmlns:p='u:own'/></a></iq>`, `<p:b xmlns='u:a' xmlns:p='u:own'/>`},
		{"empty default namespace", `<iq><a xmlns='u:a'><b xmlns=''/></a></iq>`, `<b xmlns=''/>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Scanner{Limits: AfterAuth}
			_, p, err := s.Next([]byte(c.stanza))
			if err != nil {
				t.Fatal(err)
			}
			got := p.Elem().First().First().AppendStandalone(nil)
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestStandaloneReachesFourAncestors(t *testing.T) {
	s := Scanner{Limits: AfterAuth}
	_, p, err := s.Next([]byte(`<iq xmlns:q='u:q'><pubsub xmlns='u:ps'><publish><item><q:e/></item></publish></pubsub></iq>`))
	if err != nil {
		t.Fatal(err)
	}
	got := p.Elem().First().First().First().First().AppendStandalone(nil)
	if want := `<q:e xmlns='u:ps' xmlns:q='u:q'/>`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTagsAroundOtherContent(t *testing.T) {
	for _, c := range [][2]string{
		{`<a k='/>' />`, `<a k='/>' >x</a>`},
		{`<a/>`, `<a>x</a>`},
		{`<a><b/></a>`, `<a>x</a>`},
		{`<p:a xmlns:p="u/"><b/></p:a>`, `<p:a xmlns:p="u/">x</p:a>`},
		{`<a k="/"></a>`, `<a k="/">x</a>`},
	} {
		e := ParseElem([]byte(c[0]))
		if got := e.AppendClose(append(e.AppendOpen(nil), ">x"...)); string(got) != c[1] {
			t.Errorf("%s became %s, want %s", c[0], got, c[1])
		}
	}
}

// FuzzStandalone compares the names that encoding/xml resolves in place with those that it resolves alone.
func FuzzStandalone(f *testing.F) {
	f.Add([]byte(`<iq xmlns:p='u:p' xmlns:q='u:q'><a xmlns='u:a'><p:b q:k='1'><c xmlns='u:c'/><d/></p:b></a></iq>`))
	f.Add([]byte(`<iq><p:a xmlns:p='u:a'><b><p:c/></b></p:a></iq>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Scanner{Limits: AfterAuth}
		_, p, err := s.Next(b)
		if err != nil || p.Elem().First().First().Raw() == nil {
			return
		}
		e := p.Elem().First().First()
		alone := e.AppendStandalone(nil)
		whole := append(append([]byte(`<s xmlns='`+NSClient+`'>`), p.Raw()...), "</s>"...)
		at := cap(p.Raw()) - cap(e.Raw()) // the one is a slice of the other
		want := names(whole, len("<s xmlns='"+NSClient+"'>")+at, len(e.Raw()))
		if got := names(alone, 0, len(alone)); want != nil && got != nil && !bytes.Equal(got, want) {
			t.Errorf("%s alone is %s:\n%s\nand in place:\n%s", e.Raw(), alone, got, want)
		}
	})
}

// names lists the resolved names of elements and attributes between two offsets, nil if encoding/xml refuses the document.
func names(doc []byte, from, length int) []byte {
	d := xml.NewDecoder(bytes.NewReader(doc))
	out := []byte("names:")
	for {
		at := int(d.InputOffset())
		token, err := d.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			return nil
		}
		start, ok := token.(xml.StartElement)
		if !ok || at < from || at >= from+length {
			continue
		}
		out = append(out, "\n"+start.Name.Space+" "+start.Name.Local...)
		for _, a := range start.Attr {
			if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
				out = append(out, " "+a.Name.Space+" "+a.Name.Local+"="+a.Value...)
			}
		}
	}
}

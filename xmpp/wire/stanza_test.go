package wire

import (
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	mstanza "mellium.im/xmpp/stanza"
)

func parse(t testing.TB, raw string) *Packet {
	t.Helper()
	s := Scanner{Limits: AfterAuth}
	_, p, err := s.Next([]byte(raw))
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return p
}

func TestForwardingKeepsTheBody(t *testing.T) {
	p := parse(t, `<message xmlns="jabber:client" xml:lang='de' to='x' from='evil@x' id="a'b" xmlns:p='u' p:q='1'><body>a &#38; b</body><p:x/></message>`)
	got := string(p.AppendTail(AppendStart(nil, Message, "", "bob@x/y'z"), "ann@x/&"))
	want := `<message to='bob@x/y&apos;z' from='ann@x/&amp;' xml:lang='de' id="a'b" xmlns:p='u' p:q='1'><body>a &#38; b</body><p:x/></message>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(parse(t, `<presence/>`).AppendTail(AppendStart(nil, Presence, NSClient, "a@b"), "c@d")); got != `<presence xmlns='jabber:client' to='a@b' from='c@d'/>` {
		t.Error(got)
	}
}

func TestErrorTo(t *testing.T) {
	p := parse(t, `<iq to='x' id="1'" type='get'><q xmlns='u'/></iq>`)
	e := Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable, Text: "no <such> thing", App: "<gone xmlns='u'/>"}
	s := e.ErrorTo(p, "x.net")
	got := string(append(AppendStart(nil, s.Kind, "", "a@b/c"), s.Tail...))
	want := `<iq to='a@b/c' from='x.net' id="1'" type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no &lt;such&gt; thing</text><gone xmlns='u'/></error></iq>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestElem(t *testing.T) {
	p := parse(t, `<iq xmlns:p='urn:p'><p:a x='1' y="&lt;2"/><b xmlns='urn:b'>t<![CDATA[<c/>&]]>&amp;<c><p:d/></c><c n='2'/></b><e/></iq>`)
	e := p.Elem()
	if !e.Child("a", "urn:p").Ok() || e.Child("a", "urn:b").Ok() || !e.Child("e", "").Ok() || !e.Child("e", NSClient).Ok() {
		t.Error("children by name and namespace")
	}
	a := e.First()
	if a.AttrString("x") != "1" || a.AttrString("y") != "<2" || a.AttrString("z") != "" {
		t.Error("attributes")
	}
	b := e.Child("b", "urn:b")
	if b.Text() != "t<c/>&&" {
		t.Errorf("text %q", b.Text())
	}
	if !b.Child("c", "urn:b").Child("d", "urn:p").Ok() {
		t.Error("prefix of an ancestor")
	}
	n := 0
	for it := b.Children(); it.Next(); n++ {
	}
	if n != 2 {
		t.Errorf("%d children", n)
	}
}

// FuzzEscape: what is escaped reads back the same, as text and inside either quote.
func FuzzEscape(f *testing.F) {
	f.Add("a<b>&'\"\t\r\n\x00\uFFFE é😀")
	f.Fuzz(func(t *testing.T, in string) {
		out := AppendAttr([]byte("<a"), "b", in)
		out = AppendElem(append(out, '>'), "c", in)
		out = append(out, "</a>"...)
		p := parse(t, string(out))
		want := strings.Map(func(r rune) rune {
			if !isChar(r) {
				return utf8.RuneError
			}
			return r
		}, string([]rune(in)))
		if got := p.Elem().AttrString("b"); got != want {
			t.Errorf("%q in a value reads %q", in, got)
		}
		if got := p.Elem().First().Text(); got != want {
			t.Errorf("%q in text reads %q", in, got)
		}
		var std struct {
			B string `xml:"b,attr"`
			C string `xml:"c"`
		}
		if err := xml.Unmarshal(out, &std); err != nil || std.B != want || std.C != want {
			t.Errorf("%q: encoding/xml reads %+v, %v", out, std, err)
		}
	})
}

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"
)

func TestScannerRefuses(t *testing.T) {
	nested := strings.Repeat("<a>", 33)
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"HX1 doctype", `<!DOCTYPE a>`, ErrDoctype},
		{"HX1 doctype inside", `<a><!DOCTYPE a>`, ErrDoctype},
		{"HX1 comment", `<a><!-- x --></a>`, ErrComment},
		{"HX1 comment between", `<!-- x -->`, ErrComment},
		{"HX1 processing instruction", `<a><?x y?></a>`, ErrInstruction},
		{"HX1 second declaration", `<?xml version='1.0'?><a/>`, ErrInstruction},
		{"HX1 entity", `<a>&bogus;</a>`, ErrEntity},
		{"HX1 entity in value", `<a b='&bogus;'/>`, ErrEntity},
		{"HX1 entity without end", `<a>&` + strings.Repeat("x", 20) + `</a>`, ErrEntity},
		{"HX3 size", `<a>` + strings.Repeat("x", 262_144), ErrSize},
		{"HX3 size complete", `<a>` + strings.Repeat("x", 262_144) + `</a>`, ErrSize},
		{"HX4 depth", nested, ErrDepth},
		{"HX4 children", `<a>` + strings.Repeat("<b/>", 4097), ErrChildren},
		{"HX4 attributes", `<a` + numbered(` a%d=''`, 65) + `/>`, ErrAttrs},
		{"HX4 declarations", `<a` + numbered(` xmlns:a%d='u'`, 33) + `/>`, ErrDecls},
		{"HX4 element name", `<` + strings.Repeat("a", 300) + `/>`, ErrName},
		{"HX4 attribute name", `<a ` + strings.Repeat("a", 300) + `=''/>`, ErrName},
		{"HX4 name without end", `<` + strings.Repeat("a", 300), ErrName},
		{"HX4 value", `<a b='` + strings.Repeat("x", 40_000) + `'/>`, ErrValue},
		{"HX4 value without end", `<a b='` + strings.Repeat("x", 40_000), ErrValue},
		{"HX5 doubled attribute", `<a b='1' b='2'/>`, ErrMalformed},
		{"HX5 doubled by prefixes", `<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>`, ErrMalformed},
		{"HX5 doubled by inherited prefix", `<a xmlns:p='u'><b xmlns:q='u' p:b='1' q:b='2'/></a>`, ErrMalformed},
		{"HX5 undeclared element prefix", `<a><p:b/></a>`, ErrPrefix},
		{"HX5 undeclared attribute prefix", `<a p:b=''/>`, ErrPrefix},
		{"HX5 prefix out of scope", `<a><b xmlns:p='u'/><p:c/></a>`, ErrPrefix},
		{"HX5 stream prefix inside", `<a><stream:b/></a>`, ErrPrefix},
		{"HX5 stream prefix on attribute", `<a stream:b=''/>`, ErrPrefix},
		{"HX5 xml rebound", `<a xmlns:xml='u'/>`, ErrMalformed},
		{"HX5 xml bound again", `<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>`, ErrMalformed},
		{"HX5 xmlns rebound", `<a xmlns:xmlns='u'/>`, ErrMalformed},
		{"HX5 prefix bound to nothing", `<a xmlns:p=''/>`, ErrMalformed},
		{"HX5 default bound to xml", `<a xmlns='http://www.w3.org/XML/1998/namespace'/>`, ErrMalformed},
		{"HX5 namespace with space", `<a xmlns='u v'/>`, ErrMalformed},
		{"HX5 namespace with reference", `<a xmlns='u&amp;v'/>`, ErrMalformed},
		{"HX5 empty prefix", `<:a/>`, ErrMalformed},
		{"HX5 empty local part", `<a:/>`, ErrMalformed},
		{"HX5 two colons", `<a:b:c/>`, ErrMalformed},
		{"HX5 no space between attributes", `<a b='1'c='2'/>`, ErrMalformed},
		{"HX5 name begins with digit", `<1a/>`, ErrMalformed},
		{"HX5 name character", `<a*/>`, ErrMalformed},
		{"HX5 value without quotes", `<a b=1/>`, ErrMalformed},
		{"HX5 attribute without value", `<a b/>`, ErrMalformed},
		{"HX5 less-than in value", `<a b='<'/>`, ErrMalformed},
		{"HX5 wrong end tag", `<a></b>`, ErrMalformed},
		{"HX5 end tag first", `</a>`, ErrMalformed},
		{"HX5 slash without end", `<a / >`, ErrMalformed},
		{"HX5 end of CDATA in text", `<a>]]></a>`, ErrMalformed},
		{"HX5 end tag with much space", `<a></a` + strings.Repeat(" ", 100), ErrMalformed},
		{"HX6 overlong", "<a>\xc0\x80</a>", ErrEncoding},
		{"HX6 surrogate", "<a>\xed\xa0\x80</a>", ErrEncoding},
		{"HX6 truncated", "<a>\xe2\x82</a>", ErrEncoding},
		{"HX6 beyond Unicode", "<a>\xf4\x90\x80\x80</a>", ErrEncoding},
		{"HX6 NUL", "<a>\x00</a>", ErrEncoding},
		{"HX6 control", "<a b='\x0b'/>", ErrEncoding},
		{"HX6 U+FFFE", "<a>\uFFFE</a>", ErrEncoding},
		{"HX6 U+FFFF in CDATA", "<a><![CDATA[\uFFFF]]></a>", ErrEncoding},
		{"HX6 control in CDATA", "<a><![CDATA[\x01]]></a>", ErrEncoding},
		{"HX6 reference to NUL", "<a>&#0;</a>", ErrEncoding},
		{"HX6 reference to surrogate", "<a>&#xD800;</a>", ErrEncoding},
		{"HX6 reference out of range", "<a>&#x110000;</a>", ErrEncoding},
		{"HX6 reference with capital X", "<a>&#X41;</a>", ErrMalformed},
		{"HX7 text between", `<a/>x<b/>`, ErrText},
		{"HX7 CDATA between", `<![CDATA[x]]>`, ErrText},
		{"HX7 close", `</stream:stream>`, ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{1, 7, len(c.in)} {
				packets, err := scanAll([]byte(c.in), AfterAuth, chunk)
				if err != c.want {
					t.Errorf("in chunks of %d: %v, want %v", chunk, err, c.want)
				}
				for _, p := range packets {
					if c.in[:4] != "<a/>" {
						t.Errorf("accepted %q", p)
					}
				}
			}
		})
	}
}

func TestScannerAccepts(t *testing.T) {
	for _, in := range []string{
		`<a/>`, `<a></a>`, `<a ></a >`, "<a\n/>", `<a b=" ' " c=' " ] > '/>`, `<a>]] ]&gt;</a>`, `<a><![CDATA[ <x> &y; ]]]]></a>`,
		`<a xml:lang='en'/>`, `<a xmlns:p='u'><p:b p:c=''/></a>`, `<a xmlns=''/>`, `<a><b xmlns='u'/><b xmlns=''/></a>`,
		`<a>&#x10FFFF;&#0000065;</a>`, `<stream:error/>`, `<a>ö😀` + "\u0085\u2028" + `</a>`, `<a b='1' B='2'/>`,
	} {
		packets, err := scanAll([]byte(in), AfterAuth, 1)
		if err != ErrIncomplete || len(packets) != 1 || packets[0] != in {
			t.Errorf("%q: %q, %v", in, packets, err)
		}
	}
}

func TestBeforeAuthLimits(t *testing.T) {
	for in, want := range map[string]error{
		`<a>` + strings.Repeat("x", 5000):           ErrTextSize,
		`<a><![CDATA[` + strings.Repeat("x", 5000):  ErrTextSize,
		strings.Repeat("<a>", 9):                    ErrDepth,
		`<a b='` + strings.Repeat("x", 1100) + `'`:  ErrValue,
		`<a>` + strings.Repeat("<b/>", 65):          ErrChildren,
		`<a>` + strings.Repeat("<b>xxxx</b>", 1000): ErrChildren,
	} {
		if _, err := scanAll([]byte(in), BeforeAuth, len(in)); err != want {
			t.Errorf("%.20q: %v, want %v", in, err, want)
		}
	}
}

// scanAll feeds b in chunks and returns what came out until the first error.
func scanAll(b []byte, limits Limits, chunk int) (packets []string, err error) {
	s := Scanner{Limits: limits}
	for from, to := 0, 0; ; {
		buf := b[from:to]
		if len(b) < 2000 {
			buf = bytes.Clone(buf) // memory that moves
		}
		n, p, err := s.Next(buf)
		from += n
		switch {
		case err == nil:
			packets = append(packets, string(p.Raw()))
			buf = nil
		case err != ErrIncomplete || to == len(b):
			return packets, err
		default:
			to = min(to+chunk, len(b))
		}
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// Bytes that trickle in are looked at once: the scanner goes on where it stopped, also inside a tag.
func TestTricklingTagIsScannedOnce(t *testing.T) {
	in := []byte(`<a ` + strings.Repeat(" ", 1000) + `b='` + strings.Repeat("x", 30_000) + `' ` + strings.Repeat(" ", 1000) + `/>`)
	s := Scanner{Limits: AfterAuth}
	for i := 1; i < len(in); i++ {
		if _, _, err := s.Next(in[:i]); err != ErrIncomplete {
			t.Fatal(i, err)
		}
		if behind := i - s.tag.next; behind > 4 {
			t.Fatalf("after byte %d the scanner would go back by %d", i, behind)
		}
	}
	if _, p, err := s.Next(in); err != nil || len(p.Raw()) != len(in) {
		t.Fatal(err)
	}
}

func TestMutatedDocuments(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 5000 {
		checkDocument(t, mutate(r))
	}
}

// checkDocument scans whole and in random chunks, wants the same result, and checks every packet.
func checkDocument(t *testing.T, doc []byte) (packets []string) {
	t.Helper()
	packets, err := scanAll(doc, AfterAuth, max(len(doc), 1))
	for _, chunk := range []int{1, 3, 40} {
		got, chunkErr := scanAll(doc, AfterAuth, chunk)
		if fmt.Sprint(got) != fmt.Sprint(packets) || chunkErr != err {
			t.Fatalf("%q in chunks of %d: %q, %v; whole: %q, %v", doc, chunk, got, chunkErr, packets, err)
		}
	}
	var v *Violation
	if err != ErrIncomplete && err != ErrClosed && !errors.As(err, &v) {
		t.Fatalf("%q: %v", doc, err)
	}
	for _, raw := range packets {
		s := Scanner{Limits: AfterAuth}
		if _, p, err := s.Next([]byte(raw)); err != nil {
			t.Fatal(err)
		} else {
			checkPacket(t, p)
		}
	}
	return packets
}

func FuzzScanner(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	for _, b := range bits {
		f.Add([]byte("<message to='a@b'>" + b + "</message>"))
		f.Add([]byte("<message " + b + "/>"))
	}
	f.Fuzz(func(t *testing.T, doc []byte) { checkDocument(t, doc) })
}

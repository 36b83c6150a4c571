package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"sort"
	"strings"
	"testing"
)

const streamRoot = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a' version='1.0'>"

// stdTree writes the element as encoding/xml sees it inside a client stream, in the words of testdata/expat.py.
func stdTree(raw []byte) (string, error) {
	d := xml.NewDecoder(io.MultiReader(strings.NewReader(streamRoot), bytes.NewReader(raw)))
	var out []string
	depth, tops := 0, 0
	expanded := func(n xml.Name) string {
		switch {
		case n.Space == "":
			return hexed(n.Local)
		case n.Space == "xml": // encoding/xml keeps this prefix for attributes
			n.Space = nsXML
		}
		return hexed(n.Space + "\x01" + n.Local)
	}
	for {
		t, err := d.Token()
		if err == io.EOF || err != nil && depth == 1 && strings.Contains(err.Error(), "unexpected EOF") {
			break
		}
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				continue
			}
			var attrs []string
			for _, a := range t.Attr {
				if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
					continue
				}
				value := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(a.Value)
				attrs = append(attrs, expanded(a.Name)+" "+hexed(value)) // a space sorts before all digits
			}
			sort.Strings(attrs)
			for i := range attrs {
				attrs[i] = strings.Replace(attrs[i], " ", "=", 1)
			}
			out = append(out, "("+strings.Join(append([]string{expanded(t.Name)}, attrs...), " "))
		case xml.EndElement:
			if depth--; depth == 1 {
				tops++
			}
			out = append(out, ")")
		case xml.CharData:
			if depth < 2 || len(t) == 0 {
				continue
			}
			if n := len(out); n > 0 && out[n-1][0] == 't' {
				out[n-1] += hexed(string(t))
			} else {
				out = append(out, "t"+hexed(string(t)))
			}
		default:
			return "", fmt.Errorf("restricted token %T", t)
		}
	}
	if tops != 1 {
		return "", fmt.Errorf("%d top-level elements", tops)
	}
	return strings.Join(out, ";"), nil
}

func hexed(s string) string { return hex.EncodeToString([]byte(s)) }

// checkPacket compares the packet's view of its bytes with encoding/xml's, and the forwarded form with the received
// one. It returns the two trees.
func checkPacket(t *testing.T, p *Packet) (received, forwarded string, out []byte) {
	t.Helper()
	raw := p.Raw()
	received, err := stdTree(raw)
	if err != nil {
		t.Fatalf("accepted %q, encoding/xml: %v", raw, err)
	}
	d := xml.NewDecoder(io.MultiReader(strings.NewReader(streamRoot), bytes.NewReader(raw)))
	var head xml.StartElement
	for n := 0; n < 2; {
		tok, err := d.Token()
		if err != nil {
			t.Fatalf("accepted %q, encoding/xml: %v", raw, err)
		}
		if s, ok := tok.(xml.StartElement); ok {
			head = s
			n++
		}
	}
	if _, local, found := strings.Cut(string(p.Name()), ":"); found && local != head.Name.Local || !found && string(p.Name()) != head.Name.Local {
		t.Fatalf("%q: name %q, encoding/xml %v", raw, p.Name(), head.Name)
	}
	for name, got := range map[string][]byte{"to": p.To(), "from": p.From(), "id": p.ID(), "type": p.Type()} {
		want, there := "", false
		for _, a := range head.Attr {
			if a.Name.Space == "" && a.Name.Local == name {
				want, there = a.Value, true
			}
		}
		if (got != nil) != there || UnescapeString(got) != want {
			t.Fatalf("%q: attribute %s = %q, encoding/xml %q", raw, name, got, want)
		}
	}
	checkChildren(t, p, d)
	if p.Kind == Other {
		return received, received, raw
	}
	out = AppendStart(nil, p.Kind, "", "t@t")
	out = p.AppendTail(out, "f@f")
	s := Scanner{Limits: AfterAuth}
	n, q, err := s.Next(out)
	if err != nil || n != len(out) {
		t.Fatalf("%q forwarded as %q: %d, %v", raw, out, n, err)
	}
	if string(q.To()) != "t@t" || string(q.From()) != "f@f" {
		t.Fatalf("%q forwarded as %q: from %q to %q", raw, out, q.From(), q.To())
	}
	forwarded, err = stdTree(out)
	if err != nil {
		t.Fatalf("%q forwarded as %q: %v", raw, out, err)
	}
	_, body, _ := strings.Cut(received, ";")
	if _, same, _ := strings.Cut(forwarded, ";"); same != body && (p.NS() == nil || string(p.NS()) == NSClient) {
		t.Fatalf("%q forwarded as %q: another tree", raw, out)
	}
	return received, forwarded, out
}

// checkChildren compares the cursor's view of the child elements with what encoding/xml reads from d.
func checkChildren(t *testing.T, p *Packet, d *xml.Decoder) {
	t.Helper()
	it := p.Elem().Children()
	for depth, first := 0, true; ; {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth++; depth > 1 {
				continue
			}
			if !it.Next() {
				t.Fatalf("%q: cursor misses %v", p.Raw(), tok.Name)
			}
			ns := string(it.Elem.NS())
			if ns == "" && !explicitlyNone(it.Elem) {
				ns = NSClient
			}
			if string(it.Elem.Local()) != tok.Name.Local || ns != tok.Name.Space {
				t.Fatalf("%q: cursor at {%s}%s, encoding/xml %v", p.Raw(), ns, it.Elem.Local(), tok.Name)
			}
			if first {
				local, cns := p.Child()
				if string(local) != tok.Name.Local || string(cns) != string(it.Elem.NS()) {
					t.Fatalf("%q: first child {%s}%s, encoding/xml %v", p.Raw(), cns, local, tok.Name)
				}
				first = false
			}
		case xml.EndElement:
			if depth--; depth < 0 {
				if it.Next() {
					t.Fatalf("%q: cursor invents %q", p.Raw(), it.Elem.Raw())
				}
				return
			}
		}
	}
}

// explicitlyNone reports that the element's namespace is "" because somebody wrote xmlns=”.
func explicitlyNone(e Elem) bool { return e.NS() != nil }

package hostile

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// tree writes the tree that encoding/xml reads, with names resolved and without the attributes of the outermost element,
// which the server rewrites.
func tree(t *testing.T, stanza string) string {
	t.Helper()
	var out strings.Builder
	d := xml.NewDecoder(strings.NewReader(stanza))
	for depth := 0; ; {
		token, err := d.Token()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			t.Fatalf("%s: %v", stanza, err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				continue
			}
			fmt.Fprintf(&out, "<%s %s", e.Name.Space, e.Name.Local)
			for _, a := range e.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					fmt.Fprintf(&out, " {%s}%s=%q", a.Name.Space, a.Name.Local, a.Value)
				}
			}
			out.WriteByte('>')
		case xml.EndElement:
			depth--
			out.WriteString("</>")
		case xml.CharData:
			out.Write(e)
		}
	}
}

// mark is the id that a message has in its receiver's archive (XEP-0359 §3).
var mark = regexp.MustCompile(`<stanza-id xmlns='urn:xmpp:sid:0' by='bob@localhost' id='[^']*'/>`)

// unmarked is a message without what the receiver's server added to it.
func unmarked(got string) string { return mark.ReplaceAllString(got, "") }

// TestHX8ForwardedTree: what is forwarded is the tree that was sent, over every pair of transports. The same with expat and
// mutated documents is TestExpat of xmpp/wire.
func TestHX8ForwardedTree(t *testing.T) {
	const stanza = `<message xmlns='jabber:client' to="%s" id='t'><body xml:lang="de">a &amp; b &#x1D11E; ]] &gt;</body>` +
		`<p:x xmlns:p='urn:p' p:a='1' b="it's"><q xmlns='urn:q'><p:y/><![CDATA[<raw>&amp;]]></q></p:x><z xmlns=''/></message>`
	for from, open := range doors {
		for to, other := range doors {
			t.Run(from+" to "+to, func(t *testing.T) {
				sender, receiver := user(t, open(t), "ann"), user(t, other(t), "bob")
				sent := fmt.Sprintf(stanza, receiver.JID)
				sender.Send(sent)
				got := unmarked(receiver.Expect("id='t'"))
				if !receiver.WS { // the stream's own namespace is declared in its header
					got = strings.Replace(got, "<message", "<message xmlns='jabber:client'", 1)
				}
				if want := tree(t, sent); tree(t, got) != want {
					t.Errorf("sent %s\ngot  %s", want, tree(t, got))
				}
				if strings.Count(got[:strings.Index(got, ">")], "xmlns=") != 1 {
					t.Errorf("the default namespace is declared twice: %s", got)
				}
			})
		}
	}
}

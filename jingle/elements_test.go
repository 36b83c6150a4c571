package jingle

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"parley/xmpp/wire"
)

// elements lists an element and all below it, one a line with the attributes that matter, sorted within their parent, so
// that two ways of writing the same thing compare equal. Numbers that say the default are left out.
func elements(e wire.Elem) string {
	var b strings.Builder
	list(&b, e, 0, "")
	return b.String()
}

func list(b *strings.Builder, e wire.Elem, depth int, outer string) {
	ns := string(e.NS())
	fmt.Fprintf(b, "%*s{%s}%s", depth, "", ns, e.Local())
	for _, name := range []string{"action", "sid", "initiator", "responder", "name", "creator", "senders", "media", "id", "clockrate",
		"channels", "value", "type", "subtype", "ufrag", "pwd", "hash", "setup", "component", "port", "priority", "protocol", "ip",
		"foundation", "generation", "network", "tcptype", "rel-addr", "rel-port", "uri", "tag", "crypto-suite", "key-params", "ssrc", "semantics"} {
		if v, ok := e.Attr(name); ok {
			fmt.Fprintf(b, " %s=%s", name, wire.UnescapeString(v))
		}
	}
	if text := strings.TrimSpace(e.Text()); text != "" {
		fmt.Fprintf(b, " %q", text)
	}
	b.WriteByte('\n')
	var children []string
	for it := e.Children(); it.Next(); {
		var c strings.Builder
		list(&c, it.Elem, depth+1, ns)
		children = append(children, c.String())
	}
	sort.Strings(children)
	b.WriteString(strings.Join(children, ""))
}

func checkMessage(t *testing.T, stanza wire.Elem) {
	t.Helper()
	m, err := MessageIn(stanza)
	if err != nil || m == nil {
		t.Fatalf("%v %v", m, err)
	}
	for it := stanza.Children(); it.Next(); {
		if string(it.Elem.NS()) == NSMessage {
			if got, want := elements(elem(t, string(m.Append(nil)))), elements(it.Elem); got != want {
				t.Errorf("written anew it holds\n%s\nwhere the client wrote\n%s", got, want)
			}
		}
	}
}

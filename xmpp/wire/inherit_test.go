package wire

import (
	"strings"
	"testing"
)

func TestInheriting(t *testing.T) {
	for in, want := range map[string]string{
		` id='1'/>`: ` id='1'/>`,
		` from='a@b'><body xmlns='jabber:client'>hi</body></message>`:                                             ` from='a@b'><body>hi</body></message>`,
		` id="1"><body  xmlns="jabber:client" xml:lang='de'>hi</body><x xmlns='urn:x'/></message>`:                ` id="1"><body  xml:lang='de'>hi</body><x xmlns='urn:x'/></message>`,
		`>a<![CDATA[<]]><body xmlns='jabber:client'/>b</message>`:                                                 `>a<![CDATA[<]]><body/>b</message>`,
		`><f xmlns='urn:f'><message xmlns='jabber:client'><body/></message></f></message>`:                        `><f xmlns='urn:f'><message xmlns='jabber:client'><body/></message></f></message>`,
		`><error xmlns='jabber:client' type='wait'><x xmlns='urn:x'/></error ></message>`:                         `><error type='wait'><x xmlns='urn:x'/></error ></message>`,
		`><body xmlns='jabber:server'/><p:body xmlns:p='jabber:client'/><a b="xmlns='jabber:client'"/></message>`: `><body xmlns='jabber:server'/><p:body xmlns:p='jabber:client'/><a b="xmlns='jabber:client'"/></message>`,
	} {
		if got := (Stanza{Kind: Message, Tail: []byte(in)}).Inheriting(NSClient); string(got.Tail) != want || got.Kind != Message {
			t.Errorf("%s\nbecomes %s\nwant    %s", in, got.Tail, want)
		}
	}
}

// FuzzInheriting: what comes out is accepted as what went in was, and no child names the namespace any more.
func FuzzInheriting(f *testing.F) {
	f.Add([]byte(`<message from='a@b' to='c@d'>x<body xmlns='jabber:client'>hi</body><x xmlns="urn:x"><body xmlns='jabber:client'/></x></message>`))
	f.Add([]byte("<iq\tid='1'\ttype='get'><query\n xmlns='jabber:client'\t/></iq>"))
	f.Add([]byte(`<presence/>`))
	f.Fuzz(func(t *testing.T, in []byte) {
		_, p, err := (&Scanner{Limits: AfterAuth}).Next(in)
		if err != nil || p.Kind == Other {
			return
		}
		st := p.Clone().Stanza("a@b/c").Inheriting(NSClient)
		raw := append(AppendStart(nil, st.Kind, "", "d@e"), st.Tail...)
		limits := AfterAuth
		limits.Attrs++
		limits.Size += 100
		_, q, err := (&Scanner{Limits: limits}).Next(raw)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", in, raw, err)
		}
		for it := q.Elem().Children(); it.Next(); {
			if v, _ := it.Elem.Attr("xmlns"); string(v) == NSClient {
				t.Fatalf("%q becomes %q", in, raw)
			}
		}
	})
}

func TestHeaderOfAServer(t *testing.T) {
	_, h, err := ParseHeader([]byte(`<stream:stream xmlns='jabber:server' xmlns:call='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams' id='a&lt;b' from='x' version='1.0'>`), BeforeAuth)
	if err != nil || h.ID != "a<b" || h.Dialback != "call" || h.ContentNS != NSServer {
		t.Errorf("%+v %v", h, err)
	}
	_, h, _ = ParseHeader([]byte(`<stream:stream xmlns='jabber:server' id='1' xmlns:db='urn:x' db:y='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>`), BeforeAuth)
	if h.Dialback != "" {
		t.Errorf("%+v", h)
	}
}

func TestPrefixOfTheRoot(t *testing.T) {
	for in, fine := range map[string]bool{
		`<db:result from='a' to='b'>key</db:result>`: true,
		`<db:result db:from='a'/>`:                   false,
		`<message><db:result/></message>`:            false,
		`<db:result><db:x/></db:result>`:             false,
		`<dc:result/>`:                               false,
		`<:result/>`:                                 false,
	} {
		for _, root := range []string{"db", ""} {
			_, p, err := (&Scanner{Limits: BeforeAuth, Root: root}).Next([]byte(in))
			if (err == nil) != (fine && root != "") {
				t.Errorf("%s with root %q: %v", in, root, err)
			}
			if err == nil && (p.Kind != Other || string(p.Elem().Local()) != "result" || p.Elem().Text() != "key" || !strings.HasPrefix(string(p.Name()), "db:")) {
				t.Errorf("%s: %q", in, p.Name())
			}
		}
	}
}

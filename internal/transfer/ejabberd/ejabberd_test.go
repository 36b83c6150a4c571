package ejabberd

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// read is all terms of a text.
func read(text string) (all []any, err error) {
	err = terms(strings.NewReader(text), func(v any) error { all = append(all, v); return nil })
	return all, err
}

func TestTerms(t *testing.T) {
	for text, want := range map[string][]any{
		"":                                  nil,
		"a.\n":                              {atom("a")},
		"{a,1,-2.5}.\n[].\n":                {tuple{atom("a"), int64(1), -2.5}, list(nil)},
		"{<<\"x.\n\">>,\n <<>>}.\n":         {tuple{"x.\n", ""}},
		"<<65,195,132>>.":                   {"AÄ"},
		`<<"a\"\\\n\x{41}\303\244"/utf8>>.`: {"a\"\\\nAä"},
		"{'Odd atom',\"text\"}.":            {tuple{atom("Odd atom"), "text"}},
		"% a comment\n{a,[b|c]}.":           nil,
		"{a, % inside\n b}.\n":              {tuple{atom("a"), atom("b")}},
		"[<<\"L\xc3\xa4ufer\">>].":          {list{"Läufer"}},
	} {
		got, err := read(text)
		if bad := strings.Contains(text, "|"); bad != (err != nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v %v, want %#v", text, got, err, want)
		}
	}
}

func TestTermsRefuse(t *testing.T) {
	for _, text := range []string{"{a", "{a}", "<<256>>.", "<<\"a\"", "<<1 2>>.", "{a,}.", "#{}.", "fun() -> 1 end.", "\"\\q\".", "X.", "\"\\x{110000}\".", strings.Repeat("{", 300) + strings.Repeat("}", 300) + "."} {
		if got, err := read(text); err == nil {
			t.Errorf("%q: %#v", text, got)
		}
	}
}

const dump = `{tables,[{passwd,[{record_name,passwd}]}]}.
{passwd,{<<"ann">>,<<"a.example">>},<<"secret">>}.
{passwd,{<<"bob">>,<<"a.example">>},{scram,<<"87IyEsSYibGQiLakrrJ+ir575j0=">>,<<"u2bwxAPsWWFwPr0PT0/LdeQEGao=">>,<<"VADE3stLSZUno+9uxllx7g==">>,4096}}.
{passwd,{<<"cy">>,<<"a.example">>},{scram,<<"AA==">>,<<"AA==">>,<<"AA==">>,sha256,4096}}.
{passwd,{<<"eve">>,<<"b.example">>},<<"secret">>}.
{roster,x,{<<"ann">>,<<"a.example">>},{<<"bob">>,<<"a.example">>,<<>>},<<"B">>,to,in,[<<"g">>,<<"g">>],<<"please">>,[]}.
{roster,x,{<<"ann">>,<<"a.example">>},{<<"cy">>,<<"a.example">>,<<>>},<<>>,none,in,[],<<>>,[]}.
{roster,x,{<<"gone">>,<<"a.example">>},{<<"cy">>,<<"a.example">>,<<>>},<<>>,none,in,[],<<>>,[]}.
{privacy,{<<"ann">>,<<"a.example">>},<<"l">>,[{<<"k">>,[{listitem,jid,{<<"no">>,<<"b.example">>,<<>>},deny,0,true,false,false,false,false}]},
 {<<"l">>,[{listitem,jid,{<<"spam">>,<<"b.example">>,<<>>},deny,0,true,false,false,false,false},{listitem,group,<<"g">>,deny,1,true,false,false,false,false}]}]}.
{offline_msg,{<<"ann">>,<<"a.example">>},{1,2,3000},never,{jid,<<"x">>,<<"b.example">>,<<"r">>,<<"x">>,<<"b.example">>,<<"r">>},y,{xmlel,<<"message">>,[{<<"to">>,<<"z">>},{<<"type">>,<<"chat">>},{<<"xmlns">>,<<"jabber:client">>}],[{xmlel,<<"body">>,[],[{xmlcdata,<<"<&>">>}]}]}}.
{private_storage,{<<"ann">>,<<"a.example">>,<<"urn:x">>},{xmlel,<<"n><m">>,[],[]}}.
{archive_msg,1}.
{archive_msg,2}.
{muc_room,{<<"r">>,<<"conference.a.example">>},[{persistent,true},{subject,<<"old">>},{password,<<"p">>},{password_protected,false},{affiliations,[{{<<"ann">>,<<"a.example">>,<<>>},owner}]}]}.
{muc_room,{<<"t">>,<<"conference.a.example">>},[{persistent,false}]}.
`

func TestRead(t *testing.T) {
	d, err := Read(strings.NewReader(dump), "a.example")
	if err != nil || len(d.Accounts) != 3 {
		t.Fatal(d, err)
	}
	ann, bob, cy := d.Accounts[0], d.Accounts[1], d.Accounts[2]
	if ann.Password != "secret" || len(bob.Credentials) != 1 || bob.Credentials[0].Mechanism != "SCRAM-SHA-1" || bob.Credentials[0].Iterations != 4096 || cy.Credentials != nil {
		t.Errorf("%+v %+v %+v", ann, bob, cy)
	}
	if c := ann.Contacts[0]; !c.To || c.From || !c.Listed || !slices.Equal(c.Groups, []string{"g"}) || string(c.Request) != " from='bob@a.example' type='subscribe'><status>please</status></presence>" {
		t.Errorf("%+v %s", c, c.Request)
	}
	if c := ann.Contacts[1]; c.Listed || c.Request == nil {
		t.Errorf("%+v", c)
	}
	if !slices.Equal(ann.Blocked, []string{"spam@b.example"}) || len(ann.Private) != 0 {
		t.Errorf("%+v", ann)
	}
	if o := ann.Offline[0]; string(o.Tail) != " from='x@b.example/r' type='chat'><body>&lt;&amp;&gt;</body></message>" || !o.At.Equal(time.Unix(1_000_002, 3_000_000)) {
		t.Errorf("%s %v", o.Tail, o.At)
	}
	if len(d.Rooms) != 1 || d.Rooms[0].Subject != "old" || d.Rooms[0].Password != "" || d.Rooms[0].Affiliations[0].Name != "owner" {
		t.Errorf("%+v", d.Rooms)
	}
	for _, want := range []string{"cy@a.example: has no password that can be used", "2 archived messages", "1 rules of privacy lists", "1 records of gone@a.example", "private data: cannot be read"} {
		if !slices.ContainsFunc(d.Skipped, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%q is not said: %q", want, d.Skipped)
		}
	}
	if _, err := Read(strings.NewReader(dump), "c.example"); err == nil || !strings.Contains(err.Error(), "no account of c.example") {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(dump)
	for line := range strings.Lines(dump) {
		f.Add(line)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		Read(strings.NewReader(text), "a.example")
	})
}

package prosody

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// put writes a file of a data folder, with its folders.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a%2eexample/accounts/ann.dat", `return {["password"]="x"};`)
	put(t, dir, "a%2eexample/accounts/bob.dat", `return {["stored_key"]="00"};`)
	put(t, dir, "a%2eexample/accounts/cy.dat", `return os.exit()`)
	put(t, dir, "a%2eexample/roster/ann.dat", `return {["bob@a.example"]={["subscription"]="to"},["x"]=1,[false]={["pending"]={["cy@b.example"]=true,["bob@a.example"]=true}}};`)
	put(t, dir, "a%2eexample/private/ann.dat", `return {["n:urn:x"]={["name"]="n><m",["attr"]={}},["n:urn:y"]={["name"]="n",["attr"]={["xmlns"]="urn:y",["urn:z\1k"]="<v>"}}};`)
	put(t, dir, "a%2eexample/offline/ann.list", `item({["name"]="presence",["attr"]={}});item({["name"]="message",["attr"]={["to"]="ann@a.example",["from"]="b@c",["xmlns"]="jabber:client"},["when"]=5,{["name"]="body",["attr"]={},"<&>"}})`)
	put(t, dir, "rooms%2ea%2eexample/config/gone.dat", `return {["_data"]={}};`)
	put(t, dir, "rooms%2ea%2eexample/config/old.dat", `return {["_data"]={["persistent"]=true,["hidden"]=true},["_affiliations"]={["ann@a.example"]="owner"}};`)
	put(t, dir, "b%2eexample/accounts/eve.dat", `return {["password"]="x"};`)
	d, err := Read(dir, "a.example")
	if err != nil || len(d.Accounts) != 3 {
		t.Fatal(d, err)
	}
	ann := d.Accounts[0]
	if ann.Addr != "ann@a.example" || ann.Password != "x" || len(ann.Contacts) != 2 || len(ann.Private) != 1 || len(ann.Offline) != 1 {
		t.Errorf("%+v", ann)
	}
	if c := ann.Contacts[0]; c.Addr != "bob@a.example" || !c.To || c.From || !c.Listed || string(c.Request) != " from='bob@a.example' type='subscribe'/>" {
		t.Errorf("%+v", c)
	}
	if c := ann.Contacts[1]; c.Addr != "cy@b.example" || c.Listed || c.Request == nil {
		t.Errorf("%+v", c)
	}
	if got := string(ann.Private[0].XML); got != "<n xmlns:p1='urn:z' p1:k='&lt;v&gt;' xmlns='urn:y'></n>" {
		t.Error(got)
	}
	if o := ann.Offline[0]; string(o.Tail) != " from='b@c'><body>&lt;&amp;&gt;</body></message>" || o.At.Unix() != 5 {
		t.Errorf("%+v", o)
	}
	if len(d.Rooms) != 1 || d.Rooms[0].Addr != "old@rooms.a.example" || d.Rooms[0].Public || len(d.Rooms[0].Affiliations) != 1 {
		t.Errorf("%+v", d.Rooms)
	}
	for _, want := range []string{"bob@a.example: has no password that can be used", "cy.dat: not what Prosody writes", "ann@a.example: private data n:urn:x: cannot be read"} {
		if !slices.ContainsFunc(d.Skipped, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%q is not said: %q", want, d.Skipped)
		}
	}
	if _, err := Read(dir, "c.example"); err == nil || !strings.Contains(err.Error(), "holds nothing of c.example") {
		t.Error(err)
	}
}

func TestDataPath(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"data_path = \"/srv/p\"\n":        "/srv/p",
		"-- data_path = 'x'\nadmins = {}": "/var/lib/prosody",
		"\tdata_path='/a'\n":              "/a",
		"storage = \"sql\"\n":             "error",
		"storage = 'internal' -- default": "/var/lib/prosody",
	} {
		put(t, dir, "prosody.cfg.lua", text)
		got, err := DataPath(filepath.Join(dir, "prosody.cfg.lua"))
		if want == "error" && err == nil || want != "error" && got != want {
			t.Errorf("%q: %q %v", text, got, err)
		}
	}
	if got, err := DataPath(dir); got != dir || err != nil {
		t.Error(got, err)
	}
}

func TestDecode(t *testing.T) {
	for name, want := range map[string]string{"old%2etest": "old.test", "a%zz": "a%zz", "%": "%", "x%2": "x%2", "pep_urn%3axmpp": "pep_urn:xmpp"} {
		if got := decode(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}

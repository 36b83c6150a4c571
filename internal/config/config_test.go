package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"parley/internal/limit"
)

const referenceFile = "../../docs/configuration.toml"

var update = flag.Bool("update", false, "write the reference")

func TestReferenceIsKept(t *testing.T) {
	if *update {
		if err := os.WriteFile(referenceFile, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != Reference() {
		t.Errorf("%s is not what the code says; write it: go test ./internal/config -update", referenceFile)
	}
}

func TestReferenceMeansTheDefaults(t *testing.T) {
	c, err := Parse("reference", []byte(Reference()))
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !same(reflect.ValueOf(c), reflect.ValueOf(want)) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// same is deep equality to which an empty list is no list.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).IsExported() && !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return a.Type().NumField() == 0 || a.Type().Field(0).IsExported() || a.Equal(b)
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func TestReferenceShowsEveryKeyWithItsMeaning(t *testing.T) {
	missing := make(map[string]bool)
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		for f := range fields(path, typ) {
			key := join(path, f.key)
			if f.help() == "" {
				missing[key] = true
			}
			if !strings.Contains(Reference(), f.key+" = ") && !isTable(f.Type) {
				t.Errorf("%s is not in the reference", key)
			}
			for inner := f.Type; isTable(inner); inner = inner.Elem() {
				if inner.Kind() == reflect.Struct {
					walk(key, inner)
					break
				}
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	for key := range missing {
		t.Errorf("%s has no help", key)
	}
}

// TestBadFilesStayBad reads testdata/bad: the first line of each file says what the error has to hold.
func TestBadFilesStayBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(filepath.Base(name), text)
			if err == nil {
				err = c.Check()
			}
			if err == nil {
				t.Fatal("it is accepted")
			}
			wants := 0
			for line := range strings.Lines(string(text)) {
				if want, ok := strings.CutPrefix(strings.TrimSpace(line), "# error: "); ok {
					wants++
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error is\n%v\nwithout\n%s", err, want)
					}
				}
			}
			if wants == 0 {
				t.Error("the file does not say what is wrong with it")
			}
		})
	}
}

func TestFileChangesWhatItSets(t *testing.T) {
	c, err := Parse("a.toml", []byte(`
domain = "meet.example"
store = "sqlite:/tmp/db"
listen = ["https://:443", "xmpp://[::]:5222", "turn://:3478", "http+admin://localhost:9090"]
advertise = ["198.51.100.1", "2001:db8::1"]
[c2s]
open_per_source = 7
idle_timeout = "90s"
after.bytes = "1MiB/s burst 2MiB"
[c2s.before]
stanzas = "unlimited"
[token]
leeway = "10s"
[[token.issuers]]
name = "a"
audiences = ["x", "y"]
key_ids = ["k"]
[[token.issuers]]
name = "b"
jwks = "https://b.example/keys"
[turn]
relay_ports = "40000-40100"
bandwidth = "2 Mbit/s"
peers = ["10.0.0.0/8"]
peer_ports = ["10000"]
[[turn.relays]]
public = "198.51.100.1"
bind = "10.0.0.1"
[[ice.services]]
uri = "stun:stun.example"
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct{ got, want any }{
		{c.Domain, "meet.example"}, {len(c.Listen), 4}, {c.Listen[1].Address(), "[::]:5222"}, {c.Listen[3].Admin, true},
		{c.Advertise[1].String(), "2001:db8::1"}, {c.C2S.OpenPerSource, 7}, {c.C2S.IdleTimeout.Seconds(), 90.0},
		{c.C2S.After.Bytes.Burst, float64(2 << 20)}, {c.C2S.After.Stanzas, Default().C2S.After.Stanzas}, {c.C2S.Before.Stanzas.PerSecond, 0.0},
		{c.C2S.SessionsPerUser, Default().C2S.SessionsPerUser}, {len(c.Token.Issuers), 2}, {c.Token.Issuers[1].JWKS, "https://b.example/keys"},
		{c.Token.Issuers[0].KeyIDs[0], "k"}, {uint64(c.TURN.Bandwidth), uint64(2e6)}, {c.TURN.RelayPorts.Last, uint16(40100)}, {c.TURN.Peers[0].Bits(), 8},
		{c.TURN.PeerPorts[0].First, uint16(10000)}, {c.TURN.Relays[0].Bind.String(), "10.0.0.1"}, {c.ICE.Services[0].URI, "stun:stun.example"},
		{c.Development(), false}, {c.PlainClients(), false}, {string(c.Creators()), "accounts"},
	} {
		if check.got != check.want {
			t.Errorf("got %v, want %v", check.got, check.want)
		}
	}
}

func TestWhatIsPrintedHidesSecretsAndParses(t *testing.T) {
	c := Default()
	c.Store = "postgres://parley:hunter2@db.example/parley"
	c.TURN.Secret = "hunter2hunter2hunter2hunter2hunter2"
	text := "[[token.issuers]]\nname = \"a\"\nsecrets = [\"hunter2-hunter2\"]\n"
	withIssuer, err := Parse("a", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c.Token = withIssuer.Token
	var b strings.Builder
	if err := Write(&b, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hunter2") {
		t.Errorf("a secret is shown:\n%s", b.String())
	}
	if _, err := Parse("b", []byte(b.String())); err != nil {
		t.Error(err)
	}
}

func TestNamesInSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"Domain": "domain", "OpenPerSource": "open_per_source", "C2S": "c2s", "TURN": "turn", "JWKS": "jwks", "KeyIDs": "key_ids",
		"XML": "xml", "MaxTTL": "max_ttl", "HTTPProxy": "http_proxy", "URI": "uri", "ICE": "ice",
	} {
		if got := snake(name); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
}

func TestTextsReadBackAsWritten(t *testing.T) {
	for _, s := range []string{"20/s burst 100", "10/min burst 10", "128KiB/s burst 512KiB", "1MiB/s burst 1MiB", "0.2/s burst 1", "unlimited", "5/h burst 2"} {
		r, err := parseRate(s)
		if err != nil {
			t.Error(err)
			continue
		}
		if again, err := parseRate(formatRate(r)); err != nil || again != r {
			t.Errorf("%s becomes %s: %v %v", s, formatRate(r), again, err)
		}
	}
	for _, s := range []string{"", "20", "20/s", "20/d burst 1", "-1/s burst 1", "0/s burst 1", "1/s burst 0", "NaN/s burst 1", "1e99/s burst 1", "1/s burst"} {
		if r, err := parseRate(s); err == nil {
			t.Errorf("rate %q is %v", s, r)
		}
	}
	for _, s := range []string{"10 Mbit/s", "64 kbit/s", "1 bit/s", "3 Gbit/s", "unlimited"} {
		if b, err := parseBitrate(s); err != nil || formatBitrate(b) != s {
			t.Errorf("%s: %v %v", s, formatBitrate(b), err)
		}
	}
	for _, s := range []string{"10000", "1-2", "any"} {
		if p, err := parsePorts(s); err != nil || formatPorts(p) != s {
			t.Errorf("%s: %v %v", s, formatPorts(p), err)
		}
	}
	for _, s := range []string{"", "0", "2-1", "70000", "1-", "-1"} {
		if p, err := parsePorts(s); err == nil {
			t.Errorf("ports %q are %v", s, p)
		}
	}
}

func TestListeners(t *testing.T) {
	for s, want := range map[string]struct {
		address   string
		loopback  bool
		canonical string
	}{
		"xmpp://127.0.0.1:5222":        {"127.0.0.1:5222", true, "xmpp://127.0.0.1:5222"},
		"xmpp://":                      {":5222", false, "xmpp://:5222"},
		"https://[::1]":                {"[::1]:443", true, "https://[::1]:443"},
		"http+admin://localhost:9090":  {"localhost:9090", true, "http+admin://localhost:9090"},
		"http+insecure://10.0.0.1:80/": {"10.0.0.1:80", false, "http+insecure://10.0.0.1:80"},
		"turn://:0":                    {":0", false, "turn://:0"},
	} {
		l, err := ParseListener(s)
		if err != nil || l.Address() != want.address || l.Loopback() != want.loopback || l.String() != want.canonical {
			t.Errorf("%s: %v, %s, %v, %v", s, err, l.Address(), l.Loopback(), l)
		}
	}
	for _, s := range []string{"", "5222", ":5222", "ftp://:21", "xmpp:5222", "xmpp://example.org:5222", "xmpp://:70000", "xmpp://:x", "http://u@:80", "http://:80/path", "http://:80?x", "turns+insecure://:1", "http+admin://localhost", "https+admin://:1", "xmpp://[::ffff:1.2.3.4]:1", "http+admin+admin://:1"} {
		if l, err := ParseListener(s); err == nil {
			t.Errorf("%q is %v", s, l)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Reference()))
	f.Add([]byte("[[token.issuers]]\nname = \"a\"\n[c2s.after]\nbytes = \"1/s burst 1\"\n"))
	files, _ := filepath.Glob("testdata/bad/*.toml")
	for _, name := range files {
		text, _ := os.ReadFile(name)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("fuzz", text)
		if err != nil {
			return
		}
		c.Check()
		var b strings.Builder
		Write(&b, c)
		again, err := Parse("again", []byte(b.String()))
		if err != nil {
			t.Fatalf("what is written does not parse: %v\n%s", err, b.String())
		}
		var b2 strings.Builder
		Write(&b2, again)
		if b.String() != b2.String() {
			t.Fatalf("writing is no fixed point:\n%s\n%s", b.String(), b2.String())
		}
	})
}

func FuzzListener(f *testing.F) {
	for _, s := range []string{"xmpp://127.0.0.1:5222", "http+admin+insecure://:80", "turns://[::1]", "turn://:0", "xmpp://a@b/c?d#e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseListener(s)
		if err != nil {
			return
		}
		if again, err := ParseListener(l.String()); err != nil || again != l {
			t.Errorf("%q is %+v, written %q, read %+v %v", s, l, l, again, err)
		}
	})
}

func FuzzRate(f *testing.F) {
	for _, s := range []string{"20/s burst 100", "10/min burst 10", "128KiB/s burst 512KiB", "unlimited", "0.1/h burst 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRate(s)
		if err != nil {
			return
		}
		if r != (limit.Rate{}) && (!(r.PerSecond > 0) || !(r.Burst >= 1)) {
			t.Errorf("%q is %+v", s, r)
		}
		if _, err := parseRate(formatRate(r)); err != nil {
			t.Errorf("%q is written %q: %v", s, formatRate(r), err)
		}
	})
}

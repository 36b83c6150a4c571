package wire

import "testing"

func TestParseAddr(t *testing.T) {
	for in, want := range map[string]Addr{
		"example.net":              "example.net",
		"example.net.":             "example.net",
		"example.net..":            "example.net",
		"Romeo@Example.NET/Orchid": "romeo@example.net/Orchid",
		"a@b/c@d/e":                "a@b/c@d/e",
		"fussball@example.net/":    "",
		"@example.net":             "",
		"a@":                       "",
		"":                         "",
		"/r":                       "",
		"a b@example.net":          "",
		"a'b@example.net":          "",
		"a@exa_mple.net":           "",
		"a@-x.net":                 "",
		"a@b/\x00":                 "",
		"ſ@b":                      "",
		"Ω@b/Ω":                    "ω@b/Ω",
		"a@127.0.0.1/x y":          "a@127.0.0.1/x y",
		"a@[::1]/x":                "a@[::1]/x",
	} {
		got, err := ParseAddr(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestAddrParts(t *testing.T) {
	for a, want := range map[Addr][4]string{
		"b":     {"", "b", "", "b"},
		"a@b":   {"a", "b", "", "a@b"},
		"a@b/c": {"a", "b", "c", "a@b"},
		"b/c@d": {"", "b", "c@d", "b"},
	} {
		got := [4]string{a.Local(), a.Domain(), a.Resource(), string(a.Bare())}
		if got != want || a.IsBare() != (want[2] == "") {
			t.Errorf("%q: %q, want %q", a, got, want)
		}
	}
}

// FuzzParseAddr: the canonical form is canonical, and the fast path agrees with the slow one.
func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"a@b/c", "A@B", "a@b..", "ß@b", "a@xn--mnchen-3ya.de/x", "a@münchen.de", "a@b/ c", "a@1.2.3.4", "a@[::1]", "ａ@b", "a@b。c", "a-@b-", "a@b/é", "a@b/\u212b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddr(s)
		if err != nil {
			if canonical(s) {
				t.Fatalf("%q is said to be canonical: %v", s, err)
			}
			return
		}
		if again, err := ParseAddr(string(a)); err != nil || again != a {
			t.Fatalf("%q gives %q, that gives %q, %v", s, a, again, err)
		}
		if slow, err := slowParse(string(a)); err != nil || slow != a {
			t.Fatalf("%q: fast %q, slow %q, %v", s, a, slow, err)
		}
		if len(a.Local())+len(a.Domain()) == 0 {
			t.Fatalf("%q gives the empty address %q", s, a)
		}
	})
}

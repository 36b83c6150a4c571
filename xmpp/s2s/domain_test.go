package s2s

import "testing"

func TestASCII(t *testing.T) {
	for domain, want := range map[string]string{
		"a.example":             "a.example",
		"münchen.example":       "xn--mnchen-3ya.example",
		"bücher.müller.example": "xn--bcher-kva.xn--mller-kva.example",
		"例え.テスト":                "xn--r8jz45g.xn--zckzah",
		"παράδειγμα.δοκιμή":     "xn--hxajbheg2az3al.xn--jxalpdlp",
		"ü":                     "xn--tda",
	} {
		if got := ascii(domain); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
	// RFC 3492 §7.1, (A), (B) and (L).
	for label, want := range map[string]string{
		"ليهمابتكلموشعربي؟": "egbpdaj6bu4bxfgehfvwxn",
		"他们为什么不说中文":         "ihqwcrb4cv8a8dqg056pqjye",
		"3年b組金八先生":          "3b-ww4c5e180e575a65lsy2b",
	} {
		if got := punycode(label); got != want {
			t.Errorf("%s: %s, want %s", label, got, want)
		}
	}
}

func TestSenderDomain(t *testing.T) {
	for tail, want := range map[string]string{
		" from='a@b.example/c' id='1'/>":           "b.example",
		" from='b.example'>":                       "b.example",
		" from='b.example/with@at/slash'>":         "b.example",
		" from='o&apos;hara@b.example/it&apos;s'>": "b.example",
		" id='1' from='a@b'>":                      "",
		" from=\"a@b\">":                           "",
		" from='a@b":                               "",
		"":                                         "",
	} {
		if got := string(senderDomain([]byte(tail))); got != want {
			t.Errorf("%s: %q", tail, got)
		}
	}
}

func TestLists(t *testing.T) {
	for _, c := range []struct {
		allow, block []string
		domain       string
		want         bool
	}{
		{nil, nil, "a.example", true},
		{nil, []string{"a.example"}, "a.example", false},
		{nil, []string{"a.example"}, "muc.a.example", false},
		{nil, []string{"a.example"}, "ba.example", true},
		{[]string{"a.example"}, nil, "muc.a.example", true},
		{[]string{"a.example"}, nil, "b.example", false},
		{[]string{"a.example"}, []string{"muc.a.example"}, "muc.a.example", false},
	} {
		if got := (&lists{c.allow, c.block}).admits(c.domain); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

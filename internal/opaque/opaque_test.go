package opaque

import (
	"bytes"
	"strings"
	"testing"
)

func TestCredentials(t *testing.T) {
	id := NewID()
	one, digest := New(AppKey, id)
	other, second := New(AppKey, id)
	if one == other || bytes.Equal(digest, second) || Is(digest, second) {
		t.Error("two are the same")
	}
	kind, got, sum := Read(one)
	if kind != AppKey || got != id || !Is(sum, digest) {
		t.Errorf("%s: %q %q", one, kind, got)
	}
	if bytes.Contains(digest, []byte(one[30:])) {
		t.Error("the digest holds the secret")
	}
	for name, bad := range map[string]string{
		"empty": "", "short": one[1:], "long": one + "A", "unknown kind": "zz" + one[2:], "lower case": strings.ToLower(one), "no mark": one[:2] + "-" + one[3:],
		"no second mark": one[:29] + "-" + one[30:], "slash": one[:10] + "/" + one[11:], "NUL": one[:40] + "\x00" + one[41:], "umlaut": one[:38] + "ä" + one[40:],
	} {
		if kind, id, sum := Read(bad); kind != "" || id != "" || sum != nil {
			t.Errorf("%s: %q %q", name, kind, id)
		}
	}
	changed := one[:len(one)-1] + "A"
	if changed == one {
		changed = one[:len(one)-1] + "B"
	}
	if _, _, sum := Read(changed); Is(sum, digest) {
		t.Error("another secret has the same digest")
	}
}

func FuzzRead(f *testing.F) {
	for _, kind := range []string{AppKey, Access, Refresh, "xx"} {
		c, _ := New(kind, NewID())
		f.Add(c)
	}
	f.Add("pk__")
	f.Fuzz(func(t *testing.T, text string) {
		kind, id, digest := Read(text)
		if (kind == "") != (digest == nil) || (kind == "") != (id == "") {
			t.Fatalf("%q: half read", text)
		}
		if kind != "" && (!strings.HasPrefix(text, kind+"_"+id+"_") || len(digest) != 32) {
			t.Fatalf("%q: %q %q", text, kind, id)
		}
	})
}

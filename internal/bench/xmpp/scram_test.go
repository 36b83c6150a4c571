package xmpp

import (
	"strings"
	"testing"
)

// The examples of RFC 5802 §5 and RFC 7677 §3.
func TestScramOfTheRFCs(t *testing.T) {
	for name, c := range map[string]struct{ nonce, serverFirst, final, serverFinal string }{
		"SCRAM-SHA-1": {
			"fyko+d2lbbFgONRv9qkxdawL", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
		},
		"SCRAM-SHA-256": {
			"rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, first := mechanisms[name].first("user", "pencil")
			if !strings.HasPrefix(first, "n,,n=user,r=") {
				t.Fatal(first)
			}
			x.nonce, x.bare = c.nonce, "n=user,r="+c.nonce
			got, err := x.final(c.serverFirst)
			if err != nil || got != c.final {
				t.Fatalf("%s, %v", got, err)
			}
			if err := x.verify(c.serverFinal); err != nil {
				t.Error(err)
			}
			for _, wrong := range []string{"", "v=", "e=other-error", strings.Replace(c.serverFinal, "=", "=A", 1), "v=" + strings.Repeat("A", 27) + "="} {
				if x.verify(wrong) == nil {
					t.Errorf("%q passed", wrong)
				}
			}
		})
	}
}

func TestScramRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"another nonce":    "r=other,s=QSXCR+Q6sek8bf92,i=4096",
		"our nonce alone":  "r=mine,s=QSXCR+Q6sek8bf92,i=4096",
		"no salt":          "r=mine2,i=4096",
		"bad salt":         "r=mine2,s=?,i=4096",
		"no count":         "r=mine2,s=QSXCR+Q6sek8bf92",
		"count zero":       "r=mine2,s=QSXCR+Q6sek8bf92,i=0",
		"count for a year": "r=mine2,s=QSXCR+Q6sek8bf92,i=1000000000",
		"nothing":          "",
	} {
		t.Run(name, func(t *testing.T) {
			x := &scram{m: mechanisms["SCRAM-SHA-1"], nonce: "mine"}
			if got, err := x.final(text); err == nil {
				t.Error(got)
			}
		})
	}
}

func FuzzScram(f *testing.F) {
	f.Add("r=mine3rfc,s=QSXCR+Q6sek8bf92,i=1", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
	f.Add("r=mine,s=,i=-1", "e=invalid-proof")
	f.Fuzz(func(t *testing.T, first, final string) {
		if strings.Contains(first, "00") {
			return // counts that take long
		}
		x := &scram{m: mechanisms["SCRAM-SHA-1"], nonce: "mine", bare: "n=u,r=mine"}
		if _, err := x.final(first); err != nil {
			return
		}
		if x.verify(final) == nil && len(final) < 20 {
			t.Fatal("a signature that short")
		}
	})
}

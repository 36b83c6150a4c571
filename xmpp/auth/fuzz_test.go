package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHA4Base64(t *testing.T) {
	for text, want := range map[string]string{"YQ==": "a", "YWI=": "ab", "YWJj": "abc", "AP8=": "\x00\xff"} {
		for _, read := range []func([]byte) ([]byte, error){DecodeInitial, DecodeResponse} {
			if got, err := read([]byte(text)); err != nil || string(got) != want {
				t.Errorf("%q: %q %v", text, got, err)
			}
		}
	}
	if got, err := DecodeInitial(nil); got != nil || err != nil {
		t.Errorf("no initial response: %v %v", got, err)
	}
	if got, err := DecodeInitial([]byte("=")); got == nil || len(got) != 0 || err != nil {
		t.Errorf("empty initial response: %v %v", got, err)
	}
	if got, err := DecodeResponse(nil); got == nil || len(got) != 0 || err != nil {
		t.Errorf("empty response: %v %v", got, err)
	}
	if _, err := DecodeResponse([]byte("=")); err == nil {
		t.Error("= is not an empty <response/>")
	}
	for _, text := range []string{
		"Y", "YQ", "YQ=", "YQ===", "=YQ=", "YQ==YQ==", "YQ==\n", "Y\nQ==", "YQ\r\n==", " YQ==", "YQ== ", "Y Q==", "YR==", "YWJ=", // unused bits
		"Y-_=", "YWJj*", "YWJj\x00", "ＹＱ==", "==", "====",
	} {
		for _, read := range []func([]byte) ([]byte, error){DecodeInitial, DecodeResponse} {
			if got, err := read([]byte(text)); err == nil {
				t.Errorf("%q is read as %q", text, got)
			} else if f := asFailure(err); f.Condition != "incorrect-encoding" || f.Event != "auth.malformed" {
				t.Errorf("%q: %v", text, f)
			}
		}
		x, _ := alices(t).Stream(tlsChannel).Begin("PLAIN")
		_, _, err := x.StepText(context.Background(), []byte(text))
		wantFailure(t, asFailure(err), "incorrect-encoding", "auth.malformed")
	}
}

// FuzzBase64: every accepted text is the one spelling of its bytes.
func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "=", "YQ==", "YWJj", "YR==", "Y\nQ==", "AAAA====", "n,,n=alice"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := DecodeResponse(text)
		if err == nil && base64.StdEncoding.EncodeToString(got) != string(text) {
			t.Fatalf("%q is read as %q", text, got)
		}
		initial, err2 := DecodeInitial(text)
		if len(text) > 0 && string(text) != "=" && ((err == nil) != (err2 == nil) || !bytes.Equal(got, initial)) {
			t.Fatalf("%q is read as %q %v and %q %v", text, got, err, initial, err2)
		}
	})
}

// FuzzClientFirst: what is accepted holds its parts, in their order and with nothing between them.
func FuzzClientFirst(f *testing.F) {
	for _, s := range []string{
		"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "y,,n=user,r=x", "p=tls-exporter,,n=user,r=x", "n,a=alice@meet.example,n=alice,r=x,x=1,y=é",
		"n,,n=a=2Cb=3Dc,r=x", "n,,m=x,n=a,r=x", "n,,n=a,r=x,m=1", "z,,n=a,r=x", "n,,n=a=2cb,r=x", "p=,,n=a,r=x", "n,,n=\xff,r=x",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		m, err := parseClientFirst(message)
		if err != nil {
			return
		}
		if len(message) > longestMessage || m.gs2+m.bare != string(message) || !utf8.Valid(message) {
			t.Fatalf("%q is read as %q and %q", message, m.gs2, m.bare)
		}
		gs2 := string(m.flag)
		if m.flag == 'p' {
			gs2 += "=" + m.binding
		}
		gs2 += ","
		if m.authzid != "" {
			gs2 += "a=" + escape(m.authzid)
		}
		if gs2+"," != m.gs2 {
			t.Fatalf("GS2 header %q is read as %+v", m.gs2, m)
		}
		if start := "n=" + escape(m.user) + ",r=" + m.nonce; m.bare != start && !strings.HasPrefix(m.bare, start+",") {
			t.Fatalf("%q is read as user %q, nonce %q", m.bare, m.user, m.nonce)
		}
		if m.user == "" || m.nonce == "" || strings.Contains(m.nonce, ",") || strings.Contains(m.bare, ",m=") {
			t.Fatalf("accepted %+v", m)
		}
	})
}

func escape(name string) string { return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(name) }

// FuzzClientFinal: the proof is the last part, and the rest is what it proves.
func FuzzClientFinal(f *testing.F) {
	for _, s := range []string{
		"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "c=biws,r=x,x=1,p=AAAA", "c=,r=,p=",
		"c=biws,r=x,p=AAAA,p=BBBB", "c=bi ws,r=x,p=AAAA", "r=x,c=biws,p=AAAA", "c=biws,r=x,m=1,p=AAAA",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		m, err := parseClientFinal(message)
		if err != nil {
			return
		}
		enc := base64.StdEncoding.EncodeToString
		if m.unproven+",p="+enc(m.proof) != string(message) {
			t.Fatalf("%q is read as %q and %q", message, m.unproven, m.proof)
		}
		if start := "c=" + enc(m.binding) + ",r=" + m.nonce; m.unproven != start && !strings.HasPrefix(m.unproven, start+",") {
			t.Fatalf("%q is read as %+v", message, m)
		}
	})
}

// FuzzExchange sends any two messages by any mechanism: nobody who does not know the password gets in.
func FuzzExchange(f *testing.F) {
	s := server(f, Config{Plain: true, Guests: false, MechanismHash: true}, accounts(f, map[string]string{"alice": "pencil"}), nil, nil)
	s.nonce = func() string { return "server" }
	for _, m := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"} {
		f.Add(m, []byte("\x00alice\x00wrong"), []byte(""))
		f.Add(m, []byte("n,,n=alice,r=x"), []byte("c=biws,r=xserver,p="+base64.StdEncoding.EncodeToString(make([]byte, 32))))
		f.Add(m, []byte("p=tls-exporter,,n=alice,r=x"), []byte("c=cD10bHMtZXhwb3J0ZXIsLGV4cG9ydGVk,r=xserver,p=AAAA"))
	}
	f.Fuzz(func(t *testing.T, mechanism string, first, second []byte) {
		x, err := s.Stream(bound(alice)).Begin(mechanism)
		if err != nil {
			return
		}
		if bytes.Contains(first, []byte("pencil")) {
			return
		}
		for _, response := range [][]byte{first, second} {
			_, done, err := x.Step(context.Background(), response)
			if done || x.Identity() != (Identity{}) {
				t.Fatalf("%s: %q, %q logs in", mechanism, first, second)
			}
			if err != nil {
				if asFailure(err).Condition == "" {
					t.Fatal("a failure without condition")
				}
				return
			}
		}
	})
}

// FuzzBearer: what is accepted has one token.
func FuzzBearer(f *testing.F) {
	for _, s := range []string{"n,," + kvsep + "auth=Bearer a.b.c" + kvsep + kvsep, "y,a=x@y," + kvsep + "host=h" + kvsep + "auth=bearer x" + kvsep + kvsep, "n,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, raw, err := parseBearer(s)
		if err == nil && (raw == "" || strings.Contains(raw, kvsep) || strings.Count(s, kvsep+"auth=") != 1) {
			t.Fatalf("%q has the token %q", s, raw)
		}
	})
}

// FuzzPrepare: a password that is prepared stays as it is when it is prepared again.
func FuzzPrepare(f *testing.F) {
	for _, s := range []string{"pencil", "pass\u00a0word", "I\u00adX", "\u00aa", "\u2168", "\u0007", "\u0627\u0031", "²ﬁ", "\u200b", "zoe\u0308"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, password string) {
		p, err := prepare(password)
		if err != nil {
			return
		}
		if p == "" {
			t.Fatalf("%q is prepared to nothing", password)
		}
		if again, err := prepare(p); err != nil && len(p) <= longestName || err == nil && again != p {
			t.Fatalf("%q is prepared to %q, and that to %q, %v", password, p, again, err)
		}
	})
}

package token

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// refused are the findings that speak against the token.
func refused(list []Finding) (names []string) {
	for _, f := range list {
		if !f.OK {
			names = append(names, f.Check+" "+f.Code)
		}
	}
	return names
}

func TestExplainSaysOfEveryClaimWhatIsWrong(t *testing.T) {
	c := checker(t, nil)
	past := time.Now().Add(-time.Hour).Unix()
	for name, test := range map[string]struct {
		raw  string
		want Want
		bad  string
	}{
		"good":            {hs(t, nil), Want{Room: "standup", Door: "xmpp"}, ""},
		"another room":    {hs(t, nil), Want{Room: "kitchen"}, "room kitchen token.scope"},
		"another tenant":  {hs(t, nil), Want{Room: "standup", Tenant: "acme"}, "room standup token.scope"},
		"another door":    {hs(t, fields{"door": "whip"}), Want{Door: "xmpp"}, "door xmpp token.scope"},
		"expired":         {hs(t, fields{"exp": past}), Want{Room: "standup"}, "exp token.expired"},
		"two things":      {hs(t, fields{"exp": past, "aud": "other"}), Want{Room: "kitchen"}, "exp token.expired, aud token.scope, room kitchen token.scope"},
		"types":           {hs(t, fields{"jti": 7, "context": "x"}), Want{}, "jti token.reject, context token.reject"},
		"signature":       {flip(hs(t, nil)), Want{}, "signature token.reject"},
		"unknown issuer":  {hs(t, fields{"iss": "nobody"}), Want{Room: "standup"}, "iss token.scope, signature token.reject"},
		"no algorithm":    {jws(t, `{"alg":"none"}`, good(nil), nil), Want{}, "header token.alg, signature token.reject"},
		"brings its keys": {jws(t, `{"alg":"HS256","jku":"https://evil.example"}`, good(nil), secret), Want{}, "header token.kid, signature token.reject"},
		"no token":        {"hello", Want{Room: "x"}, "form token.size"},
		"too long":        {strings.Repeat("a", 9000), Want{}, "form token.size"},
	} {
		t.Run(name, func(t *testing.T) {
			list := c.Explain(context.Background(), test.raw, test.want)
			if got := strings.Join(refused(list), ", "); got != test.bad {
				t.Errorf("%q, want %q", got, test.bad)
			}
			sameAsCheck(t, c, test.raw, test.want)
			for _, f := range list {
				if !f.OK && f.Text == "" || f.OK && f.Code != "" || strings.Contains(f.Text+f.Says, secret) {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// sameAsCheck compares Explain with what a door does.
func sameAsCheck(t *testing.T, c *Checker, raw string, want Want) {
	t.Helper()
	claims, err := c.Check(context.Background(), raw, "")
	if err == nil && want.Door != "" {
		err = claims.AllowsDoor(want.Door)
	}
	if err == nil && want.Room != "" {
		err = claims.Allows(want.Room, want.Tenant)
	}
	code := ""
	if e := (*Error)(nil); errors.As(err, &e) {
		code = e.Code
	}
	list := refused(c.Explain(context.Background(), raw, want))
	if (len(list) > 0) != (code != "") || code != "" && !strings.HasSuffix(list[0], " "+code) {
		t.Errorf("the door says %q, Explain %q", code, list)
	}
}

func TestExplainShowsTimesAsTimes(t *testing.T) {
	for _, f := range checker(t, nil).Explain(context.Background(), hs(t, fields{"exp": int64(1893456000), "nbf": 1, "jti": strings.Repeat("ü", 200)}), Want{}) {
		switch f.Check {
		case "nbf":
			if f.Says != "1970-01-01T00:00:01Z" {
				t.Errorf("%+v", f)
			}
		case "exp":
			if f.Says != "2030-01-01T00:00:00Z" || f.Code != CodeExpired {
				t.Errorf("%+v", f)
			}
		case "jti":
			if len(f.Says) > 260 || !utf8.ValidString(f.Says) || !strings.HasSuffix(f.Says, "ü…") {
				t.Errorf("%+v", f)
			}
		}
	}
}

func FuzzExplain(f *testing.F) {
	c, err := New(Config{Leeway: time.Second, MaxLifetime: time.Hour, Issuers: []Issuer{{Name: "app", Audiences: []string{"jitsi"}, Secrets: []string{secret}}}}, Options{Domains: []string{domain}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hs(f, nil))
	f.Add(hs(f, fields{"exp": 1, "iss": []any{"x"}}))
	f.Add("a.b.c")
	f.Add(jws(f, `{"alg":"none","kid":"../x"}`, `{"iss":"app","exp":"soon","room":{},"sub":"\u0000"}`, nil))
	f.Fuzz(func(t *testing.T, raw string) {
		for _, finding := range c.Explain(context.Background(), raw, Want{Room: "r", Door: "xmpp"}) {
			if finding.OK == (finding.Code != "") || !utf8.ValidString(finding.Says) {
				t.Fatalf("%+v", finding)
			}
		}
		sameAsCheck(t, c, raw, Want{Room: "r", Door: "xmpp"})
	})
}

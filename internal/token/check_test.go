package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// everyKey is a checker whose issuer has a key of every kind.
func everyKey(t *testing.T) *Checker {
	return checker(t, func(_ *Config, i *Issuer, _ *Options) {
		i.PublicKeys = []string{writePEM(t, &ecKey.PublicKey), writePEM(t, edKey.Public())}
		i.JWKS = filepath.Join(t.TempDir(), "jwks.json")
		if err := os.WriteFile(i.JWKS, jwks(rsaJWK("rsa-1", &rsaKey.PublicKey)), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAcceptsEveryKindOfKey(t *testing.T) {
	c := everyKey(t)
	for name, raw := range map[string]string{
		"HMAC":    hs(t, nil),
		"RSA":     jws(t, headRS, good(nil), rsaKey),
		"no kid":  jws(t, `{"alg":"RS256"}`, good(nil), rsaKey),
		"EC":      jws(t, `{"alg":"ES256"}`, good(nil), ecKey),
		"Ed25519": jws(t, `{"alg":"EdDSA"}`, good(nil), edKey),
	} {
		t.Run(name, func(t *testing.T) {
			claims := wantCode(t, c, raw, "")
			if claims.Issuer != "app" || claims.Room != "standup" || claims.Tenant != "" || claims.Accounts {
				t.Errorf("claims %+v", claims)
			}
			wantCode(t, c, flip(raw), CodeReject)
		})
	}
}

// flip changes one bit in the middle of the signature.
func flip(raw string) string {
	b := []byte(raw)
	i := strings.LastIndexByte(raw, '.') + 10
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func TestReadsWhatJitsiSays(t *testing.T) {
	raw := jws(t, headHS, `{"iss":"app","aud":["x","jitsi"],"sub":"MEET.example.","room":"*","exp":`+inOneHour()+`.5,"nbf":1,"iat":2,"jti":"j1",
		"moderator":false,"door":"whip","unknown":{"a":[1,{"b":null}]},
		"context":{"group":"g","user":{"id":"u1","name":"Roméo 🌹","email":"r@example","avatar":"https://example/r.png",
		"affiliation":"owner","hidden-from-recorder":"true"},"features":{"recording":true,"livestreaming":"true","sip":"false","dial":false}}}`, secret)
	c := wantCode(t, checker(t, nil), raw, "")
	if c.ID != "j1" || c.Room != Any || c.Tenant != "" || c.Group != "g" || !c.Moderator || c.Door != "whip" {
		t.Errorf("claims %+v", c)
	}
	if c.User != (User{ID: "u1", Name: "Roméo 🌹", Email: "r@example", Avatar: "https://example/r.png", HiddenFromRecorder: true}) {
		t.Errorf("user %+v", c.User)
	}
	if !c.Features["recording"] || !c.Features["livestreaming"] || c.Features["sip"] || c.Features["dial"] || len(c.Features) != 4 {
		t.Errorf("features %v", c.Features)
	}
	if !c.NotBefore.Equal(time.Unix(1, 0)) || !c.IssuedAt.Equal(time.Unix(2, 0)) || c.Expires.Nanosecond() != 5e8 {
		t.Errorf("times %v %v %v", c.NotBefore, c.IssuedAt, c.Expires)
	}
	if c.AllowsDoor("whip") != nil || c.AllowsDoor("xmpp") == nil {
		t.Error("door is not kept")
	}
	c = wantCode(t, checker(t, nil), hs(t, fields{"context": fields{"user": fields{"avatar": "javascript:alert(1)", "moderator": "true"}}}), "")
	if c.User.Avatar != "" || !c.Moderator {
		t.Errorf("claims %+v", c)
	}
}

func inOneHour() string {
	return strings.Split(strings.Split(good(nil), `"exp":`)[1], ",")[0]
}

func TestHP1Algorithm(t *testing.T) {
	c := everyKey(t)
	der, _ := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	for name, raw := range map[string]string{
		"none":                              jws(t, `{"alg":"none"}`, good(nil), nil),
		"None":                              jws(t, `{"alg":"None"}`, good(nil), nil),
		"missing":                           jws(t, `{"typ":"JWT"}`, good(nil), secret),
		"number":                            jws(t, `{"alg":256}`, good(nil), secret),
		"list":                              jws(t, `{"alg":["HS256"]}`, good(nil), secret),
		"unknown":                           jws(t, `{"alg":"HS257"}`, good(nil), secret),
		"curve of other size than the key":  jws(t, `{"alg":"ES384"}`, good(nil), ecKey),
		"encryption":                        jws(t, `{"alg":"dir"}`, good(nil), secret),
		"lower case of a known one":         jws(t, `{"alg":"hs256"}`, good(nil), secret),
		"name of a known one and a newline": jws(t, `{"alg":"HS256\n"}`, good(nil), secret),
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, c, raw, CodeAlg) })
	}
	// The HMAC tricks: signed with what is public. The issuer has a secret too, so HS256 as such is right.
	for name, secret := range map[string]string{"PEM": string(pemBytes(der)), "DER": string(der), "modulus": string(rsaKey.N.Bytes()), "empty": ""} {
		t.Run("HMAC with the public key as "+name, func(t *testing.T) {
			wantCode(t, c, jws(t, headHS, good(nil), secret), CodeReject)
			wantCode(t, c, jws(t, `{"alg":"HS256","kid":"rsa-1"}`, good(nil), secret), CodeReject)
			only := checker(t, func(_ *Config, i *Issuer, _ *Options) {
				i.Secrets, i.PublicKeys = nil, []string{writePEM(t, &rsaKey.PublicKey)}
			})
			wantCode(t, only, jws(t, headHS, good(nil), secret), CodeAlg)
			wantCode(t, only, jws(t, `{"alg":"RS256"}`, good(nil), rsaKey), "")
		})
	}
	t.Run("JWK narrows to its alg", func(t *testing.T) {
		narrow := rsaJWK("rsa-1", &rsaKey.PublicKey)
		narrow["alg"] = "PS256"
		c := checker(t, func(_ *Config, i *Issuer, _ *Options) {
			i.Secrets, i.JWKS = nil, filepath.Join(t.TempDir(), "jwks.json")
			os.WriteFile(i.JWKS, jwks(narrow), 0o600)
		})
		wantCode(t, c, jws(t, headRS, good(nil), rsaKey), CodeAlg)
	})
}

func TestHP2HeaderBringsNoKey(t *testing.T) {
	c := everyKey(t)
	jwk := `{"kty":"RSA","n":"` + b64(otherRSAKey.N.Bytes()) + `","e":"AQAB"}`
	for name, raw := range map[string]string{
		"jku":        jws(t, `{"alg":"RS256","kid":"rsa-1","jku":"http://127.0.0.1:1/jwks"}`, good(nil), otherRSAKey),
		"x5u":        jws(t, `{"alg":"RS256","kid":"rsa-1","x5u":"http://127.0.0.1:1/x"}`, good(nil), otherRSAKey),
		"jwk":        jws(t, `{"alg":"RS256","jwk":`+jwk+`}`, good(nil), otherRSAKey),
		"x5c":        jws(t, `{"alg":"RS256","x5c":["AAAA"]}`, good(nil), otherRSAKey),
		"jku, valid": jws(t, `{"alg":"RS256","kid":"rsa-1","jku":"https://app.example/jwks"}`, good(nil), rsaKey),
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, c, raw, CodeKid) })
	}
	for name, kid := range map[string]string{
		"path": `"../../../../etc/passwd"`, "device": `"/dev/null"`, "URL": `"http://127.0.0.1/k"`, "SQL": `"' OR 1=1--"`,
		"unknown": `"rsa-2"`, "empty": `""`, "number": `1`, "null": `null`, "list": `["rsa-1"]`, "NUL": `"rsa-1\u0000"`,
		"space": `"rsa-1 "`, "no ASCII": `"rsa-１"`, "long": `"` + strings.Repeat("k", 300) + `"`,
	} {
		t.Run("kid "+name, func(t *testing.T) {
			wantCode(t, c, jws(t, `{"alg":"RS256","kid":`+kid+`}`, good(nil), otherRSAKey), CodeKid)
		})
	}
	t.Run("kid of 10 KB", func(t *testing.T) {
		wantCode(t, c, jws(t, `{"alg":"RS256","kid":"`+strings.Repeat("k", 10<<10)+`"}`, good(nil), rsaKey), CodeSize)
	})
	t.Run("another issuer's key", func(t *testing.T) {
		c := checker(t, func(cfg *Config, i *Issuer, _ *Options) {
			cfg.Issuers = []Issuer{{Name: "other", Audiences: []string{Any}, PublicKeys: []string{writePEM(t, &rsaKey.PublicKey)}}}
		})
		wantCode(t, c, jws(t, `{"alg":"RS256"}`, good(fields{"iss": "other"}), rsaKey), "")
		wantCode(t, c, jws(t, `{"alg":"RS256"}`, good(nil), rsaKey), CodeAlg)
		wantCode(t, c, jws(t, headHS, good(fields{"iss": "other"}), secret), CodeAlg)
	})
}

func TestHeader(t *testing.T) {
	c := checker(t, nil)
	for head, code := range map[string]string{
		`{"alg":"HS256"}`:                          "",
		`{"alg":"HS256","typ":"jwt"}`:              "",
		`{"alg":"HS256","typ":"at+jwt"}`:           "",
		`{"alg":"HS256","kid":"any","x":1}`:        "", // one shared secret: kid says nothing
		`{"alg":"HS256","typ":"JWE"}`:              CodeReject,
		`{"alg":"HS256","typ":1}`:                  CodeReject,
		`{"alg":"HS256","crit":["exp"]}`:           CodeReject,
		`{"alg":"HS256","b64":false}`:              CodeReject,
		`{"alg":"HS256","zip":"DEF"}`:              CodeReject,
		`{"alg":"HS256","enc":"A128GCM"}`:          CodeReject,
		`{"alg":"none","alg":"HS256"}`:             CodeSize,
		`{"alg":"HS256","al\u0067":"none"}`:        CodeSize,
		`["HS256"]`:                                CodeSize,
		`"HS256"`:                                  CodeSize,
		`{"alg":"HS256"} {}`:                       CodeSize,
		``:                                         CodeSize,
		"{\"alg\":\"HS256\",\"x\":\"\xff\"}":       CodeSize,
		`{"alg":"HS256","x":{"a":1,"b":2,"a":1}}`:  CodeSize,
		`{"alg":"HS256","x":[[{"a":1},{"a":1}]],}`: CodeSize,
	} {
		t.Run(head, func(t *testing.T) { wantCode(t, c, jws(t, head, good(nil), secret), code) })
	}
}

func TestHP3Times(t *testing.T) {
	c := checker(t, func(cfg *Config, _ *Issuer, _ *Options) { cfg.MaxLifetime = 2 * time.Hour })
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, test := range map[string]struct {
		claims fields
		code   string
	}{
		"fine":                       {fields{"nbf": at(-time.Minute), "iat": at(0)}, ""},
		"no exp":                     {fields{"exp": nil}, CodeExpired},
		"expired":                    {fields{"exp": at(-time.Hour)}, CodeExpired},
		"expired within the leeway":  {fields{"exp": at(-20 * time.Second)}, ""},
		"expired beyond the leeway":  {fields{"exp": at(-40 * time.Second)}, CodeExpired},
		"exp 0":                      {fields{"exp": 0}, CodeExpired},
		"far":                        {fields{"exp": at(3 * time.Hour)}, CodeExpired},
		"far, though issued later":   {fields{"exp": at(3 * time.Hour), "iat": at(2 * time.Hour)}, CodeExpired},
		"not yet valid":              {fields{"nbf": at(5 * time.Minute)}, CodeExpired},
		"almost valid":               {fields{"nbf": at(20 * time.Second)}, ""},
		"issued in the future":       {fields{"iat": at(5 * time.Minute)}, CodeExpired},
		"exp is a string":            {fields{"exp": "99999999999"}, CodeReject},
		"exp is negative":            {fields{"exp": -1}, CodeReject},
		"exp is huge":                {fields{"exp": 1e300}, CodeReject},
		"exp overflows nanoseconds":  {fields{"exp": int64(1) << 35}, CodeExpired},
		"exp is true":                {fields{"exp": true}, CodeReject},
		"exp is an object":           {fields{"exp": fields{}}, CodeReject},
		"nbf is a string":            {fields{"nbf": "1"}, CodeReject},
		"iat is null in an own list": {fields{"iat": []any{nil}}, CodeReject},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, c, hs(t, test.claims), test.code) })
	}
	t.Run("exp is null", func(t *testing.T) {
		wantCode(t, c, jws(t, headHS, `{"iss":"app","aud":"jitsi","sub":"*","room":"*","exp":null}`, secret), CodeReject)
	})
	t.Run("exp overflows a float", func(t *testing.T) {
		wantCode(t, c, jws(t, headHS, `{"iss":"app","aud":"jitsi","sub":"*","room":"*","exp":1e999}`, secret), CodeReject)
	})
	t.Run("leeway over 60 s is no configuration", func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.Leeway = 61 * time.Second
		if _, err := New(cfg, Options{}); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("checked again", func(t *testing.T) {
		claims := wantCode(t, c, hs(t, nil), "")
		if err := claims.Current(time.Now()); err != nil {
			t.Error(err)
		}
		if claims.Current(time.Now().Add(2*time.Hour)) == nil {
			t.Error("still current after its end")
		}
	})
}

func TestHP4Scope(t *testing.T) {
	c := checker(t, nil)
	for name, test := range map[string]struct {
		claims fields
		code   string
	}{
		"issuer":              {fields{"iss": "app2"}, CodeScope},
		"issuer's case":       {fields{"iss": "App"}, CodeScope},
		"no issuer":           {fields{"iss": nil}, CodeScope},
		"issuer is a list":    {fields{"iss": []string{"app"}}, CodeReject},
		"audience":            {fields{"aud": "other"}, CodeScope},
		"no audience":         {fields{"aud": nil}, CodeScope},
		"audience in a list":  {fields{"aud": []string{"other", "jitsi"}}, ""},
		"empty list":          {fields{"aud": []string{}}, CodeScope},
		"audience star":       {fields{"aud": "*"}, CodeScope},
		"audience is numbers": {fields{"aud": []any{"jitsi", 1}}, CodeReject},
		"no sub":              {fields{"sub": nil}, CodeScope},
		"sub is a number":     {fields{"sub": 1}, CodeReject},
		"no room":             {fields{"room": nil}, CodeScope},
		"empty room":          {fields{"room": ""}, CodeScope},
		"room is a list":      {fields{"room": []string{"standup"}}, CodeReject},
		"room is true":        {fields{"room": true}, CodeReject},
		"room with NUL":       {fields{"room": "standup\x00"}, CodeReject},
		"name is a number":    {fields{"context": fields{"user": fields{"name": 1}}}, CodeReject},
		"name with control":   {fields{"context": fields{"user": fields{"name": "a\x1bb"}}}, CodeReject},
		"long name":           {fields{"context": fields{"user": fields{"name": strings.Repeat("n", 257)}}}, CodeReject},
		"user is a list":      {fields{"context": fields{"user": []any{}}}, CodeReject},
		"context is text":     {fields{"context": "user"}, CodeReject},
		"moderator is 1":      {fields{"moderator": 1}, CodeReject},
		"moderator is yes":    {fields{"context": fields{"user": fields{"moderator": "yes"}}}, CodeReject},
		"feature is 1":        {fields{"context": fields{"features": fields{"recording": 1}}}, CodeReject},
		"feature is object":   {fields{"context": fields{"features": fields{"recording": fields{}}}}, CodeReject},
		"jti is a number":     {fields{"jti": 1}, CodeReject},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, c, hs(t, test.claims), test.code) })
	}
	t.Run("configured off", func(t *testing.T) {
		c := checker(t, func(_ *Config, i *Issuer, _ *Options) {
			i.Audiences, i.AnySubject, i.RoomOptional = []string{Any}, true, true
		})
		claims := wantCode(t, c, hs(t, fields{"aud": nil, "sub": "user-17", "room": nil}), "")
		if claims.Room != Any || claims.Tenant != Any {
			t.Errorf("claims %+v", claims)
		}
		wantCode(t, c, hs(t, fields{"room": ""}), CodeScope)
		wantCode(t, c, hs(t, fields{"sub": 17}), CodeReject)
	})
	t.Run("a checker without issuers", func(t *testing.T) {
		c, err := New(DefaultConfig(), Options{})
		if err != nil || c.Accepts() || (*Checker)(nil).Accepts() {
			t.Fatal("accepts something")
		}
		wantCode(t, c, hs(t, nil), CodeScope)
	})
}

func TestHP7Size(t *testing.T) {
	c := checker(t, nil)
	deep := func(n int) fields { // n levels, the payload itself counted
		var v any = true
		for range n - 1 {
			v = []any{v}
		}
		return fields{"x": v}
	}
	for name, test := range map[string]struct{ raw, code string }{
		"empty":                {"", CodeSize},
		"1 MB":                 {strings.Repeat("a", 1<<20), CodeSize},
		"1 MB and valid":       {hs(t, fields{"x": strings.Repeat("a", 1<<20)}), CodeSize},
		"10,000 dots":          {strings.Repeat(".", 10_000), CodeSize},
		"8,000 dots":           {strings.Repeat(".", 8_000), CodeSize},
		"two dots":             {"..", CodeSize},
		"one part too many":    {hs(t, nil) + ".", CodeSize},
		"16 levels":            {hs(t, deep(16)), ""},
		"17 levels":            {hs(t, deep(17)), CodeSize},
		"3,000 levels":         {hs(t, deep(2000)), CodeSize},
		"claim twice":          {jws(t, headHS, strings.Replace(good(nil), "{", `{"room":"x",`, 1), secret), CodeSize},
		"claim twice, escaped": {jws(t, headHS, strings.Replace(good(nil), "{", `{"\u0072oom":"x",`, 1), secret), CodeSize},
		"claim twice below":    {jws(t, headHS, strings.Replace(good(nil), "{", `{"context":{"user":{"id":"a","id":"b"}},`, 1), secret), CodeSize},
		"line end inside":      {strings.Replace(hs(t, nil), ".", ".\n", 1), CodeSize},
		"padding":              {strings.Replace(hs(t, nil), ".", "=.", 1), CodeSize},
		"spaces around":        {" " + hs(t, nil), CodeSize},
		"brackets in a string": {hs(t, fields{"x": strings.Repeat("[{", 100) + `"\`}), ""},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, c, test.raw, test.code) })
	}
	t.Run("spelling of the signature", func(t *testing.T) {
		// 32 bytes end in a character with two unused bits: other spellings of the same bytes are refused.
		raw := hs(t, nil)
		last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", raw[len(raw)-1])
		other := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last|1]
		wantCode(t, c, raw[:len(raw)-1]+string(other), CodeSize)
	})
}

func TestRefusalsAreCountedAndHoldNoSecret(t *testing.T) {
	rec, log, count := recorder()
	c := checker(t, func(_ *Config, _ *Issuer, o *Options) { o.Recorder = rec })
	bad := flip(hs(t, nil))
	c.Check(context.Background(), bad, "192.0.2.1")
	c.Check(context.Background(), hs(t, fields{"exp": 1}), "192.0.2.1")
	c.Check(context.Background(), hs(t, fields{"room": nil}), "192.0.2.1")
	c.Check(context.Background(), jws(t, `{"alg":"HS256","kid":""}`, good(nil), secret), "192.0.2.1")
	for name, want := range map[string]float64{"token.reject": 2, "token.scope": 1, "token.kid": 1} {
		if got := count(name); got != want {
			t.Errorf("%s counted %v times, want %v", name, got, want)
		}
	}
	parts := strings.Split(bad, ".")
	for _, p := range append(parts, secret) {
		if strings.Contains(log.String(), p) {
			t.Errorf("log holds %q", p)
		}
	}
	if !strings.Contains(log.String(), "signature is not valid") {
		t.Errorf("log lacks the reason: %s", log)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	dir := t.TempDir()
	private, _ := x509.MarshalPKCS8PrivateKey(rsaKey)
	for name, file := range map[string]string{
		"weak RSA":    writePEM(t, &weak.PublicKey),
		"small curve": writePEM(t, &p224.PublicKey),
		"missing":     filepath.Join(dir, "none.pem"),
		"private key": writeFile(t, dir, "private.pem", strings.ReplaceAll(string(pemBytes(private)), "PUBLIC", "PRIVATE")),
		"no PEM":      writeFile(t, dir, "text.pem", "key"),
		"no key":      writeFile(t, dir, "bad.pem", string(pemBytes([]byte("key")))),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Issuers = []Issuer{{Name: "app", Audiences: []string{Any}, PublicKeys: []string{file}}}
			if _, err := New(cfg, Options{}); err == nil {
				t.Error("accepted")
			}
		})
	}
	for name, jwk := range map[string]fields{
		"weak RSA":      rsaJWK("k", &weak.PublicKey),
		"for encrypt":   {"kty": "RSA", "use": "enc", "n": b64(rsaKey.N.Bytes()), "e": "AQAB"},
		"key_ops":       {"kty": "RSA", "key_ops": []string{"encrypt"}, "n": b64(rsaKey.N.Bytes()), "e": "AQAB"},
		"even exponent": {"kty": "RSA", "n": b64(rsaKey.N.Bytes()), "e": "AQAA"},
		"huge exponent": {"kty": "RSA", "n": b64(rsaKey.N.Bytes()), "e": b64(rsaKey.N.Bytes())},
		"no modulus":    {"kty": "RSA", "e": "AQAB"},
		"symmetric":     {"kty": "oct", "k": b64([]byte(secret))},
		"off the curve": {"kty": "EC", "crv": "P-256", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))},
		"other curve":   {"kty": "EC", "crv": "secp256k1", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))},
		"short point":   {"kty": "OKP", "crv": "Ed25519", "x": b64(make([]byte, 31))},
		"alg of others": {"kty": "OKP", "crv": "Ed25519", "alg": "HS256", "x": b64(make([]byte, 32))},
		"kid a number":  {"kty": "OKP", "crv": "Ed25519", "kid": 1, "x": b64(make([]byte, 32))},
	} {
		t.Run("JWK "+name, func(t *testing.T) {
			keys, err := parseSet(jwks(jwk, ecJWK("good", &ecKey.PublicKey)))
			if err != nil || len(keys) != 1 || keys[0].id != "good" {
				t.Errorf("got %d keys, %v; want only the good one", len(keys), err)
			}
		})
	}
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

package token

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestKeysFromAJWKSet(t *testing.T) {
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		w.Write(jwks(rsaJWK("rsa-1", &rsaKey.PublicKey), ecJWK("ec-1", &ecKey.PublicKey), fields{"kty": "oct", "kid": "oct-1", "k": b64([]byte(secret))}))
	}))
	defer srv.Close()
	c := checker(t, func(_ *Config, i *Issuer, _ *Options) { i.Secrets, i.JWKS = nil, srv.URL+"/jwks.json" })
	wantCode(t, c, jws(t, headRS, good(nil), rsaKey), "")
	wantCode(t, c, jws(t, `{"alg":"ES256","kid":"ec-1"}`, good(nil), ecKey), "")
	wantCode(t, c, jws(t, `{"alg":"ES256","kid":"rsa-1"}`, good(nil), ecKey), CodeAlg)
	wantCode(t, c, jws(t, `{"alg":"RS256","kid":"rsa-1"}`, good(nil), otherRSAKey), CodeReject)
	wantCode(t, c, jws(t, `{"alg":"HS256","kid":"oct-1"}`, good(nil), secret), CodeKid)
	wantCode(t, c, jws(t, `{"alg":"RS256","kid":"`+srv.URL+`/other"}`, good(nil), otherRSAKey), CodeKid)
	if n := hits.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestHP2KeyServerPath(t *testing.T) {
	var paths []string
	kid := "../../tenant key/1"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.RequestURI)
		if r.URL.Path == "/keys/"+hexSum("tenant/key-1")+".pem" {
			der, _ := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
			w.Write(pemBytes(der))
			return
		}
		http.NotFound(w, r)
	}))
	defer srv.Close()
	c := checker(t, func(_ *Config, i *Issuer, _ *Options) {
		i.Secrets, i.KeyServer, i.KeyIDs = nil, srv.URL+"/keys/", []string{"tenant/key-1"}
	})
	wantCode(t, c, jws(t, `{"alg":"RS256","kid":"tenant/key-1"}`, good(nil), rsaKey), "")
	wantCode(t, c, jws(t, `{"alg":"RS256"}`, good(nil), rsaKey), CodeKid)
	wantCode(t, c, jws(t, `{"alg":"RS256","kid":"`+kid+`"}`, good(nil), rsaKey), CodeKid) // a space: not asked at all
	kid = "../../etc/passwd?a=b#c"
	wantCode(t, c, jws(t, `{"alg":"RS256","kid":"`+kid+`"}`, good(nil), rsaKey), CodeKid)
	wantCode(t, c, jws(t, `{"alg":"RS256","kid":"unknown"}`, good(nil), rsaKey), CodeKid)
	c.Close()
	srv.Close()
	want := []string{"/keys/" + hexSum("tenant/key-1") + ".pem", "/keys/" + hexSum(kid) + ".pem"}
	if strings.Join(paths, " ") != strings.Join(want, " ") {
		t.Errorf("asked for %q, want %q", paths, want)
	}
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestHW5FetchIsBounded(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Error("the redirect to another host was followed")
	}))
	defer other.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/good", http.StatusFound) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) { w.Write(jwks(edJWK("k", edPublic()))) })
	mux.HandleFunc("/none", http.NotFound)
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	mux.HandleFunc("/html", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) })
	mux.HandleFunc("/twice", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{"keys":[],"keys":[]}`)) })
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{}`)) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"keys":[],"x":"`))
		for range fetchSize / 1024 {
			w.Write([]byte(strings.Repeat("x", 1024)))
		}
		w.Write([]byte(`"}`))
	})
	hang := make(chan struct{})
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	defer close(hang)
	for path, want := range map[string]bool{
		"/good": true, "/here": true, "/away": false, "/loop": false, "/none": false, "/broken": false, "/html": false,
		"/twice": false, "/empty": false, "/large": false, "/hang": false,
	} {
		t.Run(path, func(t *testing.T) {
			u, err := keyURL(srv.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			f := newFetcher(u, publicExcept(u.Hostname()))
			if path == "/hang" {
				f.client.Timeout = 50 * time.Millisecond // 5 s in earnest
			}
			keys, err := f.set(context.Background(), "")
			if (err == nil) != want || want && len(keys) != 1 {
				t.Errorf("%d keys, %v", len(keys), err)
			}
		})
	}
}

func edPublic() []byte { return []byte(edKey[32:]) }

func TestHW5DialledAddressIsChecked(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("reached") }))
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	f := newFetcher(u, publicExcept("keys.example")) // a name that resolved to 127.0.0.1
	if _, err := f.set(context.Background(), ""); err == nil || !strings.Contains(err.Error(), errBlocked.Error()) {
		t.Errorf("got %v", err)
	}
	rec, log, count := recorder()
	c := checker(t, func(_ *Config, i *Issuer, o *Options) {
		i.Secrets, i.JWKS, o.Recorder = nil, srv.URL, rec
		o.Allow = func(netip.AddrPort) error { return errBlocked }
	})
	wantCode(t, c, jws(t, headRS, good(nil), rsaKey), CodeKid)
	if count("ssrf.block") != 1 {
		t.Errorf("not counted: %s", log)
	}
}

func TestPublicAddresses(t *testing.T) {
	for addr, want := range map[string]bool{
		"93.184.215.14": true, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": true, "64:ff9b::5db8:d70e": true, "::ffff:93.184.215.14": true,
		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "192.0.0.8": false, "198.18.0.1": false, "224.0.0.1": false,
		"240.0.0.1": false, "255.255.255.255": false, "::": false, "::1": false, "fe80::1": false, "fd00::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::a00:1": false, "64:ff9b:1::1": false,
		"2002:7f00:1::": false, "2001::1": false, "fec0::1": false, "fe80::1%eth0": false,
	} {
		err := publicExcept("keys.example")(netip.AddrPortFrom(netip.MustParseAddr(addr), 443))
		if (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for host, addrs := range map[string]map[string]bool{
		"10.1.2.3":  {"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.1.2.4": false, "127.0.0.1": false},
		"localhost": {"127.0.0.1": true, "::1": true, "10.1.2.3": false},
		"::1":       {"::1": true, "127.0.0.1": false},
	} {
		for addr, want := range addrs {
			if err := publicExcept(host)(netip.AddrPortFrom(netip.MustParseAddr(addr), 443)); (err == nil) != want {
				t.Errorf("%s as %s: %v", host, addr, err)
			}
		}
	}
}

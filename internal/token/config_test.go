package token

import (
	"strings"
	"testing"
	"time"
)

func TestHP6Secrets(t *testing.T) {
	build := func(secret string, development bool) error {
		cfg := DefaultConfig()
		cfg.Issuers = []Issuer{{Name: "app", Audiences: []string{Any}, Secrets: []string{secret}}}
		_, err := New(cfg, Options{Development: development})
		return err
	}
	for _, weak := range []string{
		"change me", "secret", secret[:31], strings.Repeat("a", 64), strings.Repeat("ab", 32),
		"please-CHANGE-me-before-production-2026", "changeme0123456789changeme0123456789",
		"a-string-secret-at-least-256-bits-long", "Your_256_bit_secret_0123456789abcdef",
	} {
		if build(weak, false) == nil {
			t.Errorf("%q is accepted", weak)
		}
		if err := build(weak, true); err != nil {
			t.Errorf("%q is refused in development: %v", weak, err)
		}
	}
	if build("", false) == nil || build("", true) == nil {
		t.Error("an empty secret is accepted")
	}
	if err := build(secret, false); err != nil {
		t.Error(err)
	}
	if err := build(secret[:31], false); err == nil || strings.Contains(err.Error(), secret[:8]) {
		t.Errorf("the error tells the secret: %v", err)
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	any := []string{Any}
	for name, change := range map[string]func(*Config, *Issuer){
		"negative leeway":    func(c *Config, _ *Issuer) { c.Leeway = -1 },
		"no lifetime":        func(c *Config, _ *Issuer) { c.MaxLifetime = 0 },
		"no name":            func(_ *Config, i *Issuer) { i.Name = "" },
		"no audience":        func(_ *Config, i *Issuer) { i.Audiences = nil },
		"no keys":            func(_ *Config, i *Issuer) { i.Secrets = nil },
		"two remote places":  func(_ *Config, i *Issuer) { i.JWKS, i.KeyServer = "https://a.example/", "https://b.example/" },
		"plain http":         func(_ *Config, i *Issuer) { i.JWKS = "http://keys.example/jwks" },
		"other scheme":       func(_ *Config, i *Issuer) { i.JWKS = "file:///etc/passwd" },
		"server without //":  func(_ *Config, i *Issuer) { i.KeyServer = "keys.example" },
		"user in the URL":    func(_ *Config, i *Issuer) { i.JWKS = "https://user:hunter2@keys.example/jwks" },
		"no URL":             func(_ *Config, i *Issuer) { i.JWKS = "https://user:hunter2@keys example/%zz" },
		"refreshed too soon": func(_ *Config, i *Issuer) { i.JWKS, i.Refresh = "https://keys.example/jwks", time.Second },
		"twice":              func(c *Config, i *Issuer) { c.Issuers = []Issuer{*i} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg, i := DefaultConfig(), Issuer{Name: "app", Audiences: any, Secrets: []string{secret}}
			change(&cfg, &i)
			cfg.Issuers = append(cfg.Issuers, i)
			c, err := New(cfg, Options{})
			if err == nil {
				c.Close()
				t.Fatal("accepted")
			}
			if text := err.Error(); strings.Contains(text, "hunter2") || strings.Contains(text, secret) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

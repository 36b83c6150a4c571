package app

import (
	"math"
	"strings"
	"testing"

	"parley/internal/store"
)

func TestWhatAnApplicationMayBe(t *testing.T) {
	for name, good := range map[string]store.App{
		"all":     {Name: "Shop_1.x-y", Scopes: []string{"tokens:issue", "admin"}, Domains: []string{"example.co.uk", "localhost", "a.b.example.org"}, Rate: 0.5, Burst: 1},
		"nothing": {Name: "x"},
	} {
		if err := Check(&good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	canonical := store.App{Name: "x", Domains: []string{"EXAMPLE.org.", "bücher.example"}}
	if err := Check(&canonical); err != nil || canonical.Domains[0] != "example.org" || canonical.Domains[1] != "xn--bcher-kva.example" {
		t.Errorf("%v %v", canonical.Domains, err)
	}
	with := func(change func(*store.App)) store.App {
		a := store.App{Name: "x"}
		change(&a)
		return a
	}
	for name, bad := range map[string]store.App{
		"no name":         {},
		"a long name":     {Name: strings.Repeat("a", 65)},
		"a path":          {Name: "../x"},
		"a point first":   {Name: ".x"},
		"two points":      {Name: "x..y"},
		"a quote":         {Name: "x'--"},
		"a NUL":           {Name: "x\x00"},
		"an umlaut":       {Name: "ö"},
		"unknown scope":   {Name: "x", Scopes: []string{"root"}},
		"of people":       {Name: "x", Scopes: []string{string(Self)}},
		"scope twice":     {Name: "x", Scopes: []string{"turn", "turn"}},
		"a public suffix": {Name: "x", Domains: []string{"co.uk"}},
		"a whole country": {Name: "x", Domains: []string{"de"}},
		"everything":      {Name: "x", Domains: []string{"*"}},
		"an address":      {Name: "x", Domains: []string{"192.0.2.1"}},
		"a URL":           {Name: "x", Domains: []string{"https://example.org"}},
		"twice":           {Name: "x", Domains: []string{"example.org", "Example.org"}},
		"empty":           {Name: "x", Domains: []string{""}},
		"with a space":    {Name: "x", Domains: []string{"a b.example"}},
		"many":            with(func(a *store.App) { a.Domains = make([]string, 51) }),
		"burst alone":     {Name: "x", Burst: 3},
		"rate alone":      {Name: "x", Rate: 3},
		"negative":        {Name: "x", Rate: -1, Burst: -1},
		"no number":       {Name: "x", Rate: math.NaN(), Burst: 1},
	} {
		if err := Check(&bad); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestR34WhichPagesSpeakForAnApplication(t *testing.T) {
	domains := []string{"example.co.uk", "localhost"}
	for origin, want := range map[string]bool{
		"https://example.co.uk": true, "https://a.shop.example.co.uk": true, "https://a.shop.Example.co.uk:8443": true, "http://localhost:3000": true,
		"https://localhost": true, "https://other.co.uk": false, "https://notexample.co.uk": false, "https://example.co.uk.evil.example": false,
		"http://example.co.uk": false, "https://co.uk": false, "http://x.localhost": false, "null": false, "": false, "file://": false,
		"https://example.co.uk/": false, "https://example.co.uk@evil.example": false, "javascript://example.co.uk": false, "https://user@example.co.uk": false,
	} {
		if got := Bound(domains, origin); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
	if Bound(nil, "https://example.co.uk") {
		t.Error("an application without domains has pages")
	}
}

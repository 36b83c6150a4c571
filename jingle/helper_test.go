package jingle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/jingle/sdp"
	"parley/xmpp/wire"
)

var origin = sdp.Origin{Username: "-", ID: 1, Version: 1}

// scan returns a cursor on one element that the strict scanner accepts.
func scan(raw string) (wire.Elem, error) {
	s := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := s.Next([]byte(raw))
	if err != nil {
		return wire.Elem{}, err
	}
	return p.Elem(), nil
}

func elem(t testing.TB, raw string) wire.Elem {
	t.Helper()
	e, err := scan(raw)
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return e
}

func parse(t testing.TB, raw string) *Jingle {
	t.Helper()
	j, err := Parse(elem(t, raw), DefaultLimits)
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return j
}

// jingleIn returns the jingle element of a captured stanza.
func jingleIn(t testing.TB, name string) wire.Elem {
	t.Helper()
	return elem(t, read(t, name)).Child("jingle", NSJingle)
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// captures lists files below testdata; it fails if there are fewer than least.
func captures(t testing.TB, pattern string, least int) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("testdata", filepath.FromSlash(pattern)))
	if err != nil || len(found) < least {
		t.Fatalf("%d files for %s, want %d: %v", len(found), pattern, least, err)
	}
	for i, f := range found {
		rel, _ := filepath.Rel("testdata", f)
		found[i] = filepath.ToSlash(rel)
	}
	return found
}

// sideOf says whose description a captured file is.
func sideOf(name string) Role {
	if strings.Contains(filepath.Base(name), "answer") {
		return Responder
	}
	return Initiator
}

func fromSDP(t testing.TB, text string, by Role) *Jingle {
	t.Helper()
	j, err := ParseSDP(text, by, DefaultLimits)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return j
}

func toSDP(t testing.TB, j *Jingle, by Role) string {
	t.Helper()
	b, err := j.AppendSDP(nil, by, origin)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

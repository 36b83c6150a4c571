package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestR29HowTheLastProcessEnded(t *testing.T) {
	d := &dataDir{path: t.TempDir()}
	next := func(serves bool) *past {
		t.Helper()
		p, err := d.past(true)
		if err != nil {
			t.Fatal(err)
		}
		if serves {
			p.started()
		}
		return p
	}
	wants := func(p *past, crashes int, detail string) {
		t.Helper()
		if p.now.Crashes != crashes || !strings.Contains(p.now.Detail, detail) {
			t.Errorf("%+v, want %d, %q", p.now, crashes, detail)
		}
	}
	p := next(true)
	wants(p, 0, "")
	p.end()
	wants(next(true), 0, "") // and is killed
	p = next(false)
	wants(p, 1, "ended without a word")
	p.end() // it could not start: who comes after it finds what it found
	p = next(true)
	wants(p, 1, "ended without a word") // and is killed before anybody was told
	p = next(true)
	wants(p, 2, "ended without a word")
	p.told()
	p.fault = errors.New("a listener is gone")
	p.end()
	p = next(true)
	wants(p, 1, "ended by itself: a listener is gone")
	p.now.Boot = "another"
	p.save()
	p = next(true)
	wants(p, 2, "ended with the machine")
	p.told()
	p.end()
	p = next(true)
	wants(p, 0, "")
	if len(p.now.Told) != 2 {
		t.Errorf("%+v", p.now)
	}
	if err := os.WriteFile(d.file(pastFile), []byte("{ damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(next(true), 0, "")
	p, err := d.past(false)
	if err != nil || p.now.Crashes != 0 {
		t.Errorf("nobody is to be told: %+v %v", p, err)
	}
	(*past)(nil).end()
}

// A server that crashes again and again tells it four times, then once in an hour.
func TestR29CrashesAreToldSoOften(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	begun, mails := now, 0
	var l life
	for now.Sub(begun) < 24*time.Hour {
		if l.wait(now) == 0 {
			mails++
			l.Told = append(l.Told, now)
			l.Told = l.Told[max(0, len(l.Told)-crashesAtOnce):]
		}
		now = now.Add(10 * time.Second)
	}
	if mails < 24 || mails > 24+crashesAtOnce {
		t.Errorf("%d mails in a day", mails)
	}
	if wait := l.wait(now.Add(-24 * time.Hour)); wait > crashesEvery { // the clock was set back
		t.Errorf("it waits %v", wait)
	}
	if l.wait(now.Add(5*time.Hour)) != 0 {
		t.Error("after a quiet time it waits")
	}
}

package api

import (
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/app"
)

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIssueToken makes tokens of rooms for an application, with everything between the request's head and the answer: key,
// scope, rates, reading, checking, signing. requests/CPU-s is what the issue asks for.
func BenchmarkIssueToken(b *testing.B) {
	w := newWorld(b, func(_ *Config, p *Parts) { p.Log = nil })
	key := w.key("shop", app.IssueTokens)
	const body = `{"room":"standup","user":{"id":"u1","name":"Ann"},"moderator":true,"expires_in":60}`
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		r := httptest.NewRequest("POST", "https://"+domain+Prefix+"/tokens/room", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(keyHeader, key)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code != 201 {
			b.Fatal(rec.Code, rec.Body)
		}
	}
	b.ReportMetric(float64(b.N)/(cpuTime()-start).Seconds(), "requests/CPU-s")
}

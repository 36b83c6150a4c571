package event

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestOneLinePerEventAndSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := New(slog.New(slog.NewTextHandler(&out, nil)), prometheus.NewRegistry(), false)
		for range 100 {
			r.Reject("xml.restricted", "192.0.2.1", "text", "a\nb")
		}
		r.Reject("xml.restricted", "192.0.2.2")
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d lines:\n%s", n, out.String())
		}
		if strings.Contains(out.String(), "a\nb") {
			t.Error("a peer's line feed reached the log")
		}
		time.Sleep(11 * time.Second)
		out.Reset()
		r.Reject("xml.restricted", "192.0.2.1")
		if !strings.Contains(out.String(), "count=100") {
			t.Errorf("the rest is not counted: %s", out.String())
		}
		if n := testutil.ToFloat64(r.counts.WithLabelValues("xml.restricted")); n != 102 {
			t.Errorf("counted %v", n)
		}
	})
}

// A step is written at level info, once for each who makes it, and counted nowhere.
func TestStepsAreNoRefusals(t *testing.T) {
	var out bytes.Buffer
	reg := prometheus.NewRegistry()
	level := new(slog.LevelVar)
	r := New(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})), reg, false)
	for _, who := range []string{"a", "a", "b"} {
		r.Step("door.join", who, "room", "x\ny")
	}
	got := out.String()
	if n := strings.Count(got, "level=INFO msg=step event=door.join"); n != 2 || strings.Contains(got, "remote=") || strings.Count(got, "\n") != 2 {
		t.Errorf("%d in %s", n, got)
	}
	if list, err := reg.Gather(); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
	level.Set(slog.LevelWarn)
	r.Step("door.leave", "c")
	if (*Recorder)(nil).Step("x", "y"); out.String() != got {
		t.Error(out.String())
	}
}

func TestMemoryIsBounded(t *testing.T) {
	r := New(slog.New(slog.NewTextHandler(new(bytes.Buffer), nil)), prometheus.NewRegistry(), false)
	for i := range 3 * sources {
		r.Reject("limit.conn", fmt.Sprint(i))
	}
	if len(r.lines) > sources+1 {
		t.Errorf("%d sources remembered", len(r.lines))
	}
}

func TestRedact(t *testing.T) {
	r := New(slog.Default(), prometheus.NewRegistry(), true)
	for in, want := range map[string]string{"192.0.2.7": "192.0.0.0/16", "2001:db8:1:2::3": "2001:db8::/32", "ann@example.net": "ann@example.net"} {
		if got := r.remote(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	var none *Recorder
	none.Reject("x", "y")
	none.Count("x")
}

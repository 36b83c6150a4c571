package xmpp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The archive is read from its end to its start, over and over: as many pages as fit into the time, all of them full.
func TestArchivePages(t *testing.T) {
	o := tiny(t, start(t, true))
	o.Work, o.Archived, o.Patience = []string{"archive-page"}, 3*pageSize+10, 30*time.Second
	o.JSON = filepath.Join(t.TempDir(), "out.json")
	var out strings.Builder
	if err := Run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	b, err := os.ReadFile(o.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.All) != 3 {
		t.Fatalf("%+v", r.All)
	}
	for i, want := range []string{"page of 50 from an archive of 160: CPU per page", "page of 50 from an archive of 160: p50", "page of 50 from an archive of 160: p95"} {
		m := r.All[i]
		if m.Row != want || m.Error != "" || i > 0 && m.Value <= 0 {
			t.Errorf("%+v, want %s", m, want)
		}
	}
	if pages := r.All[0].Work; pages < 20 || r.All[1].Value > r.All[2].Value {
		t.Errorf("%d pages, p50 %v, p95 %v", pages, r.All[1].Value, r.All[2].Value)
	}
}

func TestPagesOfServersWithoutArchives(t *testing.T) {
	o := tiny(t, spec(t))
	o.Work = []string{"archive-page"}
	var out strings.Builder
	if err := Run(t.Context(), o, &out); err != nil || strings.Contains(out.String(), "page of") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// An archive that has fewer messages than it was sent is no archive to measure.
func TestALostPageIsSeen(t *testing.T) {
	var answers atomic.Int32 // to what is asked before it is filled, twice, and whether it is
	th := &thief{steal: func(el *element) bool {
		if el.is("iq") && string(el.attr("id")) == "page" {
			answers.Add(1)
		}
		return answers.Load() >= 3 && el.is("message") && el.has("<result") && el.has(" a9<")
	}}
	o := tiny(t, th.robbed(t, start(t, true)))
	o.Work, o.Archived, o.Patience = []string{"archive-page"}, pageSize, 30*time.Second
	var out strings.Builder
	if err := Run(t.Context(), o, &out); err == nil || !strings.Contains(out.String(), "the last page has 49 messages") {
		t.Errorf("%v\n%s", err, &out)
	}
}

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/app"
	"parley/internal/store"
	"parley/portal/report"
)

// kept are the records of a store.
type kept struct {
	store.Store
	*report.Reporter
}

func keptIn(t testing.TB, s store.Store) Calls {
	t.Helper()
	r, err := report.New(report.Defaults(), report.Options{Domain: domain, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return kept{s, r}
}

func talked(w *world) {
	w.Helper()
	at := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	var r store.TalkRecords
	for i := range 3 {
		id := fmt.Sprintf("%026d", i+1)
		s := store.TalkSession{ID: id, User: "bob@" + domain, Name: "Bob", Account: "bob@" + domain, Room: "standup@rooms.example", Talk: 1, IP: "192.0.2.1", Country: "DE", Protocol: "jitsi", Created: at, Joined: at.Add(time.Duration(i) * time.Hour)}
		if i < 2 {
			s.Left = s.Joined.Add(90 * time.Second)
		}
		r.Sessions = append(r.Sessions, s)
	}
	r.Sessions = append(r.Sessions, store.TalkSession{ID: fmt.Sprintf("%026d", 9), User: "x", Room: "other@rooms.example", Created: at, Joined: at})
	r.Subs = []store.TalkSub{{ID: fmt.Sprintf("%026d", 5), Session: r.Sessions[1].ID, RemoteUser: "ann@" + domain, RemoteName: "Ann", RemoteIP: "198.51.100.9", RemoteIn: "FR", ICE: "198.51.100.1", ICEIn: "US", Connect: "SFU", Status: store.SubTalked, Connected: at, Finished: at.Add(time.Minute), Seconds: 60, Cost: 7}}
	if err := w.store.KeepTalks(context.Background(), r); err != nil {
		w.Fatal(err)
	}
}

func TestR37EverybodySeesTheirOwnCalls(t *testing.T) {
	w := newWorld(t, nil)
	talked(w)
	list := func(who, query string) (calls []callView) {
		t.Helper()
		a := w.want(200, "", "GET", query, who, "")
		if err := json.Unmarshal([]byte(a.text), &calls); err != nil {
			t.Fatal(err)
		}
		return calls
	}
	bob, _ := w.login("bob")
	ann, _ := w.login("ann")
	mine := list(bob, "/me/calls?limit=2")
	if len(mine) != 2 || mine[0].Left != nil || mine[1].Seconds != 90 || len(mine[0].With) != 0 || len(mine[1].With) != 1 {
		t.Fatalf("%+v", mine)
	}
	if p := mine[1].With[0]; p.Name != "Ann" || p.IP != "" || p.Country != "" || p.ICE != "" || p.ICEIn != "" || mine[1].Country != "DE" || p.Way != "SFU" || p.Status != "talked" || p.Cents != 7 || p.Connected == nil || p.Begun != nil {
		t.Errorf("%+v", p)
	}
	if rest := list(bob, "/me/calls?before="+mine[1].ID); len(rest) != 1 || rest[0].ID >= mine[1].ID {
		t.Errorf("%+v", rest)
	}
	if others := list(ann, "/me/calls"); len(others) != 0 {
		t.Errorf("ann sees %+v", others)
	}
	admin := w.key("admin", app.Admin)
	if all := list(admin, "/calls"); len(all) != 4 {
		t.Errorf("%+v", all)
	}
	if some := list(ann, "/calls?account=bob&room=standup&limit=2"); len(some) != 2 || some[1].With[0].IP != "198.51.100.9" || some[1].With[0].Country != "FR" || some[1].With[0].ICEIn != "US" {
		t.Errorf("%+v", some)
	}
	if none := list(admin, "/calls?account=ann"); len(none) != 0 {
		t.Errorf("%+v", none)
	}
	w.want(422, "invalid", "GET", "/calls?room=not+a+room", admin, "")
	w.want(403, "scope", "GET", "/calls", bob, "")
}

func TestR22ReportsAreShown(t *testing.T) {
	w := newWorld(t, nil)
	talked(w)
	admin := w.key("admin", app.Admin)
	a := w.want(200, "", "GET", "/reports/2026-08-01", admin, "")
	if a.body["sessions"] != 4.0 || a.body["connected"] != 1.0 || a.body["cents"] != 7.0 {
		t.Errorf("%s", a.text)
	}
	for form, begin := range map[string]string{"html": "text/html <!DOCTYPE html>", "text": "text/plain Calls of 2026-08-01", "csv": "text/csv app,room,", "countries": "text/csv country,sessions,connected,not_connected,timed_out,seconds,relay_share,loss\r\nDE,3,1,0,0,60,0.0000,0.0000\r\nunknown,1,0,"} {
		a := w.want(200, "", "GET", "/reports/2026-08-01/"+form, admin, "")
		kind, text, _ := strings.Cut(begin, " ")
		if !strings.HasPrefix(a.header.Get("Content-Type"), kind) || !strings.HasPrefix(a.text, text) || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %v %.60s", form, a.header, a.text)
		}
	}
	w.want(404, "not-found", "GET", "/reports/2999-01-01", admin, "")
	w.want(422, "invalid", "GET", "/reports/2026-13-01", admin, "")
	w.want(422, "invalid", "GET", "/reports/2026-08-01/pdf", admin, "")
}

func TestWithoutRecordsThereAreNone(t *testing.T) {
	w := newWorld(t, func(_ *Config, p *Parts) { p.Calls = nil })
	bob, _ := w.login("bob")
	w.want(404, "records.off", "GET", "/me/calls", bob, "")
	admin := w.key("admin", app.Admin)
	for _, path := range []string{"/calls", "/reports/2026-08-01", "/reports/2026-08-01/html"} {
		w.want(404, "records.off", "GET", path, admin, "")
	}
}

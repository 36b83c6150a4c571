package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"parley/internal/store"
)

func talk(id string, change ...func(*store.TalkSession)) store.TalkSession {
	t := store.TalkSession{ID: id, App: "10000", User: "u1", Name: "Ann", Room: "r@muc.localhost", Talk: 1, IP: "192.0.2.7", Country: "FR", Created: at(0), Joined: at(5), OS: "Linux", Browser: "chrome58.0", SDK: "1.0.0", Protocol: "roomserver", Node: "node"}
	for _, c := range change {
		c(&t)
	}
	return t
}

func sub(id, session string) store.TalkSub {
	return store.TalkSub{ID: id, Session: session, Status: store.SubOpen, RemoteUser: "u2", RemoteName: "Bob", RemoteIP: "2001:db8::1", RemoteIn: "DE", ICE: "192.0.2.1", ICEIn: "US", Begun: at(10)}
}

func ptr[T any](v T) *T { return &v }

// What is kept comes back as it is, from both databases.
func TestR18R19R20RecordsOfCallsAreKept(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		for i, text := range nasty {
			id := fmt.Sprintf("s%02d", i)
			one := talk(id, func(t *store.TalkSession) {
				t.Subs, t.App, t.User, t.Name, t.OS, t.Browser, t.SDK, t.Protocol, t.Room = text, text, text, text, text, text, text, text, text
				t.Account, t.Node, t.TimeOut, t.Gate, t.Left, t.ClientAt = text, text, true, 2, at(65_005), at(3)
			})
			pair := sub("b"+id, id)
			pair.RemoteUser, pair.RemoteName, pair.Connect, pair.Claimed = text, text, text, text
			pair.Status, pair.Connected, pair.Finished, pair.Seconds, pair.Cost = store.SubTalkedTill, at(20), at(61_020), 61, 6
			q := store.TalkQuality{ID: "q" + id, Sub: pair.ID, Remote: text, At: at(100), AudSendLost: ptr(0.0), AudRecvLost: ptr(0.0212), VidSendLost: ptr(1.0), AudSendRate: ptr[int64](40), SendWidth: ptr[int64](1280), SendCodec: text, RecvCodec: text}
			v := store.TalkVerdict{ID: "v" + id, Session: id, At: at(200), Part: text, Loss: 0.25, Delay: 300, Rate: 1 << 40}
			n := store.TalkNote{ID: "n" + id, At: at(300), Session: id, Room: text, Door: text, Cause: text, Count: 1 << 40, Result: -9, Data: text}
			r := store.TalkRecords{Sessions: []store.TalkSession{one}, Subs: []store.TalkSub{pair}, Qualities: []store.TalkQuality{q}, Verdicts: []store.TalkVerdict{v}, Notes: []store.TalkNote{n}}
			for range 2 { // the second time nothing changes
				if err := s.KeepTalks(ctx, r); err != nil {
					t.Fatalf("%q: %v", text, err)
				}
			}
			sessions, err := s.TalkSessions(ctx, store.TalkQuery{Account: text, Room: text, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "sessions", sessions, []store.TalkSession{one})
			subs, err := s.TalkSubs(ctx, []string{id, "nobody"})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "sub-sessions", subs, []store.TalkSub{pair})
			if i > 0 {
				continue
			}
			day, err := s.TalkDay(ctx, at(100), at(301))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "qualities", day.Qualities, []store.TalkQuality{q})
			equal(t, "verdicts", day.Verdicts, []store.TalkVerdict{v})
			equal(t, "notes", day.Notes, []store.TalkNote{n})
			if day, err = s.TalkDay(ctx, at(101), at(200)); err != nil || day.Len() != 0 {
				t.Errorf("another time has %d: %v", day.Len(), err)
			}
		}
		var n, seconds int
		if err := s.reader.QueryRow(`SELECT COUNT(*), MIN(duration) FROM rtc_talk_sessions`).Scan(&n, &seconds); err != nil || n != len(nasty) || seconds != 65 {
			t.Errorf("%d sessions of %d s: %v", n, seconds, err)
		}
		if err := s.reader.QueryRow(`SELECT COUNT(aud_recv_lost_rate) FROM rtc_talk_quality_stats_recv`).Scan(&n); err != nil || n != len(nasty) {
			t.Errorf("the view with the older names has %d: %v", n, err)
		}
	})
}

// PostgreSQL has its own types, for other programs.
func TestR18RecordsHaveTypesOfTheDatabase(t *testing.T) {
	s := mustOpen(t, databases()["postgres"](t), Options{})
	if err := s.KeepTalks(context.Background(), store.TalkRecords{Sessions: []store.TalkSession{talk("s", func(t *store.TalkSession) { t.Left = at(3_605_005) })}}); err != nil {
		t.Fatal(err)
	}
	var got string
	err := s.reader.QueryRow(`SELECT concat_ws(' ', pg_typeof(user_ip), pg_typeof(join_time), extract(epoch FROM leave_time - join_time)::int, host(user_ip)) FROM rtc_talk_sessions`).Scan(&got)
	if want := "inet timestamp with time zone 3605 192.0.2.7"; err != nil || got != want {
		t.Errorf("%q, want %q: %v", got, want, err)
	}
}

func TestRecordsThatCannotBeKeptAreRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		good := talk("good")
		for name, r := range map[string]store.TalkRecords{
			"no id":            {Sessions: []store.TalkSession{talk("")}},
			"NUL":              {Sessions: []store.TalkSession{talk("x", func(t *store.TalkSession) { t.Name = "a\x00" })}},
			"no UTF-8":         {Sessions: []store.TalkSession{talk("x", func(t *store.TalkSession) { t.Browser = "\xff" })}},
			"no address":       {Sessions: []store.TalkSession{talk("x", func(t *store.TalkSession) { t.IP = "'; --" })}},
			"a zone":           {Sessions: []store.TalkSession{talk("x", func(t *store.TalkSession) { t.IP = "fe80::1%eth0" })}},
			"no country":       {Sessions: []store.TalkSession{talk("x", func(t *store.TalkSession) { t.Country = "<b>" })}},
			"country of ICE":   {Subs: []store.TalkSub{{ID: "x", Session: "good", ICEIn: "Us"}}},
			"no time":          {Sessions: []store.TalkSession{talk("x", func(t *store.TalkSession) { t.Joined = at(0).AddDate(-3000, 0, 0).Add(0); t.Created = t.ClientAt })}},
			"status":           {Subs: []store.TalkSub{{ID: "x", Session: "good", Status: 9}}},
			"cost":             {Subs: []store.TalkSub{{ID: "x", Session: "good", Cost: 1 << 40}}},
			"a loss above one": {Qualities: []store.TalkQuality{{ID: "x", Sub: "b", At: at(0), AudRecvLost: ptr(1.1)}}},
			"a large rate":     {Qualities: []store.TalkQuality{{ID: "x", Sub: "b", At: at(0), VidRecvRate: ptr[int64](1 << 40)}}},
			"a long key":       {Verdicts: []store.TalkVerdict{{ID: strings.Repeat("x", keyLimit+1), Session: "good", At: at(0)}}},
		} {
			r.Sessions = append(r.Sessions, good)
			if err := s.KeepTalks(ctx, r); err != store.ErrInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		if list, err := s.TalkSessions(ctx, store.TalkQuery{Limit: 10}); err != nil || len(list) != 0 {
			t.Errorf("%d are there, and all were refused: %v", len(list), err)
		}
	})
}

// What belongs to a session that was lost is left out, and the rest is kept.
func TestRecordsWithoutTheirSessionAreLeftOut(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		r := store.TalkRecords{
			Sessions:  []store.TalkSession{talk("a"), talk("a", func(t *store.TalkSession) { t.Name = "the last counts" })},
			Subs:      []store.TalkSub{sub("1", "a"), sub("2", "lost")},
			Qualities: []store.TalkQuality{{ID: "q1", Sub: "1", At: at(1)}, {ID: "q2", Sub: "2", At: at(1)}},
			Verdicts:  []store.TalkVerdict{{ID: "v", Session: "lost", At: at(1)}},
		}
		if err := s.KeepTalks(ctx, r); err != nil {
			t.Fatal(err)
		}
		sessions, _ := s.TalkSessions(ctx, store.TalkQuery{Limit: 5})
		subs, _ := s.TalkSubs(ctx, []string{"a", "lost"})
		day, err := s.TalkDay(ctx, at(0), at(10))
		if err != nil || len(sessions) != 1 || sessions[0].Name != "the last counts" || len(subs) != 1 || len(day.Qualities) != 1 || len(day.Verdicts) != 0 {
			t.Errorf("%v %v %v %v", sessions, subs, day, err)
		}
	})
}

func TestWhichSessionsAreFound(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		set := func(account, room string, joined, left int) func(*store.TalkSession) {
			return func(t *store.TalkSession) {
				t.Account, t.Room, t.Joined, t.Created = account, room, at(joined), at(joined)
				if left > 0 {
					t.Left = at(left)
				}
			}
		}
		const juliet = "juliet@localhost"
		r := store.TalkRecords{Sessions: []store.TalkSession{
			talk("a", set(juliet, "x", 10, 20)), talk("b", set("", "x", 15, 0)), talk("c", set(juliet, "y", 30, 0)), talk("d", set(juliet, "x", 40, 50)),
		}, Subs: []store.TalkSub{sub("1", "b"), sub("2", "a"), sub("3", "c")}}
		r.Subs[2].Status = store.SubNever
		if err := s.KeepTalks(ctx, r); err != nil {
			t.Fatal(err)
		}
		found := func(q store.TalkQuery) string {
			t.Helper()
			q.Limit = max(q.Limit, 3)
			list, err := s.TalkSessions(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			ids := ""
			for _, one := range list {
				ids += one.ID
			}
			return ids
		}
		for want, q := range map[string]store.TalkQuery{
			"dcb": {}, "dca": {Account: juliet}, "da": {Account: juliet, Room: "x"}, "ca": {Account: juliet, Before: "d"},
			"dcb ": {From: at(21)}, "cba": {Until: at(40)}, "ba": {From: at(15), Until: at(30)},
		} {
			if got := found(q); got != strings.TrimSpace(want) {
				t.Errorf("%+v: %s, want %s", q, got, want)
			}
		}
		open, err := s.OpenTalks(ctx, "node")
		if err != nil || len(open.Sessions) != 2 || len(open.Subs) != 2 || open.Subs[0].ID != "1" || open.Subs[1].Status != store.SubNever {
			t.Errorf("open: %+v %v", open, err)
		}
		if open, err = s.OpenTalks(ctx, "other"); err != nil || open.Len() != 0 {
			t.Errorf("of another node: %+v %v", open, err)
		}
		for _, want := range []int{1, 1, 0} {
			if n, err := s.ForgetTalks(ctx, at(30), 1); err != nil || n != want {
				t.Errorf("%d were forgotten, not %d: %v", n, want, err)
			}
		}
		if subs, err := s.TalkSubs(ctx, []string{"a", "b", "c"}); err != nil || len(subs) != 1 || found(store.TalkQuery{}) != "dc" {
			t.Errorf("%v are left: %v", subs, err)
		}
		// Who has the name later does not find what was done under it.
		if err := s.DeleteAccount(ctx, juliet); err != nil {
			t.Fatal(err)
		}
		if err := s.KeepTalks(ctx, store.TalkRecords{Sessions: r.Sessions[2:]}); err != nil {
			t.Fatal(err)
		}
		if got := found(store.TalkQuery{Account: juliet}); got != "" || found(store.TalkQuery{}) != "dc" {
			t.Errorf("found %q for an account that was deleted", got)
		}
	})
}

// Of many who want to mail a report one may, until its lease ends, and nobody once it is mailed.
func TestR22OneLeaseForEachReport(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		const day = "2026-08-01"
		lease := func(owner string, now int) bool {
			t.Helper()
			ok, err := s.LeaseReport(ctx, day, owner, at(now), at(now+100))
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		var group sync.WaitGroup
		won := make(chan string, 16)
		for i := range 16 {
			group.Go(func() {
				owner := fmt.Sprint("node", i)
				if ok, err := s.LeaseReport(ctx, day, owner, at(0), at(100)); err != nil {
					t.Error(err)
				} else if ok {
					won <- owner
				}
			})
		}
		group.Wait()
		if len(won) != 1 {
			t.Fatalf("%d may mail it", len(won))
		}
		first := <-won
		if !lease(first, 50) || lease("late", 149) {
			t.Error("who has the lease may prolong it, and nobody else has it")
		}
		if !lease("late", 150) || lease(first, 151) {
			t.Error("a lease that has ended goes to who asks")
		}
		if err := s.ReportMailed(ctx, day, first, at(160)); err != store.ErrNotFound {
			t.Errorf("mailed by who has no lease: %v", err)
		}
		if err := s.ReportMailed(ctx, day, "late", at(160)); err != nil {
			t.Fatal(err)
		}
		if lease("late", 161) || lease("third", 10_000) {
			t.Error("it is mailed already")
		}
		if known, err := s.ReportKnown(ctx, day); err != nil || known {
			t.Errorf("there is a day before the first: %v", err)
		}
		if ok, err := s.LeaseReport(ctx, "2026-08-02", "third", at(0), at(1)); err != nil || !ok {
			t.Errorf("another day: %v %v", ok, err)
		}
		if known, err := s.ReportKnown(ctx, day); err != nil || !known {
			t.Errorf("the other day is not known: %v", err)
		}
	})
}

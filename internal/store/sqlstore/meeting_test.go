package sqlstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"parley/internal/store"
)

func TestMeetings(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		want := func(what string, err, wanted error) {
			t.Helper()
			if !errors.Is(err, wanted) {
				t.Errorf("%s: %v, want %v", what, err, wanted)
			}
		}
		want("account", s.CreateAccount(ctx, store.Account{Addr: "ann@x"}), nil)
		want("app", s.AddApp(ctx, store.App{Name: "ann@x"}), nil) // the same name
		soon := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
		meeting := func(id string) store.Meeting {
			return store.Meeting{ID: id, Account: "ann@x", Room: "r-" + id, Title: "T <", Starts: soon, Ends: soon.Add(time.Hour), Created: at(1)}
		}
		over := meeting("m0")
		over.Starts, over.Ends = at(1), at(2)
		want("one that is over", s.AddMeeting(ctx, over, 2), nil)
		want("one", s.AddMeeting(ctx, meeting("m1"), 2), nil)
		if _, err := s.Meeting(ctx, "m0"); err != store.ErrNotFound {
			t.Errorf("what was over is there: %v", err)
		}
		want("again", s.AddMeeting(ctx, meeting("m1"), 9), store.ErrExists)
		want("another", s.AddMeeting(ctx, meeting("m2"), 2), nil)
		want("a third", s.AddMeeting(ctx, meeting("m3"), 2), store.ErrQuota)
		nobodys, ofApp := meeting("m3"), meeting("m3")
		nobodys.Account, ofApp.Account, ofApp.App = "eve@x", "", "ann@x"
		want("nobody's", s.AddMeeting(ctx, nobodys, 9), store.ErrNotFound)
		want("the app's", s.AddMeeting(ctx, ofApp, 2), nil)
		both, none := meeting("m4"), meeting("m4")
		both.App, none.Account = "ann@x", ""
		for _, bad := range []store.Meeting{both, none, {ID: "m4", Account: "ann@x"}, {Account: "ann@x", Room: "r"}} {
			want("unstorable", s.AddMeeting(ctx, bad, 9), store.ErrInvalid)
		}
		got, err := s.Meeting(ctx, "m1")
		want("read", err, nil)
		equal(t, "as it was added", got, meeting("m1"))
		list, err := s.ListMeetings(ctx, "ann@x", "", "", 9)
		want("list", err, nil)
		equal(t, "list", list, []store.Meeting{meeting("m1"), meeting("m2")})
		list, err = s.ListMeetings(ctx, "", "ann@x", "", 9)
		want("the app's", err, nil)
		equal(t, "the app's", list, []store.Meeting{ofApp})
		if list, err = s.ListMeetings(ctx, "ann@x", "", "m1", 9); err != nil || len(list) != 1 {
			t.Errorf("behind the first: %+v %v", list, err)
		}

		guest := func(id string, ms int) store.Guest {
			return store.Guest{ID: id, Meeting: "m1", Digest: []byte{0, 1}, Name: "N", Account: "bob@x", Moderator: ms == 1, Created: at(ms)}
		}
		want("guest", s.AddGuest(ctx, guest("g2", 2), 2), nil)
		want("twice", s.AddGuest(ctx, guest("g2", 2), 9), store.ErrExists)
		want("another", s.AddGuest(ctx, guest("g1", 1), 2), nil)
		want("too many", s.AddGuest(ctx, guest("g3", 3), 2), store.ErrQuota)
		want("to nothing", s.AddGuest(ctx, store.Guest{ID: "g3", Meeting: "m9", Digest: []byte{1}}, 2), store.ErrNotFound)
		want("without digest", s.AddGuest(ctx, store.Guest{ID: "g3", Meeting: "m1"}, 9), store.ErrInvalid)
		guests, err := s.Guests(ctx, "m1")
		want("guests", err, nil)
		equal(t, "guests", guests, []store.Guest{guest("g1", 1), guest("g2", 2)})
		g, m, err := s.Guest(ctx, "g1")
		want("guest", err, nil)
		equal(t, "which", g, guest("g1", 1))
		equal(t, "of which", m, meeting("m1"))
		want("of another meeting", s.RemoveGuest(ctx, "m2", "g1"), store.ErrNotFound)
		want("remove", s.RemoveGuest(ctx, "m1", "g1"), nil)
		want("remove again", s.RemoveGuest(ctx, "m1", "g1"), store.ErrNotFound)
		want("remove the meeting", s.RemoveMeeting(ctx, "m1"), nil)
		want("and again", s.RemoveMeeting(ctx, "m1"), store.ErrNotFound)
		if _, _, err := s.Guest(ctx, "g2"); err != store.ErrNotFound {
			t.Errorf("a guest without a meeting: %v", err)
		}
		want("with the account", s.DeleteAccount(ctx, "ann@x"), nil)
		if _, err := s.Meeting(ctx, "m2"); err != store.ErrNotFound {
			t.Errorf("without an owner: %v", err)
		}
		if _, err := s.Meeting(ctx, "m3"); err != nil {
			t.Errorf("another's: %v", err)
		}
		want("with the app", s.RemoveApp(ctx, "ann@x"), nil)
		if _, err := s.Meeting(ctx, "m3"); err != store.ErrNotFound {
			t.Errorf("without an owner: %v", err)
		}
	})
}

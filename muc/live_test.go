package muc

import (
	"context"
	"errors"
	"testing"
	"time"

	"parley/internal/token"
	"parley/xmpp/wire"
)

func TestWhoRunsTheServerSeesRooms(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@guest.x/1")
		romeo.join("a", "romeo")
		romeo.configure("a", cfgName, "Balcony", cfgPersistent, "1")
		romeo.join("b", "romeo")
		juliet.join("b", "juliet")
		v, err := w.s.View(ctx, "a@muc.x")
		if err != nil || v.Room != "a@muc.x" || v.Title != "Balcony" || !v.Persistent || v.Locked || v.Meeting || len(v.Occupants) != 1 || v.Occupants[0].Nick != "romeo" || v.Occupants[0].Addr != "romeo@x/1" || !v.Created.Equal(time.Now()) {
			t.Errorf("%+v %v", v, err)
		}
		if v, err := w.s.View(ctx, "b@muc.x"); err != nil || v.Persistent || len(v.Occupants) != 2 || !v.Occupants[1].Guest || v.Occupants[0].Guest {
			t.Errorf("%+v %v", v, err)
		}
		for _, addr := range []wire.Addr{"c@muc.x", "muc.x", "a@elsewhere.x", "", "a@muc.x/romeo"} {
			if _, err := w.s.View(ctx, addr); err != ErrNoRoom {
				t.Errorf("%q: %v", addr, err)
			}
			if err := w.s.End(ctx, addr, ""); err != ErrNoRoom {
				t.Errorf("the end of %q: %v", addr, err)
			}
		}
		w.settle()
		for _, c := range []struct {
			after wire.Addr
			limit int
			want  string
		}{{"", 10, "a@muc.x b@muc.x "}, {"", 1, "a@muc.x "}, {"a@muc.x", 10, "b@muc.x "}, {"b@muc.x", 10, ""}, {"", -1, ""}} {
			got := ""
			for _, a := range w.s.InUse(c.after, c.limit) {
				got += string(a) + " "
			}
			if got != c.want {
				t.Errorf("behind %q, at most %d: %q, want %q", c.after, c.limit, got, c.want)
			}
		}
	})
}

// A room that is in use says whether a stranger finds a place.
func TestA24ARoomSaysThatItIsFull(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		full := func(room string, want bool) {
			t.Helper()
			if got := w.s.Full(context.Background(), wire.Addr(room+"@muc.x")); got != want {
				t.Errorf("%s is full: %v", room, got)
			}
		}
		romeo, juliet, nurse := w.client("romeo@x/1"), w.client("juliet@x/1"), w.client("nurse@x/1")
		full("r", false)
		romeo.join("r", "romeo")
		full("r", false)
		juliet.join("r", "juliet")
		full("r", true)
		full("other", false)
		nurse.send("<presence to='r@muc.x/nurse'><x xmlns='" + NSMUC + "'/></presence>")
		nurse.want("type='error'", "service-unavailable")
		juliet.send("<presence type='unavailable' to='r@muc.x/juliet'/>")
		full("r", false)
		w.settle()
	}, func(c *Config) { c.Limits.Occupants = 2 })
}

// They who are thrown out by whoever runs the server are told as by a moderator, and the token that they came with is no good.
func TestHP5WhoRunsTheServerThrowsOut(t *testing.T) {
	revoked := make(map[string]bool)
	inWorld(t, func(t *testing.T, w *world) {
		w.s.Observe(func(e Event) {
			if left, ok := e.(OccupantLeft); ok && left.Why == LeftKicked {
				for _, c := range left.Tokens {
					revoked[c.ID] = true
				}
			}
		})
		ctx := context.Background()
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@guest.x/1")
		juliet.claims = &token.Claims{ID: "j1", Room: "r"}
		romeo.join("r", "romeo")
		juliet.join("r", "juliet")
		romeo.take()
		if err := w.s.Expel(ctx, "r@muc.x", "nobody", ""); err != ErrNoOccupant {
			t.Error(err)
		}
		if err := w.s.Expel(ctx, "r@muc.x", "juliet", "<why>"); err != nil {
			t.Fatal(err)
		}
		w.settle()
		juliet.want("type='unavailable'", "code='307'", "code='110'", "&lt;why&gt;")
		romeo.want("from='r@muc.x/juliet'", "type='unavailable'", "code='307'")
		juliet.send("<presence to='r@muc.x/juliet'><x xmlns='" + NSMUC + "'/></presence>")
		juliet.want("type='error'", "<forbidden", "token.replay")
		juliet.claims = &token.Claims{ID: "j2", Room: "r"}
		juliet.join("r", "juliet")
	}, func(c *Config) {
		c.Limits.Revoked = func(c *token.Claims) bool { return revoked[c.ID] }
	})
}

// What is stored of a room is gone before anybody is told of its end, and the end is told before End returns.
func TestWhoRunsTheServerEndsARoom(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		romeo := w.client("romeo@x/1")
		romeo.join("r", "romeo")
		romeo.configure("r", cfgPersistent, "1")
		romeo.take()
		w.store.slow = true
		ended := make(chan error, 1)
		go func() { ended <- w.s.End(ctx, "r@muc.x", "over") }()
		w.settle()
		if got := romeo.take(); len(got) > 0 {
			t.Errorf("told before it is committed: %q", got)
		}
		if err := w.s.End(ctx, "r@muc.x", ""); err != ErrBusy {
			t.Errorf("twice at a time: %v", err)
		}
		w.store.commit(nil)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		romeo.want("type='unavailable'", "<destroy><reason>over</reason></destroy>")
		w.store.slow = false
		if _, err := w.s.View(ctx, "r@muc.x"); err != ErrNoRoom {
			t.Errorf("after its end: %v", err)
		}
		romeo.join("r", "romeo") // another one
		romeo.configure("r", cfgPersistent, "1")
		w.store.slow = true
		go func() { ended <- w.s.End(ctx, "r@muc.x", "over") }()
		w.settle()
		w.store.commit(errors.New("away"))
		if err := <-ended; err != ErrBusy {
			t.Errorf("the store is away: %v", err)
		}
		w.store.slow = false
		if v, err := w.s.View(ctx, "r@muc.x"); err != nil || len(v.Occupants) != 1 {
			t.Errorf("it went on: %+v %v", v, err)
		}
		short, done := context.WithCancel(ctx)
		done()
		if err := w.s.Expel(short, "r@muc.x", "romeo", ""); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		w.settle()
	})
}

package sqlstore

import (
	"context"
	"testing"

	"parley/internal/store"
)

func TestR15ICEServersAreShared(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		a := store.ICEServer{IP: "192.0.2.1", Bundle: "max-bundle", Policy: "all", TurnPort: 3478, StunPort: 3479, Most: 1 << 30, Username: "u\u00e9'", Credential: "c", Expires: at(1000)}
		b := store.ICEServer{IP: "2001:db8::1", Bundle: "balanced", Policy: "relay", StunPort: 1, Most: 1, Expires: at(500)}
		are := func(now int, want ...store.ICEServer) {
			t.Helper()
			got, err := s.ListICE(ctx, at(now))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "servers", got, want)
		}
		for _, one := range []store.ICEServer{b, a, a} {
			if err := s.KeepICE(ctx, one); err != nil {
				t.Fatal(err)
			}
		}
		are(0, a, b)
		are(500, a)
		if err := s.ReportICE(ctx, a.IP, 7, 9, at(999), at(2000)); err != nil {
			t.Fatal(err)
		}
		a.Rx, a.Tx, a.Expires = 7, 9, at(2000)
		are(600, a)
		for name, err := range map[string]error{
			"a report too late": s.ReportICE(ctx, b.IP, 1, 1, at(500), at(900)), "a report of nobody": s.ReportICE(ctx, "192.0.2.9", 1, 1, at(0), at(900)),
			"no address": s.ReportICE(ctx, "'; --", 1, 1, at(0), at(900)), "nobody goes": s.DropICE(ctx, "192.0.2.9"),
		} {
			if err != store.ErrNotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := s.DropICE(ctx, a.IP); err != nil {
			t.Fatal(err)
		}
		are(0, b)
		for _, bad := range []store.ICEServer{{}, {IP: "x", Expires: at(1)}, {IP: a.IP}, {IP: a.IP, Expires: at(1), Most: -1}, {IP: a.IP, Expires: at(1), Username: "\x00"}} {
			if err := s.KeepICE(ctx, bad); err != store.ErrInvalid {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		late := a
		late.Expires = b.Expires.Add(forgetICE + 1e6)
		if err := s.KeepICE(ctx, late); err != nil { // and what has ended a day before is removed
			t.Fatal(err)
		}
		are(0, late)
	})
}

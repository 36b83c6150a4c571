package token

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// memory is a ledger that can be away.
type memory struct {
	mu    sync.Mutex
	until map[string]time.Time
	away  error
}

func (m *memory) SpendToken(_ context.Context, key []byte, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return false, m.away
	}
	if _, there := m.until[string(key)]; there {
		return false, nil
	}
	m.until[string(key)] = until
	return true, nil
}

func (m *memory) TokenSpent(_ context.Context, key []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there := m.until[string(key)]
	return there && m.away == nil, m.away
}

func codeOf(err error) string {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestHP5OneTimeTokensAreSpentOnce(t *testing.T) {
	ctx := context.Background()
	ledgers := map[string]func() *memory{"with a ledger": func() *memory { return &memory{until: make(map[string]time.Time)} }, "without": func() *memory { return nil }}
	for name, ledger := range ledgers {
		t.Run(name, func(t *testing.T) {
			kept := ledger()
			remembering := func() *Checker {
				c := checker(t, nil)
				if kept != nil {
					c.Remember(kept)
				}
				return c
			}
			c := remembering()
			once := hs(t, fields{"jti": "j1", "once": true})
			claims := wantCode(t, c, once, "")
			if !claims.Once {
				t.Fatal("the claim was not read")
			}
			wantCode(t, c, once, "") // looked at, not used
			if err := c.Spend(ctx, &claims, ""); err != nil {
				t.Fatal(err)
			}
			wantCode(t, c, once, CodeReplay)
			if got := codeOf(c.Spend(ctx, &claims, "")); got != CodeReplay {
				t.Errorf("spent twice: %q", got)
			}
			if c.Revoked(&claims) {
				t.Error("who came in with a token that is used up by it would be thrown out")
			}
			if kept != nil {
				wantCode(t, remembering(), once, CodeReplay) // after a restart
				if until := kept.until[firstKey(kept)]; until.Before(claims.Expires) {
					t.Errorf("kept until %v only, and good until %v", until, claims.Expires)
				}
			}
			many := wantCode(t, c, hs(t, fields{"jti": "j2"}), "")
			for range 2 {
				if err := c.Spend(ctx, &many, ""); err != nil {
					t.Errorf("one that may be used often: %v", err)
				}
			}
			wantCode(t, c, hs(t, fields{"jti": "j2"}), "")
			wantCode(t, c, hs(t, fields{"once": true}), CodeReject)
			wantCode(t, c, hs(t, fields{"jti": "j3", "once": "yes"}), CodeReject)
			wantCode(t, c, hs(t, fields{"jti": "j3", "once": false}), "")
		})
	}
}

func firstKey(m *memory) string {
	for k := range m.until {
		return k
	}
	return ""
}

func TestHP5RevokedTokensAreRefused(t *testing.T) {
	for name, kept := range map[string]*memory{"with a ledger": {until: make(map[string]time.Time)}, "without": nil, "with one that is away": {away: errors.New("away")}} {
		t.Run(name, func(t *testing.T) {
			c := checker(t, nil)
			if kept != nil {
				c.Remember(kept)
			}
			raw := hs(t, fields{"jti": "j1"})
			claims := wantCode(t, c, raw, "") // also while the ledger is away
			c.Revoke(&claims)
			c.Revoke(nil)
			c.Revoke(&Claims{})
			wantCode(t, c, raw, CodeReplay)
			if !c.Revoked(&claims) || c.Revoked(nil) || c.Revoked(&Claims{}) || (*Checker)(nil).Revoked(&claims) {
				t.Error("who is in is not judged rightly")
			}
			var found bool
			for _, f := range c.Explain(context.Background(), raw, Want{}) {
				found = found || f.Check == "use" && !f.OK && f.Code == CodeReplay
			}
			if !found {
				t.Error("that it was revoked is not explained")
			}
			if kept == nil || kept.away != nil {
				return
			}
			c.Close() // which waits until it is written
			again := checker(t, nil)
			again.Remember(kept)
			wantCode(t, again, raw, CodeReplay)
		})
	}
}

// A token that may be used once is refused while nobody can say whether it was.
func TestHP5LedgerAway(t *testing.T) {
	kept := &memory{until: make(map[string]time.Time)}
	c := checker(t, nil)
	c.Remember(kept)
	raw := hs(t, fields{"jti": "j1", "once": true})
	claims := wantCode(t, c, raw, "")
	kept.away = errors.New("away")
	wantCode(t, c, raw, CodeLater)
	if got := codeOf(c.Spend(context.Background(), &claims, "")); got != CodeLater {
		t.Errorf("spent: %q", got)
	}
	kept.away = nil
	if err := c.Spend(context.Background(), &claims, ""); err != nil {
		t.Errorf("back again: %v", err)
	}
}

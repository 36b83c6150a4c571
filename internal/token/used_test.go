package token

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestHP5TokenIsUsedOnce(t *testing.T) {
	now := time.Unix(1e9, 0)
	u := NewUsed(10)
	c := Claims{Issuer: "app", ID: "1", Expires: now.Add(time.Minute)}
	if err := u.Use(&c, now); err != nil {
		t.Fatal(err)
	}
	code := func(err error) string {
		var e *Error
		errors.As(err, &e)
		if e == nil {
			return ""
		}
		return e.Code
	}
	if got := code(u.Use(&c, now)); got != CodeReplay {
		t.Errorf("second use: %q", got)
	}
	if got := code(u.Use(&c, c.Expires.Add(maxLeeway-1))); got != CodeReplay {
		t.Errorf("within the leeway: %q", got)
	}
	other := c
	other.Issuer = "app2"
	if err := u.Use(&other, now); err != nil {
		t.Errorf("another issuer's token of the same id: %v", err)
	}
	if got := code(u.Use(&Claims{Issuer: "app"}, now)); got != CodeReject {
		t.Errorf("without an id: %q", got)
	}
	banned := Claims{Issuer: "app", ID: "2", Expires: now.Add(time.Minute)}
	if err := u.Revoke(&banned, now); err != nil {
		t.Fatal(err)
	}
	if got := code(u.Use(&banned, now)); got != CodeReplay {
		t.Errorf("revoked: %q", got)
	}
}

func TestUsedIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	u := NewUsed(100)
	refused := 0
	for i := range 1000 {
		c := Claims{Issuer: "app", ID: fmt.Sprint(i), Expires: now.Add(time.Minute)}
		if u.Use(&c, now) != nil {
			refused++
		}
		if u.Use(&c, now) == nil {
			t.Fatal("used twice")
		}
	}
	if len(u.until) > 100 || refused != 900 {
		t.Errorf("%d remembered, %d refused", len(u.until), refused)
	}
	now = now.Add(3 * time.Minute)
	c := Claims{Issuer: "app", ID: "new", Expires: now.Add(time.Minute)}
	if err := u.Use(&c, now); err != nil || len(u.until) != 1 {
		t.Errorf("%v; %d remembered after all expired", err, len(u.until))
	}
}

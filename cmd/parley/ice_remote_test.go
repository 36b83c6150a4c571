package main

import (
	"fmt"
	"testing"
	"time"

	"parley/xmpp/wire"
)

func TestVisitorsOfTheRelayAreBounded(t *testing.T) {
	now := time.Now()
	v := newVisitors(time.Hour)
	who := func(n int, domain string) wire.Addr { return wire.Addr(fmt.Sprintf("p%d@%s", n, domain)) }
	first := v.user(who(0, "a.test"), now)
	if first == "" || v.user(who(0, "a.test"), now.Add(time.Minute)) != first {
		t.Error("somebody who asks again is another user")
	}
	if again := v.user(who(0, "a.test"), now.Add(40*time.Minute)); again == first || again == "" {
		t.Errorf("after half the time of a credential the user is %q", again)
	}
	for n := 1; n < visitorsDomain; n++ {
		if v.user(who(n, "a.test"), now) == "" {
			t.Fatalf("no room for the person %d of a domain", n)
		}
	}
	if v.user(who(visitorsDomain, "a.test"), now) != "" {
		t.Error("too many people of one domain")
	}
	for n := len(v.of); n < visitorsMost; n++ {
		if v.user(who(n, fmt.Sprintf("d%d.test", n)), now) == "" {
			t.Fatalf("no room for the person %d", n)
		}
	}
	if v.user("one@more.test", now) != "" || len(v.of) != visitorsMost {
		t.Errorf("%d people have credentials", len(v.of))
	}
	if v.user("one@more.test", now.Add(3*time.Hour)) == "" || len(v.of) != 1 {
		t.Errorf("%d people are there after their time", len(v.of))
	}
	var none *visitors
	if none.user("one@more.test", now) != "" {
		t.Error("credentials though there is nobody to give them to")
	}
}

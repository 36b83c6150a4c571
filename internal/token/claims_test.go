package token

import (
	"errors"
	"testing"
)

func TestHP4RoomAndTenant(t *testing.T) {
	for _, test := range []struct {
		claim, tenant string // of the token
		room, door    string // asked for
		want          bool
	}{
		{"standup", "", "standup", "", true},
		{"standup", "", "other", "", false},
		{"StandUp", "", "standup", "", true},
		{"standup", "", "STANDUP", "", true},
		{"ｓtandup", "", "standup", "", true}, // full-width letters
		{"straße", "", "straße", "", true},
		{"straße", "", "strasse", "", false},
		{"STRASSE", "", "straße", "", false},
		{"e\u0301t\u00e9", "", "\u00e9te\u0301", "", true},
		{"été", "", "%c3%a9t%c3%a9", "", true}, // as the Jitsi client spells it
		{"My Room!", "", "my%20room!", "", true},
		{"a+b (c)*", "", "a%2bb%20(c)*", "", true},
		{"my%20room", "", "my%20room", "", true},
		{"ab", "", "a%62", "", false}, // a claim is never decoded, nor is a name
		{"a%62", "", "ab", "", false},
		{"stаndup", "", "standup", "", false}, // Cyrillic а
		{"standup\u200b", "", "standup", "", false},
		{"standup ", "", "standup", "", false},

		{"*", "", "anything", "", true},
		{"stand*", "", "standup", "", false},
		{"stand*", "", "stand*", "", true},
		{"**", "", "standup", "", false},
		{".*", "", "standup", "", false},
		{"^standup$", "", "standup", "", false},
		{"standup|other", "", "other", "", false},
		{"standup,other", "", "standup", "", false},
		{"%", "", "standup", "", false},
		{"_______", "", "standup", "", false},
		{"", "", "", "", false},
		{"", "", "standup", "", false},
		{"*", "", "", "", true}, // whether a name is one is the room service's matter

		{"standup", "acme", "standup", "acme", true},
		{"standup", "Acme", "standup", "acme", true},
		{"standup", "acme", "standup", "", false},
		{"standup", "acme", "standup", "acme2", false},
		{"standup", "", "standup", "acme", false},
		{"standup", "*", "standup", "acme", true},
		{"standup", "*", "standup", "", true},
		{"standup", "a*", "standup", "acme", false},
		{"*", "acme", "standup", "other", false},
	} {
		c := Claims{Room: test.claim, Tenant: test.tenant}
		err := c.Allows(test.room, test.door)
		if (err == nil) != test.want {
			t.Errorf("token for %q of %q at %q of %q: %v", test.claim, test.tenant, test.room, test.door, err)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Code != CodeScope) {
			t.Errorf("refused with %v", err)
		}
	}
	if (&Claims{}).Allows("standup", "") == nil {
		t.Error("claims that say nothing open a room")
	}
}

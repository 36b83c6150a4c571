package im

import (
	"strings"
	"testing"
)

func TestContactsAreURIs(t *testing.T) {
	for value, want := range map[string]bool{
		"mailto:abuse@example.org": true, "mailto:abuse@example.org?subject=abuse": true, "xmpp:abuse@example.org": true, "xmpp:room@muc.example.org?join": true,
		"https://example.org/contact": true, "tel:+49301234": true, "openpgp4fpr:0123456789abcdef": true,
		"": false, "abuse@example.org": false, "mailto:": false, "mailto:abuse": false, "xmpp:": false, "xmpp:@x": false, "https:": false, "https:///x": false, "example.org": false,
		"mailto:a b@example.org": false, "xmpp:<x>@example.org": false, "mailto:é@example.org": false, "tel:": false,
	} {
		c := Contacts{Security: []string{"mailto:x@example.org", value}}
		err := c.Check()
		if (err == nil) != want {
			t.Errorf("%q: %v", value, err)
		}
		if err != nil && !strings.Contains(err.Error(), "contact.security: ") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// XEP-0157 §2, XEP-0128.
func TestHostSaysWhoRunsIt(t *testing.T) {
	w := newWorld(t)
	without := w.h.Caps()
	w.h.Contacts(Contacts{})
	if w.h.Caps() != without {
		t.Error("a form without addresses")
	}
	w.h.Contacts(Contacts{Admin: []string{"xmpp:admin@x.net"}, Abuse: []string{"mailto:abuse@x.net", "https://x.net/?a&b"}})
	if w.h.Caps() == without {
		t.Error("the capabilities are the same")
	}
	ann := w.login("ann@x.net/1")
	ann.send("<iq type='get' id='1' to='x.net'><query xmlns='" + NSInfo + "'/></iq>")
	ann.expect("<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>" +
		"<field var='abuse-addresses' type='list-multi'><value>mailto:abuse@x.net</value><value>https://x.net/?a&amp;b</value></field>" +
		"<field var='admin-addresses' type='list-multi'><value>xmpp:admin@x.net</value></field></x></query>")
	ann.send("<iq type='get' id='2'><query xmlns='" + NSInfo + "'/></iq>")
	for _, got := range ann.take() {
		if strings.Contains(got, NSServerInfo) {
			t.Errorf("the account: %s", got)
		}
	}
}

// XEP-0115 §5.1: the forms are part of the hash, sorted.
func TestCapsHashOfForms(t *testing.T) {
	i := info{identities: []Identity{{"server", "im", "Parley"}}, features: []string{"b", "a"}, forms: []form{{NSServerInfo, []FormField{
		{"admin-addresses", []string{"xmpp:admin@x.net"}}, {"abuse-addresses", []string{"xmpp:abuse@x.net", "mailto:abuse@x.net"}},
	}}}}
	if got := i.ver(); got != "tTyp0VXFf77wWdzoqTYVzvu3/SY=" {
		t.Error(got)
	}
}

package pubsub

import (
	"strings"
	"testing"

	"parley/xmpp/wire"
)

func TestEventsGoToWhoAsksForThem(t *testing.T) { // XEP-0163 §2, §4.3
	w := shakespeare(t)
	balcony, chamber := w.login("juliet@capulet.lit/balcony", tune), w.login("juliet@capulet.lit/chamber", tune)
	deaf := w.login("juliet@capulet.lit/deaf", "http://jabber.org/protocol/mood")
	nurse1, romeo := w.login("nurse@capulet.lit/chamber", tune), w.login("romeo@montague.lit/orchard", tune)
	quiet, paris := w.login("romeo@montague.lit/quiet"), w.login("paris@capulet.lit/house", tune)
	got := balcony.ok("set", "", publishing(tune, "1", aTune))
	if want := "<pubsub xmlns='" + NS + "'><publish node='" + tune + "'><item id='1'/></publish></pubsub>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want := eventOf(juliet, "<items node='"+tune+"'><item id='1'>"+aTune+"</item></items>")
	for _, s := range []*session{balcony, chamber, nurse1, romeo} {
		expect(t, s, want)
	}
	for _, s := range []*session{deaf, quiet, paris} {
		expect(t, s)
	}
	romeo.leave()
	balcony.ok("set", "", publishing(tune, "2", another))
	expect(t, nurse1, eventOf(juliet, "<items node='"+tune+"'><item id='2'>"+another+"</item></items>"))
	same(t, "romeo, who left", w.inbox["romeo@montague.lit/orchard"], nil)
}

func TestThePublisherIsAnsweredBeforeTheEvent(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/balcony", tune)
	s.raw("", "<iq type='set' id='1'>"+publishing(tune, "1", aTune)+"</iq>")
	if got := s.take(); len(got) != 2 || !strings.HasPrefix(got[0], "<iq ") || !strings.HasPrefix(got[1], "<message ") {
		t.Errorf("got %q", got)
	}
}

func TestPublishRefusals(t *testing.T) { // XEP-0060 §7.1.3
	limits := DefaultLimits
	limits.Payload = 300
	w := newWorld(t, limits, juliet, nurse)
	w.both(juliet, nurse)
	s, other := w.login("juliet@capulet.lit/balcony"), w.login("nurse@capulet.lit/chamber")
	s.ok("set", "", publishing("typed", "1", "<a xmlns='u:a'/>"))
	s.ok("set", "", configuring("typed", "pubsub#type", "u:a"))
	s.ok("set", "", "<pubsub xmlns='"+NS+"'><create node='bell'/><configure>"+
		form(nsConfig, "pubsub#persist_items", "0", "pubsub#deliver_payloads", "0")+"</configure></pubsub>")
	pub := func(inner string) string {
		return "<pubsub xmlns='" + NS + "'><publish node='x'>" + inner + "</publish></pubsub>"
	}
	for _, c := range []struct {
		name                 string
		by                   *session
		request              string
		typ, condition, code string
	}{
		{"no node", s, "<pubsub xmlns='" + NS + "'><publish><item/></publish></pubsub>", "modify", "bad-request", "nodeid-required"},
		{"no item", s, pub(""), "modify", "bad-request", "item-required"},
		{"no payload", s, pub("<item id='1'/>"), "modify", "bad-request", "payload-required"},
		{"two payloads", s, pub("<item id='1'><a xmlns='u:a'/><b xmlns='u:b'/></item>"), "modify", "bad-request", "invalid-payload"},
		{"two items", s, pub("<item><a xmlns='u:a'/></item><item><a xmlns='u:a'/></item>"), "modify", "bad-request", "max-items-exceeded"},
		{"another namespace", s, publishing("typed", "1", "<a xmlns='u:b'/>"), "modify", "bad-request", "invalid-payload"},
		{"too large", s, publishing("x", "1", "<a xmlns='u:a'>"+strings.Repeat("x", 300)+"</a>"), "modify", "not-acceptable", "payload-too-big"},
		{"too large by what is declared around it", s, "<pubsub xmlns='" + NS + "' xmlns:p='u:" + strings.Repeat("p", 300) + "'><publish node='x'><item><p:a/></item></publish></pubsub>",
			"modify", "not-acceptable", "payload-too-big"},
		{"item where none is expected", s, publishing("bell", "1", "<a xmlns='u:a'/>"), "modify", "bad-request", "item-forbidden"},
		{"not the owner", other, publishing("typed", "2", "<a xmlns='u:a'/>"), "auth", "forbidden", ""},
		{"not the owner, no node", other, publishing("x", "2", "<a xmlns='u:a'/>"), "cancel", "item-not-found", ""},
		{"name of a node too long", s, publishing(strings.Repeat("n", 513), "1", "<a xmlns='u:a'/>"), "modify", "not-acceptable", ""},
		{"id too long", s, publishing("x", strings.Repeat("i", 2048), "<a xmlns='u:a'/>"), "modify", "not-acceptable", ""},
		{"unknown option", s, with(publishing("x", "1", "<a xmlns='u:a'/>"), "pubsub#swim", "1"), "modify", "bad-request", "invalid-options"},
		{"options of another form", s, strings.ReplaceAll(with(publishing("x", "1", "<a xmlns='u:a'/>"), "pubsub#title", "1"), "#publish-options<", "#node_config<"),
			"modify", "bad-request", "invalid-options"},
		{"the vCard's own node", s, publishing(vcardNode, "1", "<a xmlns='u:a'/>"), "cancel", "item-not-found", ""},
	} {
		to := wire.Addr("")
		if c.by == other {
			to = juliet
		}
		t.Run(c.name, func(t *testing.T) { c.by.refused("set", to, c.request, c.typ, c.condition, c.code) })
	}
	s.refused("get", "", asking("x", "/>"), "cancel", "item-not-found", "") // nothing of it made a node
	s.ok("set", "", "<pubsub xmlns='"+NS+"'><publish node='bell'/></pubsub>")
}

func TestIDsAreMadeUp(t *testing.T) { // XEP-0060 §7.1.3.6
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/balcony")
	if got := s.ok("set", "", publishing(tune, "", aTune)); !strings.Contains(got, "<item id='*'/>") {
		t.Errorf("got %s", got)
	}
}

func TestPublishOptions(t *testing.T) { // XEP-0060 §7.1.5, XEP-0223 §3
	w := shakespeare(t)
	s, other := w.login("juliet@capulet.lit/balcony"), w.login("nurse@capulet.lit/chamber")
	request := publishing("private", "1", aTune)
	options := []string{"pubsub#persist_items", "true", "pubsub#access_model", "whitelist", "pubsub#max_items", "max"}
	s.ok("set", "", with(request, options...))
	other.refused("get", juliet, asking("private", "/>"), "cancel", "not-allowed", "closed-node")
	s.ok("set", "", with(request, options...)) // what it was made with is met, however it is written
	s.ok("set", "", with(request, "pubsub#persist_items", "1", "pubsub#max_items", "1000"))
	s.ok("set", "", with(request))
	s.refused("set", "", with(request, "pubsub#access_model", "open"), "cancel", "conflict", "precondition-not-met")
	s.refused("set", "", with(request, "pubsub#max_items", "7"), "cancel", "conflict", "precondition-not-met")
	s.refused("set", "", with(request, "pubsub#swim", "1"), "modify", "bad-request", "invalid-options")
	s.refused("set", "", with(publishing("new", "1", aTune), "pubsub#access_model", "secret"), "modify", "not-acceptable", "unsupported-access-model")
	s.refused("set", "", with(publishing("new", "1", aTune), "pubsub#max_items", "0"), "modify", "not-acceptable", "")
	s.refused("get", "", asking("new", "/>"), "cancel", "item-not-found", "")
}

func TestMaxItemsKeepsTheLatest(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/balcony")
	ids := func() string {
		var list []string
		for _, part := range strings.Split(s.ok("get", "", asking("n", "/>")), "<item id='")[1:] {
			list = append(list, part[:strings.IndexByte(part, '\'')])
		}
		return strings.Join(list, " ")
	}
	for _, id := range []string{"a", "b", "c"} {
		s.ok("set", "", with(publishing("n", id, aTune), "pubsub#max_items", "2"))
	}
	if got := ids(); got != "b c" {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", publishing("n", "b", another)) // comes behind c
	if got := ids(); got != "c b" {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", configuring("n", "pubsub#max_items", "1"))
	if got := ids(); got != "b" {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", configuring("n", "pubsub#persist_items", "0"))
	if got := ids(); got != "" {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", publishing("n", "d", aTune))
	if got := ids(); got != "" {
		t.Errorf("kept %s", got)
	}
}

func TestPayloadsStayAsTheyAre(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/balcony", "n")
	odd := `<q:e  xmlns:q="urn:q" q:k='&lt;&#x41;'><![CDATA[<x/>]]> <plain/>` + "\n\t" + `</q:e>`
	s.ok("set", "", publishing("n", "1", odd))
	kept := strings.Replace(odd, "<q:e", "<q:e xmlns='"+NS+"'", 1) // the default namespace of where it was
	expect(t, s, eventOf(juliet, "<items node='n'><item id='1'>"+kept+"</item></items>"))
	if got := s.ok("get", "", asking("n", "/>")); !strings.Contains(got, kept) {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", "<pubsub xmlns='"+NS+"' xmlns:z='urn:z'><publish node='n'><item id='1'><z:e/></item></publish></pubsub>")
	expect(t, s, eventOf(juliet, "<items node='n'><item id='1'><z:e xmlns='"+NS+"' xmlns:z='urn:z'/></item></items>"))
}

func TestRetract(t *testing.T) { // XEP-0060 §7.2
	w := shakespeare(t)
	s, romeo := w.login("juliet@capulet.lit/balcony"), w.login("romeo@montague.lit/orchard", "n")
	retract := func(node, inner string) string {
		return "<pubsub xmlns='" + NS + "'><retract node='" + node + "'>" + inner + "</retract></pubsub>"
	}
	s.ok("set", "", with(publishing("n", "1", aTune), "pubsub#max_items", "max", "pubsub#notify_retract", "0"))
	romeo.take()
	s.refused("set", "", retract("m", "<item id='1'/>"), "cancel", "item-not-found", "")
	s.refused("set", "", retract("n", "<item id='2'/>"), "cancel", "item-not-found", "")
	s.refused("set", "", retract("n", ""), "modify", "bad-request", "item-required")
	s.refused("set", "", retract("n", "<item/>"), "modify", "bad-request", "item-required")
	s.refused("set", "", "<pubsub xmlns='"+NS+"'><retract><item id='1'/></retract></pubsub>", "modify", "bad-request", "nodeid-required")
	romeo.refused("set", juliet, retract("n", "<item id='1'/>"), "auth", "forbidden", "")
	expect(t, romeo)
	s.ok("set", "", retract("n", "<item id='1'/>"))
	expect(t, romeo) // neither the node nor the request wants it
	s.ok("set", "", publishing("n", "1", aTune))
	romeo.take()
	s.ok("set", "", "<pubsub xmlns='"+NS+"'><retract node='n' notify='true'><item id='1'/></retract></pubsub>")
	expect(t, romeo, eventOf(juliet, "<items node='n'><retract id='1'/></items>"))
	if got := s.ok("get", "", asking("n", "/>")); strings.Contains(got, "<item ") {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", configuring("n", "pubsub#persist_items", "0"))
	if got := s.iq("set", "", retract("n", "<item id='1'/>")); !strings.Contains(got, "feature='persistent-items'") {
		t.Errorf("got %s", got)
	}
}

func TestPublishersRetractTheirOwn(t *testing.T) { // XEP-0060 §4.1
	w := shakespeare(t)
	s, other := w.login("juliet@capulet.lit/balcony"), w.login("nurse@capulet.lit/chamber")
	s.ok("set", "", with(publishing("n", "1", aTune), "pubsub#max_items", "max", "pubsub#itemreply", "publisher"))
	s.ok("set", "", owning("<affiliations node='n'><affiliation jid='"+nurse+"' affiliation='publisher'/></affiliations>"))
	other.ok("set", juliet, publishing("n", "2", another))
	got := s.ok("get", "", asking("n", "><item id='2'/></items>"))
	if !strings.Contains(got, "<item id='2' publisher='"+nurse+"'>") {
		t.Errorf("got %s", got)
	}
	other.refused("set", juliet, "<pubsub xmlns='"+NS+"'><retract node='n'><item id='1'/></retract></pubsub>", "auth", "forbidden", "")
	other.ok("set", juliet, "<pubsub xmlns='"+NS+"'><retract node='n'><item id='2'/></retract></pubsub>")
}

func TestEventsAsTheNodeIsConfigured(t *testing.T) { // XEP-0060 §16.4.4
	for _, c := range []struct{ field, value, want string }{
		{"pubsub#deliver_notifications", "0", ""},
		{"pubsub#deliver_payloads", "0", eventOf(juliet, "<items node='n'><item id='1'/></items>")},
		{"pubsub#notification_type", "normal", strings.Replace(eventOf(juliet, "<items node='n'><item id='1'>"+aTune+"</item></items>"), " type='headline'", "", 1)},
		{"pubsub#itemreply", "owner", eventOf(juliet, "<items node='n'><item id='1' publisher='"+juliet+"'>"+aTune+"</item></items>")},
		{"pubsub#persist_items", "false", eventOf(juliet, "<items node='n'><item id='1'>"+aTune+"</item></items>")},
	} {
		t.Run(c.field, func(t *testing.T) {
			w := shakespeare(t)
			s := w.login("juliet@capulet.lit/balcony", "n")
			s.ok("set", "", with(publishing("n", "1", aTune), c.field, c.value))
			if c.want == "" {
				s.ok("set", "", "<pubsub xmlns='"+NS+"'><retract node='n' notify='1'><item id='1'/></retract></pubsub>")
				s.ok("set", "", owning("<purge node='n'/>"))
				s.ok("set", "", owning("<delete node='n'/>"))
				expect(t, s)
			} else {
				expect(t, s, c.want)
			}
		})
	}
}

func TestQuota(t *testing.T) {
	limits := DefaultLimits
	limits.Nodes, limits.AllItems, limits.Bytes, limits.Peers = 3, 5, 4000, 2
	w := newWorld(t, limits, juliet, nurse)
	w.both(juliet, nurse)
	s := w.login("juliet@capulet.lit/balcony")
	small := "<a xmlns='u:a'/>"
	s.refused("set", "", publishing("big", "1", "<a xmlns='u:a'>"+strings.Repeat("x", 4000)+"</a>"), "wait", "resource-constraint", "")
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		s.ok("set", "", with(publishing("a", id, small), "pubsub#max_items", "max"))
	}
	s.refused("set", "", publishing("a", "6", small), "wait", "resource-constraint", "")
	s.ok("set", "", publishing("a", "5", small)) // in place of another
	s.ok("set", "", "<pubsub xmlns='"+NS+"'><retract node='a'><item id='1'/></retract></pubsub>")
	s.ok("set", "", publishing("b", "1", small))
	s.refused("set", "", publishing("c", "1", small), "wait", "resource-constraint", "")
	s.ok("set", "", "<pubsub xmlns='"+NS+"'><create node='c'/></pubsub>")
	s.refused("set", "", "<pubsub xmlns='"+NS+"'><create node='d'/></pubsub>", "wait", "resource-constraint", "")
	s.refused("set", "", owning("<affiliations node='a'><affiliation jid='a@x' affiliation='member'/>"+
		"<affiliation jid='b@x' affiliation='member'/><affiliation jid='c@x' affiliation='member'/></affiliations>"), "wait", "resource-constraint", "")
	if got := s.ok("get", "", owning("<affiliations node='a'/>")); strings.Contains(got, "member") {
		t.Errorf("a part of it was stored: %s", got)
	}
}

func TestABusyAccountRefuses(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/balcony")
	w.full = true
	s.refused("set", "", publishing(tune, "1", aTune), "wait", "resource-constraint", "")
}

func TestGuestsAndTheServerHaveNoNodes(t *testing.T) {
	w := shakespeare(t)
	guest := &session{w: w, addr: "x@capulet.lit/y", guest: true}
	w.sessions[guest.addr] = guest
	guest.refused("set", "", publishing(tune, "1", aTune), "cancel", "service-unavailable", "")
	s := w.login("juliet@capulet.lit/balcony")
	s.refused("set", domain, publishing(tune, "1", aTune), "cancel", "service-unavailable", "")
}

func TestWhoHasNoAccountHasNoNodes(t *testing.T) {
	w := shakespeare(t)
	s := &session{w: w, addr: "token@capulet.lit/1"}
	w.sessions[s.addr] = s
	s.refused("set", "", publishing(tune, "1", aTune), "cancel", "service-unavailable", "")
	s.refused("set", "", "<pubsub xmlns='"+NS+"'><create node='n'/></pubsub>", "cancel", "service-unavailable", "")
	s.refused("set", "", "<vCard xmlns='vcard-temp'/>", "cancel", "service-unavailable", "")
}

func TestRequestsThatAreNotThere(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/balcony")
	for _, request := range []string{"<pubsub xmlns='" + NS + "'/>", "<pubsub xmlns='" + NS + "'><publish xmlns='u:x' node='n'/></pubsub>", owning("<publish node='n'/>")} {
		s.refused("set", "", request, "modify", "bad-request", "")
	}
	if got := s.iq("get", "", "<pubsub xmlns='"+NS+"'><options node='n' jid='"+juliet+"'/></pubsub>"); !strings.Contains(got, "feature='subscription-options'") {
		t.Errorf("got %s", got)
	}
}

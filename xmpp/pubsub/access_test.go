package pubsub

import (
	"strings"
	"testing"

	"parley/xmpp/im"
)

func TestAccessModels(t *testing.T) { // XEP-0060 §4.5, §6.1.3, §6.5.9
	type refusal struct{ typ, condition, app string }
	presence := &refusal{"auth", "not-authorized", "presence-subscription-required"}
	group := &refusal{"auth", "not-authorized", "not-in-roster-group"}
	closed := &refusal{"cancel", "not-allowed", "closed-node"}
	forbidden := &refusal{"auth", "forbidden", ""}
	unapproved := &refusal{"auth", "not-authorized", "not-subscribed"}
	for _, c := range []struct {
		name                string
		fields              []string
		affiliation         string // of paris
		nurse, romeo, paris *refusal
	}{
		{name: "open", fields: []string{"pubsub#access_model", "open"}},
		{name: "presence", fields: []string{"pubsub#access_model", "presence"}, paris: presence},
		{name: "roster", fields: []string{"pubsub#access_model", "roster", "pubsub#roster_groups_allowed", "Friends"}, nurse: group, paris: group},
		{name: "whitelist", fields: []string{"pubsub#access_model", "whitelist"}, nurse: closed, romeo: closed, paris: closed},
		{name: "authorize", fields: []string{"pubsub#access_model", "authorize"}, nurse: unapproved, romeo: unapproved, paris: unapproved},
		{name: "member of whitelist", fields: []string{"pubsub#access_model", "whitelist"}, affiliation: "member", nurse: closed, romeo: closed},
		{name: "publisher to presence", fields: []string{"pubsub#access_model", "presence"}, affiliation: "publisher"},
		{name: "outcast of open", fields: []string{"pubsub#access_model", "open"}, affiliation: "outcast", paris: forbidden},
		{name: "publish-only to open", fields: []string{"pubsub#access_model", "open"}, affiliation: "publish-only", paris: forbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := shakespeare(t)
			owner := w.login("juliet@capulet.lit/balcony")
			owner.ok("set", "", with(publishing("n", "1", aTune), c.fields...))
			if c.affiliation != "" {
				owner.ok("set", "", owning("<affiliations node='n'><affiliation jid='paris@capulet.lit' affiliation='"+c.affiliation+"'/></affiliations>"))
			}
			for who, want := range map[*session]*refusal{
				owner: nil, w.login("nurse@capulet.lit/a"): c.nurse, w.login("romeo@montague.lit/a"): c.romeo, w.login("paris@capulet.lit/a"): c.paris,
			} {
				items := asking("n", "/>")
				info := "<query xmlns='" + NSInfo + "' node='n'/>"
				list := "<query xmlns='" + NSItems + "'/>"
				shown := strings.Contains(who.iq("get", juliet, list), "node='n'")
				if shown != (want == nil) {
					t.Errorf("%s sees the node in the list: %t", who.addr, shown)
				}
				if want == nil {
					if got := who.ok("get", juliet, items); !strings.Contains(got, aTune) {
						t.Errorf("%s got %s", who.addr, got)
					}
					who.ok("get", juliet, info)
					continue
				}
				who.refused("get", juliet, items, want.typ, want.condition, want.app)
				who.refused("get", juliet, info, want.typ, want.condition, want.app)
				if c.name != "authorize" {
					subscribe := "<pubsub xmlns='" + NS + "'><subscribe node='n' jid='" + string(who.addr.Bare()) + "'/></pubsub>"
					who.refused("set", juliet, subscribe, want.typ, want.condition, want.app)
				}
			}
		})
	}
}

func TestStrangersLearnNothingFromTheList(t *testing.T) { // XEP-0030 §8
	w := shakespeare(t)
	w.login("juliet@capulet.lit/b").ok("set", "", publishing("n", "1", aTune))
	list := "<query xmlns='" + NSItems + "'/>"
	paris := w.login("paris@capulet.lit/1")
	paris.refused("get", juliet, list, "cancel", "service-unavailable", "")
	if got := w.login("nurse@capulet.lit/1").ok("get", nurse, list); got != "<query xmlns='"+NSItems+"'></query>" {
		t.Errorf("got %s", got)
	}
}

func TestEventsGoToWhoMaySeeTheNode(t *testing.T) {
	for _, c := range []struct {
		name         string
		fields       []string
		nurse, romeo bool
	}{
		{"presence", nil, true, true},
		{"roster", []string{"pubsub#access_model", "roster", "pubsub#roster_groups_allowed", "Friends"}, false, true},
		{"whitelist", []string{"pubsub#access_model", "whitelist"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := shakespeare(t)
			owner, nurse1, romeo := w.login("juliet@capulet.lit/b", "n"), w.login("nurse@capulet.lit/a", "n"), w.login("romeo@montague.lit/a", "n")
			owner.ok("set", "", with(publishing("n", "1", aTune), c.fields...))
			for s, want := range map[*session]bool{owner: true, nurse1: c.nurse, romeo: c.romeo} {
				if got := len(s.take()) == 1; got != want {
					t.Errorf("%s got the event: %t", s.addr, got)
				}
			}
		})
	}
	t.Run("member of a whitelist", func(t *testing.T) {
		w := shakespeare(t)
		owner, nurse1 := w.login("juliet@capulet.lit/b"), w.login("nurse@capulet.lit/a", "n")
		owner.ok("set", "", with(publishing("n", "1", aTune), "pubsub#access_model", "whitelist"))
		owner.ok("set", "", owning("<affiliations node='n'><affiliation jid='"+nurse+"' affiliation='member'/></affiliations>"))
		owner.ok("set", "", publishing("n", "1", aTune))
		if got := nurse1.take(); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("outcast", func(t *testing.T) {
		w := shakespeare(t)
		owner, nurse1 := w.login("juliet@capulet.lit/b"), w.login("nurse@capulet.lit/a", "n")
		owner.ok("set", "", "<pubsub xmlns='"+NS+"'><create node='n'/></pubsub>")
		owner.ok("set", "", owning("<affiliations node='n'><affiliation jid='"+nurse+"' affiliation='outcast'/></affiliations>"))
		owner.ok("set", "", publishing("n", "1", aTune))
		expect(t, nurse1)
	})
	t.Run("blocked", func(t *testing.T) { // XEP-0163 §4.3.3
		w := shakespeare(t)
		owner, nurse1 := w.login("juliet@capulet.lit/b"), w.login("nurse@capulet.lit/a", "n")
		owner.ok("set", "", "<pubsub xmlns='"+NS+"'><create node='n'/></pubsub>")
		nurse1.ok("set", juliet, subscribing("subscribe", "n", nurse))
		w.rosters[juliet][nurse] = im.Standing{Subscription: "both", Blocked: true}
		owner.ok("set", "", publishing("n", "1", aTune))
		expect(t, nurse1)
		same(t, nurse, w.inbox[nurse], nil)
		nurse1.leave()
		expect(t, w.login("nurse@capulet.lit/b", "n"))
	})
}

func TestOwnerCreatesAndConfigures(t *testing.T) { // XEP-0060 §8.1, §8.2, §8.3
	w := shakespeare(t)
	s, other := w.login("juliet@capulet.lit/b", "n"), w.login("nurse@capulet.lit/a", "n")
	create := "<pubsub xmlns='" + NS + "'><create node='n'/>%</pubsub>"
	configured := strings.Replace(create, "%", "<configure>"+form(nsConfig, "pubsub#title", "Musings", "pubsub#swim", "1")+"</configure>", 1)
	other.refused("set", juliet, configured, "auth", "forbidden", "")
	s.refused("set", "", strings.Replace(create, "%", "<configure node='n'/>", 1), "modify", "bad-request", "")
	s.refused("set", "", strings.Replace(create, "%", "<configure>"+form(nsConfig, "pubsub#access_model", "x")+"</configure>", 1), "modify", "not-acceptable", "unsupported-access-model")
	s.refused("set", "", strings.Replace(create, "%", "<configure>"+form(nsConfig, "pubsub#node_type", "collection")+"</configure>", 1), "modify", "not-acceptable", "")
	if got := s.ok("set", "", configured); got != "" {
		t.Errorf("got %s", got)
	}
	s.refused("set", "", configured, "cancel", "conflict", "")
	if got := s.ok("set", "", "<pubsub xmlns='"+NS+"'><create/></pubsub>"); !strings.Contains(got, "<create node='*'/>") {
		t.Errorf("got %s", got)
	}
	s.refused("set", "", "<pubsub xmlns='"+NS+"'><create node='"+NSStorage+"'/></pubsub>", "cancel", "not-allowed", "")

	got := s.ok("get", "", owning("<configure node='n'/>"))
	for _, want := range []string{
		"<field var='pubsub#title' type='text-single' label='Title'><value>Musings</value></field>",
		"<field var='pubsub#access_model' type='list-single' label='Who may see the node'><value>presence</value><option><value>authorize</value></option>",
		"<field var='pubsub#send_last_published_item' type='list-single' label='When the last item is sent'><value>on_sub_and_presence</value>",
		"<field var='pubsub#max_items' type='text-single' label='Greatest number of items, or max'><value>1</value></field>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nis not in %s", want, got)
		}
	}
	other.refused("get", juliet, owning("<configure node='n'/>"), "auth", "forbidden", "")
	s.refused("get", "", owning("<configure/>"), "modify", "bad-request", "nodeid-required")
	s.refused("get", "", owning("<configure node='m'/>"), "cancel", "item-not-found", "")
	if got := s.ok("get", "", owning("<default/>")); !strings.Contains(got, "<default><x xmlns='jabber:x:data' type='form'>") {
		t.Errorf("got %s", got)
	}

	other.refused("set", juliet, configuring("n", "pubsub#title", "x"), "auth", "forbidden", "")
	s.refused("set", "", configuring("n", "pubsub#persist_items", "perhaps"), "modify", "not-acceptable", "")
	s.refused("set", "", configuring("n", "pubsub#title", strings.Repeat("x", 2000)), "modify", "not-acceptable", "")
	s.refused("set", "", owning("<configure node='n'/>"), "modify", "bad-request", "")
	s.ok("set", "", owning("<configure node='n'><x xmlns='jabber:x:data' type='cancel'/></configure>"))
	s.take()
	s.ok("set", "", configuring("n", "pubsub#title", "Other"))
	expect(t, s) // notify_config is off
	s.ok("set", "", configuring("n", "pubsub#notify_config", "1", "pubsub#deliver_payloads", "0"))
	expect(t, s, eventOf(juliet, "<configuration node='n'/>"))
	s.ok("set", "", configuring("n", "pubsub#deliver_payloads", "1"))
	if got := s.take(); len(got) != 1 || !strings.Contains(got[0], "<configuration node='n'><x xmlns='jabber:x:data' type='result'>") {
		t.Errorf("got %q", got)
	}
	if got := s.ok("get", "", "<query xmlns='"+NSInfo+"' node='n'/>"); !strings.Contains(got, "<identity category='pubsub' type='leaf'/>") ||
		!strings.Contains(got, "<field var='pubsub#title'><value>Other</value></field>") {
		t.Errorf("got %s", got)
	}
}

func TestOwnerDeletesAndPurges(t *testing.T) { // XEP-0060 §8.4, §8.5
	w := shakespeare(t)
	s, other := w.login("juliet@capulet.lit/b"), w.login("nurse@capulet.lit/a", "n")
	s.ok("set", "", publishing("n", "1", aTune))
	other.take()
	for _, verb := range []string{"purge", "delete"} {
		other.refused("set", juliet, owning("<"+verb+" node='n'/>"), "auth", "forbidden", "")
		s.refused("set", "", owning("<"+verb+"/>"), "modify", "bad-request", "nodeid-required")
		s.refused("set", "", owning("<"+verb+" node='m'/>"), "cancel", "item-not-found", "")
	}
	s.ok("set", "", owning("<purge node='n'/>"))
	expect(t, other, eventOf(juliet, "<purge node='n'/>"))
	if got := s.ok("get", "", asking("n", "/>")); got != "<pubsub xmlns='"+NS+"'><items node='n'></items></pubsub>" {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", owning("<delete node='n'><redirect uri='xmpp:hamlet@denmark.lit?;node=blog'/></delete>"))
	expect(t, other, eventOf(juliet, "<delete node='n'><redirect uri='xmpp:hamlet@denmark.lit?;node=blog'/></delete>"))
	s.refused("get", "", asking("n", "/>"), "cancel", "item-not-found", "")
}

func TestOwnerManagesAffiliations(t *testing.T) { // XEP-0060 §8.9
	w := shakespeare(t)
	s, other := w.login("juliet@capulet.lit/b"), w.login("nurse@capulet.lit/a")
	s.ok("set", "", publishing("n", "1", aTune))
	set := func(inner string) string { return owning("<affiliations node='n'>" + inner + "</affiliations>") }
	all := func() string { return s.ok("get", "", owning("<affiliations node='n'/>")) }
	alone := "<pubsub xmlns='" + NSOwner + "'><affiliations node='n'><affiliation jid='juliet@capulet.lit' affiliation='owner'/></affiliations></pubsub>"
	if got := all(); got != alone {
		t.Errorf("got %s", got)
	}
	other.refused("get", juliet, owning("<affiliations node='n'/>"), "auth", "forbidden", "")
	other.refused("set", juliet, set("<affiliation jid='"+nurse+"' affiliation='publisher'/>"), "auth", "forbidden", "")
	s.refused("set", "", set("<affiliation jid='@' affiliation='member'/>"), "modify", "bad-request", "")
	for _, wrong := range []string{
		"<affiliation jid='juliet@capulet.lit' affiliation='none'/>", "<affiliation jid='nurse@capulet.lit' affiliation='owner'/>",
		"<affiliation jid='nurse@capulet.lit' affiliation='king'/>",
	} {
		answer := s.iq("set", "", set("<affiliation jid='x@y' affiliation='member'/>"+wrong))
		if !strings.Contains(answer, "<not-acceptable ") || !strings.Contains(answer, "<affiliations node='n'><affiliation jid='") || strings.Contains(answer, "x@y") {
			t.Errorf("got %s", answer)
		}
	}
	if got := all(); got != alone {
		t.Errorf("a part was stored: %s", got)
	}
	s.ok("set", "", set("<affiliation jid='NURSE@capulet.lit/x' affiliation='publisher'/><affiliation jid='a@b'/>"))
	if got := all(); !strings.Contains(got, "<affiliation jid='nurse@capulet.lit' affiliation='publisher'/>") {
		t.Errorf("got %s", got)
	}
	if got := other.ok("get", juliet, "<pubsub xmlns='"+NS+"'><affiliations/></pubsub>"); !strings.Contains(got, "<affiliation node='n' affiliation='publisher'/>") {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", set("<affiliation jid='nurse@capulet.lit' affiliation='none'/>"))
	if got := all(); got != alone {
		t.Errorf("got %s", got)
	}
}

func subscribing(verb, node, jid string) string {
	return "<pubsub xmlns='" + NS + "'><" + verb + " node='" + node + "' jid='" + jid + "'/></pubsub>"
}

func TestSubscribe(t *testing.T) { // XEP-0060 §6.1, §6.2, §5.6
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/b")
	paris := w.login("paris@capulet.lit/house")
	s.ok("set", "", with(publishing("n", "1", aTune), "pubsub#access_model", "open"))
	paris.refused("set", juliet, subscribing("subscribe", "n", nurse), "modify", "bad-request", "invalid-jid")
	paris.refused("set", juliet, subscribing("subscribe", "n", "@"), "modify", "bad-request", "invalid-jid")
	paris.refused("set", juliet, "<pubsub xmlns='"+NS+"'><subscribe node='n'/></pubsub>", "modify", "bad-request", "jid-required")
	paris.refused("set", juliet, subscribing("subscribe", "m", "paris@capulet.lit"), "cancel", "item-not-found", "")
	paris.refused("set", juliet, subscribing("unsubscribe", "n", "paris@capulet.lit"), "cancel", "unexpected-request", "not-subscribed")
	paris.refused("set", juliet, subscribing("unsubscribe", "n", nurse), "auth", "forbidden", "")

	got := paris.ok("set", juliet, subscribing("subscribe", "n", "paris@capulet.lit/house"))
	if want := "<pubsub xmlns='" + NS + "'><subscription node='n' jid='paris@capulet.lit/house' subscription='subscribed'/></pubsub>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	expect(t, paris, lastOne(juliet, "<items node='n'><item id='1'>"+aTune+"</item></items>"))
	s.ok("set", "", publishing("n", "2", another))
	expect(t, paris, eventOf(juliet, "<items node='n'><item id='2'>"+another+"</item></items>"))
	if got := paris.ok("get", juliet, "<pubsub xmlns='"+NS+"'><subscriptions/></pubsub>"); got != "<pubsub xmlns='"+NS+"'><subscriptions>"+
		"<subscription node='n' jid='paris@capulet.lit/house' subscription='subscribed'/></subscriptions></pubsub>" {
		t.Errorf("got %s", got)
	}
	if got := s.ok("get", "", owning("<subscriptions node='n'/>")); !strings.Contains(got, "<subscription jid='paris@capulet.lit/house' subscription='subscribed'/>") {
		t.Errorf("got %s", got)
	}
	paris.ok("set", juliet, subscribing("unsubscribe", "n", "paris@capulet.lit/house"))
	s.ok("set", "", publishing("n", "3", aTune))
	expect(t, paris)
	paris.refused("set", juliet, subscribing("subscribe", "n", strings.Repeat("x", 2000)+"@y"), "modify", "bad-request", "invalid-jid")
}

func TestOneEventForEachSubscriber(t *testing.T) { // XEP-0163 §4.3.3
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/b")
	s.ok("set", "", with(publishing("n", "1", aTune), "pubsub#send_last_published_item", "never"))
	romeo := w.login("romeo@montague.lit/a", "n")
	romeo.ok("set", juliet, subscribing("subscribe", "n", "romeo@montague.lit"))
	s.ok("set", "", publishing("n", "1", aTune))
	if got := romeo.take(); len(got) != 1 {
		t.Errorf("got %q", got)
	}
	same(t, "the bare address", w.inbox["romeo@montague.lit"], nil)
	romeo.leave()
	s.ok("set", "", publishing("n", "1", aTune))
	same(t, "the bare address", w.inbox["romeo@montague.lit"], []string{eventOf(juliet, "<items node='n'><item id='1'>"+aTune+"</item></items>")})
}

func TestOutcastsLoseTheirSubscriptions(t *testing.T) { // XEP-0060 §4.1
	w := shakespeare(t)
	s, nurse1 := w.login("juliet@capulet.lit/b"), w.login("nurse@capulet.lit/a")
	s.ok("set", "", "<pubsub xmlns='"+NS+"'><create node='n'/></pubsub>")
	nurse1.ok("set", juliet, subscribing("subscribe", "n", "nurse@capulet.lit/a"))
	s.ok("set", "", owning("<affiliations node='n'><affiliation jid='"+nurse+"' affiliation='outcast'/></affiliations>"))
	expect(t, nurse1, eventOf(juliet, "<subscription node='n' jid='nurse@capulet.lit/a' subscription='none'/>"))
	if got := s.ok("get", "", owning("<subscriptions node='n'/>")); strings.Contains(got, nurse) {
		t.Errorf("got %s", got)
	}
	s.refused("set", "", owning("<subscriptions node='n'><subscription jid='"+nurse+"' subscription='subscribed'/></subscriptions>"), "modify", "not-acceptable", "")
}

func TestTooManySubscriptions(t *testing.T) { // XEP-0060 §6.1.3.9
	w := shakespeare(t)
	s, paris := w.login("juliet@capulet.lit/b"), w.login("paris@capulet.lit/house")
	s.ok("set", "", with(publishing("n", "1", aTune), "pubsub#access_model", "open"))
	for i := range mostOwnSubscriptions {
		paris.ok("set", juliet, subscribing("subscribe", "n", "paris@capulet.lit/"+strings.Repeat("x", i+1)))
	}
	paris.refused("set", juliet, subscribing("subscribe", "n", "paris@capulet.lit"), "wait", "policy-violation", "too-many-subscriptions")
	paris.ok("set", juliet, subscribing("subscribe", "n", "paris@capulet.lit/x")) // known already
}

func TestLostAccessEndsTheSubscription(t *testing.T) { // XEP-0163 §7
	w := shakespeare(t)
	s, nurse1 := w.login("juliet@capulet.lit/b"), w.login("nurse@capulet.lit/a")
	s.ok("set", "", publishing("n", "1", aTune))
	nurse1.ok("set", juliet, subscribing("subscribe", "n", nurse))
	w.rosters[juliet][nurse] = im.Standing{Subscription: "none"}
	nurse1.take()
	s.ok("set", "", publishing("n", "1", aTune))
	expect(t, nurse1)
	same(t, nurse, w.inbox[nurse], []string{lastOne(juliet, "<items node='n'><item id='1'>"+aTune+"</item></items>")})
	if got := s.ok("get", "", owning("<subscriptions node='n'/>")); strings.Contains(got, nurse) {
		t.Errorf("got %s", got)
	}
}

func TestSubscriptionsThatWaitForApproval(t *testing.T) { // XEP-0060 §6.1.4, §8.8
	w := shakespeare(t)
	s, paris := w.login("juliet@capulet.lit/b"), w.login("paris@capulet.lit/house")
	s.ok("set", "", with(publishing("n", "1", aTune), "pubsub#access_model", "authorize"))
	if got := paris.ok("set", juliet, subscribing("subscribe", "n", "paris@capulet.lit")); !strings.Contains(got, "subscription='pending'") {
		t.Errorf("got %s", got)
	}
	paris.refused("set", juliet, subscribing("subscribe", "n", "paris@capulet.lit"), "auth", "not-authorized", "pending-subscription")
	paris.refused("get", juliet, asking("n", "/>"), "auth", "not-authorized", "pending-subscription")
	s.ok("set", "", publishing("n", "2", aTune))
	same(t, "paris", w.inbox["paris@capulet.lit"], nil)
	set := func(jid, state string) string {
		return owning("<subscriptions node='n'><subscription jid='" + jid + "' subscription='" + state + "'/></subscriptions>")
	}
	paris.refused("set", juliet, set("paris@capulet.lit", "subscribed"), "auth", "forbidden", "")
	s.refused("set", "", set("paris@capulet.lit", "perhaps"), "modify", "not-acceptable", "")
	s.refused("set", "", set("stranger@far.example", "subscribed"), "modify", "not-acceptable", "") // who never asked
	s.ok("set", "", set("paris@capulet.lit", "subscribed"))
	s.ok("set", "", publishing("n", "3", aTune))
	same(t, "paris", w.inbox["paris@capulet.lit"], []string{
		eventOf(juliet, "<subscription node='n' jid='paris@capulet.lit' subscription='subscribed'/>"),
		eventOf(juliet, "<items node='n'><item id='3'>"+aTune+"</item></items>"),
	})
	paris.ok("get", juliet, asking("n", "/>"))
	s.ok("set", "", set("paris@capulet.lit", "none"))
	paris.refused("get", juliet, asking("n", "/>"), "auth", "not-authorized", "not-subscribed")
}

func TestPublishModels(t *testing.T) { // XEP-0060 §16.4.4
	w := shakespeare(t)
	s, paris := w.login("juliet@capulet.lit/b"), w.login("paris@capulet.lit/house")
	s.ok("set", "", with(publishing("n", "1", aTune), "pubsub#access_model", "open"))
	paris.refused("set", juliet, publishing("n", "2", aTune), "auth", "forbidden", "")
	s.ok("set", "", configuring("n", "pubsub#publish_model", "subscribers"))
	paris.refused("set", juliet, publishing("n", "2", aTune), "auth", "forbidden", "")
	paris.ok("set", juliet, subscribing("subscribe", "n", "paris@capulet.lit"))
	paris.ok("set", juliet, publishing("n", "2", aTune))
	s.ok("set", "", configuring("n", "pubsub#publish_model", "open"))
	paris.ok("set", juliet, subscribing("unsubscribe", "n", "paris@capulet.lit"))
	paris.ok("set", juliet, publishing("n", "2", aTune))
	s.ok("set", "", owning("<affiliations node='n'><affiliation jid='paris@capulet.lit' affiliation='outcast'/></affiliations>"))
	paris.refused("set", juliet, publishing("n", "2", aTune), "auth", "forbidden", "")
}

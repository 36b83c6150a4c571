package pubsub

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"parley/internal/store"
	"parley/xmpp/im"
	"parley/xmpp/wire"
)

// ten is a world whose node n has the items 0 to 9.
func ten(t *testing.T, limits Limits) (*world, *session) {
	w := newWorld(t, limits, juliet)
	s := w.login("juliet@capulet.lit/b")
	for i := range 10 {
		s.ok("set", "", with(publishing("n", fmt.Sprint(i), fmt.Sprintf("<a xmlns='u:a'>%d</a>", i)), "pubsub#max_items", "max"))
	}
	return w, s
}

// idsIn lists the items in an answer, and what its <set/> says.
func idsIn(answer string) string {
	var out []string
	for _, part := range strings.Split(answer, "<item id='")[1:] {
		out = append(out, part[:strings.IndexByte(part, '\'')])
	}
	list := strings.Join(out, "")
	if _, set, ok := strings.Cut(answer, "<set xmlns='"+NSRSM+"'>"); ok {
		list += " " + strings.TrimSuffix(set, "</set></pubsub>")
	}
	return list
}

func TestItems(t *testing.T) { // XEP-0060 §6.5, XEP-0059
	_, s := ten(t, DefaultLimits)
	page := func(first, last string) string {
		return " <first>" + first + "</first><last>" + last + "</last><count>10</count>"
	}
	set := func(inner string) string { return "/><set xmlns='" + NSRSM + "'>" + inner + "</set>" }
	for _, c := range []struct{ name, ask, want string }{
		{"all", "/>", "0123456789"},
		{"latest three", " max_items='3'/>", "789"},
		{"more than there are", " max_items='99'/>", "0123456789"},
		{"by id, in their order", "><item id='7'/><item id='2'/><item id='x'/></items>", "27"},
		{"by an id that is not there", "><item id='x'/></items>", ""},
		{"first page", set("<max>3</max>"), "012" + page("0", "2")},
		{"next page", set("<max>3</max><after>2</after>"), "345" + page("3", "5")},
		{"last page", set("<max>3</max><before/>"), "789" + page("7", "9")},
		{"page before", set("<max>3</max><before>7</before>"), "456" + page("4", "6")},
		{"behind the end", set("<max>3</max><after>9</after>"), " <count>10</count>"},
		{"count", set("<max>0</max>"), " <count>10</count>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := idsIn(s.ok("get", "", asking("n", c.ask))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	for _, ask := range []string{" max_items='0'/>", " max_items='-1'/>", " max_items='x'/>", "><item/></items>", "><x/></items>",
		set("<max>x</max>"), "><item id='1'/>" + strings.Repeat("<item id='1'/>", mostAsked) + "</items>"} {
		s.refused("get", "", asking("n", ask), "modify", "bad-request", "")
	}
	s.refused("get", "", asking("n", set("<after>x</after>")), "cancel", "item-not-found", "")
	if got := s.iq("get", "", asking("n", set("<index>3</index>"))); !strings.Contains(got, "feature-not-implemented") {
		t.Errorf("got %s", got)
	}
	s.refused("get", "", "<pubsub xmlns='"+NS+"'><items/></pubsub>", "modify", "bad-request", "nodeid-required")
	if got := s.ok("get", "", "<query xmlns='"+NSItems+"' node='n'/>"); !strings.Contains(got, "<item jid='juliet@capulet.lit' name='0'/>") {
		t.Errorf("got %s", got)
	}
}

func TestLargeAnswersAreCut(t *testing.T) { // XEP-0060 §6.5.4
	limits := DefaultLimits
	limits.Answer = 60 // three items of 20 bytes
	_, s := ten(t, limits)
	if got, want := idsIn(s.ok("get", "", asking("n", "/>"))), "012 <first>0</first><last>2</last><count>10</count>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := idsIn(s.ok("get", "", asking("n", " max_items='5'/>"))), "789"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLastItemsAtPresence(t *testing.T) { // XEP-0163 §4.3.4
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/1")
	s.ok("set", "", publishing(tune, "1", aTune))
	s.ok("set", "", with(publishing("never", "1", aTune), "pubsub#send_last_published_item", "never"))
	s.ok("set", "", with(publishing("hidden", "1", aTune), "pubsub#access_model", "whitelist"))
	s.leave() // it does not matter whether the owner is there
	item := func(node string) string {
		return lastOne(juliet, "<items node='"+node+"'><item id='1'>"+aTune+"</item></items>")
	}
	nurse1 := w.login("nurse@capulet.lit/1", tune, "never", "hidden")
	expect(t, nurse1, item(tune))
	nurse1.available()
	nurse1.show("<presence><c xmlns='" + NSCaps + "' hash='sha-1' node='http://exodus.example' ver='" + nurse1.ver() + "'/><show>away</show></presence>")
	expect(t, nurse1) // not the first presence
	romeo := w.login("romeo@montague.lit/1", tune, "never", "hidden")
	expect(t, romeo, item(tune))
	expect(t, w.login("paris@capulet.lit/1", tune))
	expect(t, w.login("juliet@capulet.lit/2", tune, "never", "hidden"), item("hidden"), item(tune))
	nurse1.leave()
	expect(t, w.login("nurse@capulet.lit/1", tune), item(tune))
}

func TestLastItemsAreForThoseWhoSeeThePresence(t *testing.T) { // whatever they themselves say, and also of open nodes
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/1")
	s.ok("set", "", with(publishing("n", "1", aTune), "pubsub#access_model", "open"))
	w.both("paris@capulet.lit", juliet)
	delete(w.rosters[juliet], "paris@capulet.lit")
	expect(t, w.login("paris@capulet.lit/1", "n"))
	w.rosters[juliet]["far@away.example"] = im.Standing{Subscription: "to"}
	far := &session{w: w, addr: "far@away.example/1", features: []string{NSInfo, "n" + notify}}
	w.sessions[far.addr] = far
	w.s.Presence(nil, juliet, far.addr, true, parse(t, "<presence><c xmlns='"+NSCaps+"' hash='sha-1' node='n' ver='"+far.ver()+"'/></presence>").Stanza(far.addr).Tail)
	w.settle()
	expect(t, far)
}

func TestContactsAreNotFloodedAtLogin(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/1")
	large := "<a xmlns='u:a'>" + strings.Repeat("x", largestLast) + "</a>"
	s.ok("set", "", publishing("n", "1", large))
	nurse1 := w.login("nurse@capulet.lit/1", "n")
	expect(t, nurse1, lastOne(juliet, "<items node='n'><item id='1'/></items>"))
	expect(t, w.login("juliet@capulet.lit/2", "n"), lastOne(juliet, "<items node='n'><item id='1'>"+large+"</item></items>"))
	s.ok("set", "", publishing("n", "2", large)) // whoever publishes is limited as a sender
	expect(t, nurse1, eventOf(juliet, "<items node='n'><item id='2'>"+large+"</item></items>"))
}

func TestWhatIsRememberedOfNodes(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/1")
	greeted := func(resource string) []string {
		one := w.login(wire.Addr("nurse@capulet.lit/"+resource), "n")
		got := one.take()
		one.leave()
		return got
	}
	same(t, "before", greeted("a"), nil)
	s.ok("set", "", publishing("n", "1", aTune))
	want := []string{lastOne(juliet, "<items node='n'><item id='1'>"+aTune+"</item></items>")}
	same(t, "published", greeted("b"), want)
	asked := counting{Nodes: w.store}
	w.s.store = &asked
	same(t, "remembered", greeted("c"), want)
	if asked.n != 0 {
		t.Error("the store was asked again")
	}
	s.ok("set", "", publishing("n", "2", another))
	same(t, "published again", greeted("d"), []string{lastOne(juliet, "<items node='n'><item id='2'>"+another+"</item></items>")})
	s.ok("set", "", configuring("n", "pubsub#access_model", "whitelist"))
	same(t, "hidden", greeted("e"), nil)
	s.ok("set", "", owning("<affiliations node='n'><affiliation jid='"+nurse+"' affiliation='member'/></affiliations>"))
	same(t, "for members", greeted("f"), []string{lastOne(juliet, "<items node='n'><item id='2'>"+another+"</item></items>")})
	s.ok("set", "", owning("<delete node='n'/>"))
	same(t, "deleted", greeted("g"), nil)
	s.ok("set", "", publishing("n", "1", aTune))
	same(t, "there again", greeted("h"), want)
	if err := w.store.DeleteAccount(t.Context(), juliet); err != nil {
		t.Fatal(err)
	}
	w.s.Forget(juliet)
	same(t, "without account", greeted("i"), nil)
}

// counting is a store that counts how often it is asked for last items.
type counting struct {
	store.Nodes
	n int
}

func (c *counting) LastItems(ctx context.Context, owner string, names []string) ([]store.LastItem, error) {
	if owner == juliet {
		c.n++
	}
	return c.Nodes.LastItems(ctx, owner, names)
}

func TestTheMemoryIsBounded(t *testing.T) {
	var m memory
	one := []last{{node: &node{}, item: store.Item{Payload: make([]byte, largestEntry/2)}}}
	m.put("large", one, largestEntry+1)
	if _, ok := m.get("large"); ok {
		t.Error("what is too large is remembered")
	}
	for i := range 5 * halfMemory / (largestEntry / 2) {
		m.put(wire.Addr(fmt.Sprint(i)), one, largestEntry/2)
		m.put("popular", nil, 0)
		if _, ok := m.get("popular"); !ok {
			t.Fatal("what is in use was forgotten")
		}
	}
	if n := len(m.young) + len(m.old); n > 2*(halfMemory/(largestEntry/2)+2) {
		t.Errorf("%d are remembered", n)
	}
	m.forget("popular")
	if _, ok := m.get("popular"); ok {
		t.Error("it was not forgotten")
	}
}

func TestFeaturesAreAnnouncedOnce(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range Features {
		if seen[f] {
			t.Errorf("%s twice", f)
		}
		seen[f] = true
	}
	for _, f := range []string{"auto-create", "auto-subscribe", "filtered-notifications", "publish-options", "persistent-items", "last-published"} {
		if !seen[NS+"#"+f] {
			t.Errorf("%s is missing", f)
		}
	}
}

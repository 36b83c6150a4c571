package pubsub

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/xmpp/wire"
)

func TestVerificationStrings(t *testing.T) { // XEP-0115 §5.2, §5.3
	simple := `<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' name='Exodus 0.9.1' type='pc'/>
		<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>
		<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/></query>`
	complex := `<query xmlns='http://jabber.org/protocol/disco#info' node='http://psi-im.org#q07IKJEyjvHSyhy//CH0CxmKi8w='>
		<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/><identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>
		<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>
		<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>
		<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
		<field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field><field var='os'><value>Mac</value></field>
		<field var='os_version'><value>10.5.1</value></field><field var='software'><value>Psi</value></field>
		<field var='software_version'><value>0.11</value></field></x></query>`
	twice := strings.Replace(simple, "<feature", "<feature var='http://jabber.org/protocol/muc'/><feature", 1)
	for _, c := range []struct {
		name, query, hash, ver string
		want                   bool
	}{
		{"simple", simple, "sha-1", "QgayPKawpkPSDYmwT/WM94uAlu0=", true},
		{"complex", complex, "sha-1", "q07IKJEyjvHSyhy//CH0CxmKi8w=", true},
		{"wrong hash", simple, "sha-1", "q07IKJEyjvHSyhy//CH0CxmKi8w=", false},
		{"unknown function", simple, "md2", "QgayPKawpkPSDYmwT/WM94uAlu0=", false},
		{"a feature twice", twice, "sha-1", verOf("client/pc//Exodus 0.9.1<http://jabber.org/protocol/caps<http://jabber.org/protocol/disco#info<" +
			"http://jabber.org/protocol/disco#items<http://jabber.org/protocol/muc<http://jabber.org/protocol/muc<"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, "<iq>"+c.query+"</iq>")
			if _, got := readCaps(p.Elem().First(), c.hash, c.ver); got != c.want {
				t.Errorf("verified: %t", got)
			}
		})
	}
}

func TestFeaturesThatCannotBeTrusted(t *testing.T) { // XEP-0115 §5.4, §9.1
	features := strings.Repeat("<feature var='x+notify'/>", 2) + "<feature var='" + "y" + strings.Repeat("y", longestNode) + "+notify'/>"
	for i := range 2 * mostNodes {
		features += "<feature var='" + strings.Repeat("n", i+1) + "+notify'/>"
	}
	p := parse(t, "<iq><query xmlns='"+NSInfo+"'>"+features+"</query></iq>")
	c, verified := readCaps(p.Elem().First(), "sha-1", "x")
	if verified || len(c.nodes) > mostNodes {
		t.Errorf("%d nodes, verified: %t", len(c.nodes), verified)
	}
}

func TestAClientIsAskedOnce(t *testing.T) { // XEP-0115 §6.2: once for a verification string
	w := shakespeare(t)
	first := w.login("nurse@capulet.lit/1", tune)
	if first.asked != 1 {
		t.Fatalf("asked %d times", first.asked)
	}
	first.available()
	first.show("<presence><show>away</show></presence>") // without capabilities: they stay
	second := w.login("nurse@capulet.lit/2", tune)
	romeo := w.login("romeo@montague.lit/1", tune)
	if first.asked+second.asked+romeo.asked != 1 {
		t.Errorf("asked %d, %d, %d times", first.asked, second.asked, romeo.asked)
	}
	w.login("juliet@capulet.lit/1").ok("set", "", publishing(tune, "1", aTune))
	for _, s := range []*session{first, second, romeo} {
		if len(s.take()) != 1 {
			t.Errorf("%s has no event", s.addr)
		}
	}
}

func TestAChangeOfCapabilitiesCounts(t *testing.T) {
	w := shakespeare(t)
	s, owner := w.login("nurse@capulet.lit/1", tune), w.login("juliet@capulet.lit/1")
	owner.ok("set", "", publishing(tune, "1", aTune))
	owner.ok("set", "", publishing("mood", "1", aTune))
	s.take()
	s.features = []string{NSInfo, tune + notify, "mood" + notify}
	s.available()
	expect(t, s, lastOne(juliet, "<items node='mood'><item id='1'>"+aTune+"</item></items>")) // only what is new
	s.features = []string{NSInfo}
	s.available()
	owner.ok("set", "", publishing(tune, "2", aTune))
	expect(t, s)
}

func TestALiarIsAloneWithIt(t *testing.T) { // XEP-0115 §9.1, poisoning
	w := shakespeare(t)
	honest := &session{w: w, features: []string{NSInfo, tune + notify}}
	liar := &session{w: w, addr: "paris@capulet.lit/1", features: []string{NSInfo, "mood" + notify}, lies: honest.ver()}
	w.sessions[liar.addr] = liar
	liar.available()
	if liar.asked != 1 {
		t.Fatalf("asked %d times", liar.asked)
	}
	s := w.login("nurse@capulet.lit/1", tune)
	if s.asked != 1 {
		t.Errorf("asked %d times", s.asked)
	}
	owner := w.login("juliet@capulet.lit/1")
	owner.ok("set", "", publishing("mood", "1", aTune))
	owner.ok("set", "", publishing(tune, "1", aTune))
	if got := s.take(); len(got) != 1 || !strings.Contains(got[0], tune) {
		t.Errorf("got %q", got)
	}
	own := w.login("paris@capulet.lit/2")
	own.ok("set", "", publishing("mood", "1", aTune)) // for itself it counts
	if got := liar.take(); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestOldCapabilitiesCountForOneClient(t *testing.T) { // XEP-0115 of before hashes
	w := shakespeare(t)
	s := &session{w: w, addr: "nurse@capulet.lit/1", features: []string{NSInfo, tune + notify}}
	w.sessions[s.addr] = s
	s.show("<presence><c xmlns='" + NSCaps + "' node='http://old.example' ver='1.0'/></presence>")
	w.login("juliet@capulet.lit/1").ok("set", "", publishing(tune, "1", aTune))
	if got := s.take(); len(got) != 1 || s.asked != 1 {
		t.Errorf("asked %d times, got %q", s.asked, got)
	}
}

func TestTheNextOneIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, sessions: make(map[wire.Addr]*session)}
		w.s = New(domain, w, nil, DefaultLimits, nil)
		show := func(full wire.Addr, mute bool) *session {
			s := &session{w: w, addr: full, features: []string{NSInfo}, mute: mute}
			w.sessions[full] = s
			w.s.see(full.Bare(), full, parse(t, "<presence><c xmlns='"+NSCaps+"' hash='sha-1' node='n' ver='"+s.ver()+"'/></presence>").Stanza(full).Tail)
			w.settle()
			return s
		}
		a, b, c := show("a@capulet.lit/1", true), show("b@capulet.lit/1", true), show("c@capulet.lit/1", false)
		if a.asked != 1 || b.asked+c.asked != 0 {
			t.Fatalf("asked %d, %d, %d", a.asked, b.asked, c.asked)
		}
		time.Sleep(questionWait)
		synctest.Wait()
		w.settle()
		if b.asked != 1 || c.asked != 0 {
			t.Fatalf("asked %d, %d, %d", a.asked, b.asked, c.asked)
		}
		w.s.Reply(nil, b, "", parse(t, "<iq type='error' id='caps-x'/>")) // the id is wrong
		w.s.lose("b@capulet.lit", "b@capulet.lit/1")
		time.Sleep(questionWait)
		synctest.Wait()
		w.settle()
		if c.asked != 1 || len(w.s.questions)+len(w.s.asked) != 0 {
			t.Errorf("asked %d, %d questions are open", c.asked, len(w.s.questions))
		}
		show("d@capulet.lit/1", true)
		w.s.lose("d@capulet.lit", "d@capulet.lit/1")
		time.Sleep(questionWait)
		synctest.Wait()
		if len(w.s.questions)+len(w.s.asked) != 0 {
			t.Error("a question of nobody stays")
		}
	})
}

func TestAnswersOfOthersAreIgnored(t *testing.T) {
	w := shakespeare(t)
	s := &session{w: w, addr: "nurse@capulet.lit/1", features: []string{NSInfo, tune + notify}, mute: true}
	w.sessions[s.addr] = s
	s.available()
	s.available()
	var id string
	for id = range w.s.asked {
		if n := len(w.s.asked[id].waiting); n != 1 {
			t.Errorf("%d wait for the answer", n)
		}
	}
	liar := &session{w: w, addr: "paris@capulet.lit/1", features: s.features}
	w.s.Reply(nil, liar, juliet, parse(t, liar.info(id)))
	if len(w.s.questions) != 1 {
		t.Error("the question was answered by another one")
	}
	w.s.Reply(nil, s, juliet, parse(t, s.info(id)))
	if len(w.s.questions)+len(w.s.asked) != 0 {
		t.Error("the question is still open")
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	w := shakespeare(t)
	var all []*session
	for _, full := range []wire.Addr{"juliet@capulet.lit/1", "juliet@capulet.lit/2", "nurse@capulet.lit/1", "romeo@montague.lit/1"} {
		all = append(all, w.login(full, tune))
	}
	all[0].ok("set", "", publishing(tune, "1", aTune))
	for _, s := range all {
		s.leave()
	}
	if len(w.s.sights)+len(w.s.questions)+len(w.s.asked)+len(w.s.photos) != 0 {
		t.Errorf("sights %v, questions %d, photos %d", w.s.sights, len(w.s.questions), len(w.s.photos))
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	var c cache
	for i := range 5 * halfCache {
		c.put(capsKey{ver: strings.Repeat("x", i%97) + time.Duration(i).String()}, &caps{})
		c.put(capsKey{ver: "popular"}, &caps{})
		if c.get(capsKey{ver: "popular"}) == nil {
			t.Fatal("what is in use was forgotten")
		}
	}
	if n := len(c.young) + len(c.old); n > 2*halfCache {
		t.Errorf("%d are kept", n)
	}
}

func TestARestoredSessionIsLookedAt(t *testing.T) {
	w := shakespeare(t)
	s := w.login("nurse@capulet.lit/1", tune)
	w.s = New(domain, w, w.store, DefaultLimits, nil) // as after a restart: no presence is told again
	owner := w.login("juliet@capulet.lit/1")
	owner.ok("set", "", publishing(tune, "1", aTune)) // this one has it asked, and it is greeted
	if got := s.take(); len(got) != 1 || !strings.Contains(got[0], aTune) {
		t.Errorf("got %q", got)
	}
	owner.ok("set", "", publishing(tune, "2", another))
	expect(t, s, eventOf(juliet, "<items node='"+tune+"'><item id='2'>"+another+"</item></items>"))
}

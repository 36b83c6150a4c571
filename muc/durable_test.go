package muc

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/xmpp/wire"
)

func (c *client) holds() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

func TestDurableWordsAreToldWhenCommitted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		romeo.configure("r", cfgPersistent, "1")
		juliet.join("r", "juliet")
		romeo.take()
		w.store.slow = true
		for _, c := range []struct{ name, stanza, told string }{
			{"message", "<message to='r@muc.x' type='groupchat' id='1'><body>one</body></message>", "<body>one</body>"},
			{"subject", "<message to='r@muc.x' type='groupchat' id='2'><subject>two</subject></message>", "<subject>two</subject>"},
			{"affiliation", "<iq to='r@muc.x' type='set' id='3'><query xmlns='" + NSAdmin + "'><item affiliation='member' jid='juliet@x'/></query></iq>", "affiliation='member'"},
			{"configuration", "<iq to='r@muc.x' type='set' id='4'><query xmlns='" + NSOwner + "'><x xmlns='" + NSData + "' type='submit'><field var='" + cfgName + "'><value>n</value></field></x></query></iq>", "code='104'"},
		} {
			romeo.send("%s", c.stanza)
			if got := append(romeo.take(), juliet.take()...); len(got) > 0 {
				t.Errorf("%s: told before it is committed: %q", c.name, got)
			}
			if romeo.holds() != 1 {
				t.Errorf("%s: %d acknowledgements are held", c.name, romeo.holds())
			}
			// Presence, private messages and requests go on meanwhile.
			juliet.send("<presence to='r@muc.x/juliet'><status>%s</status></presence>", c.name)
			romeo.want("<status>" + c.name)
			juliet.take()
			w.store.commit(nil)
			juliet.want(c.told)
			romeo.take()
			if romeo.holds() != 0 {
				t.Errorf("%s: %d acknowledgements are held after the commit", c.name, romeo.holds())
			}
		}
		w.store.slow = false
	})
}

func TestWordsKeepTheirOrderAcrossCommits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		romeo.configure("r", cfgPersistent, "1")
		juliet.join("r", "juliet")
		juliet.take()
		w.store.slow = true
		for _, m := range []string{"<body>1</body>", "<body>2</body><no-store xmlns='urn:xmpp:hints'/>", "<body>3</body>"} {
			romeo.send("<message to='r@muc.x' type='groupchat'>%s</message>", m)
		}
		if got := juliet.take(); len(got) > 0 {
			t.Errorf("juliet got %q", got)
		}
		w.store.commit(nil)
		got := strings.Join(juliet.take(), "")
		one, two, three := strings.Index(got, ">1<"), strings.Index(got, ">2<"), strings.Index(got, ">3<")
		if one < 0 || two < one || three < two {
			t.Errorf("juliet got %s", got)
		}
		w.store.slow = false
	})
}

func TestChangesOfRankWaitForOneAnother(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		romeo.configure("r", cfgPersistent, "1")
		romeo.admin("r", "<item affiliation='owner' jid='juliet@x'/>")
		juliet.join("r", "juliet")
		romeo.take()
		juliet.take()
		w.store.slow = true
		// Each takes ownership from the other; judged together, nobody would be left.
		romeo.admin("r", "<item affiliation='none' jid='juliet@x'/>")
		juliet.admin("r", "<item affiliation='none' jid='romeo@x'/>")
		w.store.commit(nil)
		romeo.want("type='result'")
		juliet.want("type='error'", "forbidden")
		w.store.slow = false
	})
}

func TestAFailedCommitChangesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		romeo.configure("r", cfgPersistent, "1")
		juliet.join("r", "juliet")
		romeo.take()
		juliet.take()
		w.store.slow = true
		romeo.admin("r", "<item affiliation='outcast' jid='juliet@x'/>")
		romeo.send("<message to='r@muc.x' type='groupchat' id='m'><body>lost</body></message>")
		w.store.commit(errors.New("the disk is full"))
		romeo.want("id='a'", "type='error'", "internal-server-error")
		if got := juliet.take(); len(got) > 0 || romeo.holds() != 0 {
			t.Errorf("juliet got %q, %d held", got, romeo.holds())
		}
		w.store.slow = false
		juliet.send("<message to='r@muc.x' type='groupchat'><body>still here</body></message>")
		romeo.want("still here")
	})
}

// TestAStaleOwnerCommitsNothing: another node has claimed the room (hardening.md HF5).
func TestAStaleOwnerCommitsNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		romeo.configure("r", cfgPersistent, "1")
		juliet.join("r", "juliet")
		romeo.take()
		juliet.take()
		w.store.Claim(context.Background(), "r@muc.x", "other")
		for _, stanza := range []string{
			"<iq to='r@muc.x' type='set' id='a'><query xmlns='" + NSAdmin + "'><item affiliation='outcast' jid='juliet@x'/></query></iq>",
			"<message to='r@muc.x' type='groupchat'><body>two rooms</body></message>",
			"<iq to='r@muc.x' type='set' id='d'><query xmlns='" + NSOwner + "'><destroy/></query></iq>",
		} {
			romeo.send("%s", stanza)
			romeo.want("type='error'", "type='wait'><resource-constraint ")
			if got := juliet.take(); len(got) > 0 {
				t.Errorf("juliet got %q", got)
			}
		}
		if w.count("room.lease") == 0 {
			t.Error("it was not counted")
		}
		romeo.send("<message to='r@muc.x/juliet' type='chat'><body>psst</body></message>") // relaying goes on
		juliet.want("psst")
	})
}

func TestARoomThatCannotBeReadRefusesAndRecovers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.err = errors.New("away")
		romeo := w.client("romeo@x/1")
		romeo.send("<presence to='r@muc.x/romeo'>%s</presence>", join)
		romeo.want(refusedWith("wait", "internal-server-error")...)
		var failed *wire.Error
		w.s.Conference(romeo, "r@muc.x", FirstOwns, func(_ Meeting, err *wire.Error) { failed = err })
		w.settle()
		if failed == nil {
			t.Error("the conference request has no error")
		}
		w.store.err = nil
		romeo.join("r", "romeo")
		if romeo.holds() != 0 {
			t.Error("an acknowledgement is held")
		}
	})
}

func TestAPersistentRoomIsPutAsideAndComesBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		romeo.send("<message to='r@muc.x' type='groupchat'><body>before</body></message>")
		romeo.configure("r", cfgPersistent, "1", cfgPublic, "1", cfgMembers, "1")
		romeo.admin("r", "<item affiliation='member' jid='juliet@x' nick='capulet'/>")
		romeo.send("<message to='r@muc.x' type='groupchat'><body>after</body></message>")
		romeo.gone()
		w.pass(time.Hour)
		if got := w.s.Stats(); got != (Stats{}) {
			t.Errorf("stats %+v", got)
		}
		juliet.send("<iq to='muc.x' type='get' id='1'><query xmlns='" + NSDiscoItems + "'/></iq>")
		juliet.want("<item jid='r@muc.x'")
		juliet.send("<presence to='r@muc.x/capulet'>%s</presence>", join)
		got := strings.Join(juliet.take(), "\n")
		if !strings.Contains(got, "affiliation='member'") || !strings.Contains(got, ">before<") || !strings.Contains(got, ">after<") {
			t.Errorf("juliet got %s", got)
		}
		nurse := w.client("nurse@x/1")
		nurse.send("<presence to='r@muc.x/nurse'>%s</presence>", join)
		nurse.want("registration-required")
	})
}

func TestServiceShutDownSays332AndKeepsWhatIsStored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo := w.client("romeo@x/1")
		romeo.join("r", "romeo")
		romeo.configure("r", cfgPersistent, "1")
		w.store.slow = true
		romeo.send("<message to='r@muc.x' type='groupchat' id='last'><body>last</body></message>")
		closed := make(chan error, 1)
		go func() { closed <- w.s.Close(context.Background()) }()
		w.settle()
		romeo.want("type='unavailable'", "code='332'", "code='110'")
		select {
		case <-closed:
			t.Error("closed before the store has answered")
		default:
		}
		w.store.commit(nil)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if romeo.holds() != 0 {
			t.Error("an acknowledgement is held")
		}
		romeo.send("<presence to='r@muc.x/romeo'>%s</presence>", join)
		romeo.want(refusedWith("wait", "service-unavailable")...)
		w.store.slow = false
		w.start()
		romeo.join("r", "romeo")
	})
}

// TestRestartOnSQLite ends a service in the middle, as kill -9 does, and starts another one on the same file.
func TestRestartOnSQLite(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "rooms.db")
	open := func() store.Store {
		s, err := sqlstore.Open(context.Background(), url, sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	w := &world{t: t, clients: make(map[wire.Addr]*client)}
	start := func(rooms store.Rooms) {
		s, err := New(Config{Domain: "muc.x", Limits: Limits{Unlocked: true}}, w, rooms, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.s = s
	}
	await := func(c *client, texts ...string) string {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; {
			c.mu.Lock()
			for _, raw := range c.got {
				if holds(raw, texts) {
					c.mu.Unlock()
					return raw
				}
			}
			c.mu.Unlock()
			if time.Now().After(end) {
				t.Fatalf("%s does not get %q but %q", c.addr, texts, c.take())
			}
			time.Sleep(time.Millisecond)
		}
	}
	db := open()
	start(db)
	romeo := w.client("romeo@x/1")
	romeo.post("<presence to='r@muc.x/romeo'>%s</presence>", join)
	await(romeo, "110")
	romeo.post("<iq to='r@muc.x' type='set' id='c'><query xmlns='" + NSOwner + "'><x xmlns='" + NSData + "' type='submit'>" +
		"<field var='" + cfgPersistent + "'><value>1</value></field><field var='" + cfgName + "'><value>Verona</value></field>" +
		"<field var='" + cfgSecret + "'><value>key</value></field></x></query></iq>")
	await(romeo, "id='c'", "result")
	romeo.post("<iq to='r@muc.x' type='set' id='a'><query xmlns='" + NSAdmin + "'><item affiliation='outcast' jid='tybalt@x'><reason>bad &amp; mad</reason></item><item affiliation='admin' jid='juliet@x' nick='capulet'/></query></iq>")
	await(romeo, "id='a'", "result")
	romeo.post("<message to='r@muc.x' type='groupchat'><subject>Love</subject></message>")
	await(romeo, "<subject>Love")
	for _, text := range []string{"one", "two", "three"} {
		romeo.post("<message to='r@muc.x' type='groupchat' id='%s'><body>%s</body></message>", text, text)
		await(romeo, "<body>"+text)
	}
	occupantID := await(romeo, "<body>one")
	occupantID = occupantID[strings.Index(occupantID, "<occupant-id"):]
	occupantID = occupantID[:strings.Index(occupantID, "/>")]

	// The old service is left where it is, and only the file is given free: nothing is said or written in parting.
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	old := w.s
	db = open()
	defer db.Close()
	start(db)
	w.clients = make(map[wire.Addr]*client)
	tybalt, juliet := w.client("tybalt@x/1"), w.client("juliet@x/1")
	tybalt.post("<presence to='r@muc.x/tybalt'>%s</presence>", join)
	await(tybalt, "forbidden")
	juliet.post("<presence to='r@muc.x/capulet'>%s</presence>", join)
	await(juliet, "not-authorized") // the password
	juliet.post("<presence to='r@muc.x/capulet'><x xmlns='%s'><password>key</password></x></presence>", NSMUC)
	await(juliet, "<subject>Love</subject>", "<delay")
	got := strings.Join(juliet.take(), "\n")
	for _, text := range []string{"affiliation='admin'", "<body>one<", "<body>two<", "<body>three<", occupantID} {
		if !strings.Contains(got, text) {
			t.Errorf("%q is missing in\n%s", text, got)
		}
	}
	juliet.post("<iq to='r@muc.x' type='get' id='l'><query xmlns='" + NSAdmin + "'><item affiliation='outcast'/></query></iq>")
	await(juliet, "<item affiliation='outcast' jid='tybalt@x'><reason>bad &amp; mad</reason>")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, s := range []*Service{w.s, old} {
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}

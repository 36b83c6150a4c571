// Package records looks at what the binary keeps of calls, while the database and the process die.
package records

import (
	"context"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/jitsipeer"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
)

func TestMain(m *testing.M) { peertest.Main(m, func(testing.TB) {}) }

// patience is how long what must come may take on a machine that does other things too.
const patience = 60 * time.Second

func join(t testing.TB, s *peertest.Parley, nick string) *jitsipeer.Peer {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	p, err := jitsipeer.Join(ctx, jitsipeer.Options{
		URL: "ws://" + s.HTTP + "/xmpp-websocket", Room: "meeting", Nick: nick, Loopback: true, Restart: true,
		Audio: &jitsipeer.Audio{Level: 127},
	})
	if err != nil {
		t.Fatal(nick, err)
	}
	t.Cleanup(p.Leave)
	return p
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: it has not come to that", what)
		}
	}
}

// goesOn waits until a peer has got more frames of another one.
func goesOn(t testing.TB, p, of *jitsipeer.Peer) {
	t.Helper()
	source := of.Source('a', 0)
	before := p.Received(source).Frames
	eventually(t, "media go on", func() bool { return p.Received(source).Frames > before+10 })
}

// kept is what is stored of the room's members, by name; of somebody who is there twice, it fails.
func kept(t testing.TB, s store.Store) map[string]store.TalkSession {
	t.Helper()
	list, err := s.TalkSessions(context.Background(), store.TalkQuery{Room: "meeting@muc.localhost", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]store.TalkSession)
	for _, one := range list {
		if _, twice := byName[one.Name]; twice {
			t.Errorf("%s is there twice", one.Name)
		}
		byName[one.Name] = one
	}
	return byName
}

// pairs is what is stored of who talked with whom.
func pairs(t testing.TB, s store.Store, sessions map[string]store.TalkSession) (list []store.TalkSub) {
	t.Helper()
	var ids []string
	for _, one := range sessions {
		ids = append(ids, one.ID)
	}
	list, err := s.TalkSubs(context.Background(), ids)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The database dies in a call, then the server, both without a word: the media go on, and when both are back the records of the call
// are there, once, with what happened meanwhile.
func TestACallOutlivesDatabaseAndServer(t *testing.T) {
	pg := peertest.OwnPostgres(t)
	url := pg.Database(t)
	s := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off", "--store=" + url}})
	db, err := sqlstore.Open(context.Background(), url, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ann := join(t, s, "ann")
	bob := join(t, s, "bob")
	carl := join(t, s, "carl")
	goesOn(t, ann, bob)
	connected := func() bool {
		n := 0
		for _, p := range pairs(t, db, kept(t, db)) {
			if p.Connect == "SFU" && !p.Connected.IsZero() {
				n++
			}
		}
		return n == 6
	}
	eventually(t, "all pairs are connected by the bridge", connected)

	pg.Kill(t)
	carl.Leave()
	dan := join(t, s, "dan")
	goesOn(t, ann, dan)
	goesOn(t, dan, bob)
	dan.Leave()
	time.Sleep(time.Second) // some tries to deliver fail
	goesOn(t, bob, ann)
	pg.Start(t)
	eventually(t, "what happened meanwhile is stored", func() bool {
		all := kept(t, db)
		return len(all) == 4 && !all["carl"].Left.IsZero() && !all["dan"].Left.IsZero()
	})
	before := kept(t, db)
	if !before["ann"].Left.IsZero() || before["dan"].Protocol != "jitsi" || before["dan"].Talk != 0 || before["dan"].IP != "127.0.0.1" || before["dan"].Gate != 1 {
		t.Errorf("%+v", before)
	}
	for _, p := range pairs(t, db, map[string]store.TalkSession{"dan": before["dan"]}) {
		if p.Status != store.SubTalked || p.Connect != "SFU" || p.Finished.IsZero() || p.RemoteName != "ann" && p.RemoteName != "bob" {
			t.Errorf("%+v", p)
		}
	}

	s.Kill()
	s.Start()
	goesOn(t, ann, bob)
	bob.Leave()
	eventually(t, "bob has left", func() bool { return !kept(t, db)["bob"].Left.IsZero() })
	after := kept(t, db)
	for name, one := range before {
		if after[name].ID != one.ID || !after[name].Joined.Equal(one.Joined) {
			t.Errorf("%s was %+v and is %+v", name, one, after[name])
		}
	}
	if len(after) != 4 || !after["ann"].Left.IsZero() {
		t.Errorf("%+v", after)
	}
	for _, p := range pairs(t, db, map[string]store.TalkSession{"bob": after["bob"]}) {
		if p.RemoteName == "ann" && (p.Status != store.SubTalked || !p.Connected.Before(before["dan"].Left) || p.Seconds == 0) {
			t.Errorf("%+v", p)
		}
	}
	ann.Leave()
	s.Stop()
	if last := kept(t, db)["ann"]; last.Left.IsZero() || last.Subs == "" {
		t.Errorf("%+v", last)
	}
}

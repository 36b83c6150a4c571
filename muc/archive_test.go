package muc

import (
	"context"
	"strings"
	"sync"
	"testing"

	"parley/internal/store"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// clerk is an archive that says who asked it, and what it may show.
type clerk struct {
	mu    sync.Mutex // guards asked
	asked []string
	wait  chan struct{} // nil: it answers at once
	panic bool
	store *memory // where Find looks
	err   error   // of Find
}

func (c *clerk) Find(_ context.Context, room wire.Addr, id string) (store.Archived, error) {
	if c.wait != nil {
		<-c.wait
	}
	if c.err != nil {
		return store.Archived{}, c.err
	}
	for _, m := range c.store.said(string(room)) {
		if m.ID == id {
			return store.Archived{ID: m.ID, At: m.At, Peer: m.Sender, Author: m.Author, Tail: m.Tail}, nil
		}
	}
	return store.Archived{}, store.ErrNotFound
}

func (c *clerk) Answer(ctx context.Context, room wire.Addr, request *wire.Packet, real bool, send func(wire.Stanza)) {
	local, _ := request.Child()
	words := string(room) + " " + string(local)
	if real {
		words += " real"
	}
	c.mu.Lock()
	c.asked = append(c.asked, words)
	c.mu.Unlock()
	if c.wait != nil {
		<-c.wait
	}
	if c.panic {
		panic("on purpose")
	}
	send(request.Result(room, []byte("<fin xmlns='"+NSArchive+"'/>")))
}

func (c *clerk) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := strings.Join(c.asked, ", ")
	c.asked = nil
	return all
}

const mam = "<iq to='%s@muc.x' type='set' id='m'><query xmlns='" + NSArchive + "'/></iq>"

// XEP-0313 §6.1.2: who may enter may read, and who may see addresses is shown them.
func TestWhoMayReadTheArchive(t *testing.T) {
	const ok, forbidden, absent = "ok", "forbidden", "item-not-found"
	for _, c := range []struct {
		name   string
		config []string
		who    string // romeo is the owner; juliet is inside if she is named so
		inside bool
		admin  string // what romeo makes of her
		claims *token.Claims
		want   string
		real   bool
	}{
		{name: "the owner", who: "romeo@x/1", want: ok, real: true},
		{name: "the owner's other session, outside", who: "romeo@x/2", want: ok, real: true},
		{name: "an occupant", who: "juliet@x/1", inside: true, want: ok},
		{name: "who could enter a public room", config: []string{cfgPublic, "1"}, who: "juliet@x/1", want: ok},
		{name: "who does not know of a hidden room", who: "juliet@x/1", want: absent},
		{name: "a member of a hidden room", who: "juliet@x/1", admin: "member", want: ok},
		{name: "an admin", who: "juliet@x/1", admin: "admin", want: ok, real: true},
		{name: "an outcast", config: []string{cfgPublic, "1"}, who: "juliet@x/1", admin: "outcast", want: forbidden},
		{name: "no member, of a room for members", config: []string{cfgPublic, "1", cfgMembers, "1"}, who: "juliet@x/1", want: forbidden},
		{name: "a member, of a room for members", config: []string{cfgPublic, "1", cfgMembers, "1"}, who: "juliet@x/1", admin: "member", want: ok},
		{name: "who has not shown the password", config: []string{cfgPublic, "1", cfgSecret, "s"}, who: "juliet@x/1", want: forbidden},
		{name: "a member who has not shown the password", config: []string{cfgPublic, "1", cfgSecret, "s"}, who: "juliet@x/1", admin: "member", want: forbidden},
		{name: "an admin who has not shown the password", config: []string{cfgPublic, "1", cfgSecret, "s"}, who: "juliet@x/1", admin: "admin", want: ok, real: true},
		{name: "a guest inside", config: []string{cfgPublic, "1"}, who: "0f3a@guest.x/1", inside: true, want: ok},
		{name: "a guest outside", config: []string{cfgPublic, "1"}, who: "0f3a@guest.x/1", want: forbidden},
		{name: "a token for another room", config: []string{cfgPublic, "1"}, who: "juliet@x/1", claims: &token.Claims{Room: "other"}, want: forbidden},
		{name: "an occupant of a non-anonymous room", config: []string{cfgWhois, "anyone"}, who: "juliet@x/1", inside: true, want: ok, real: true},
		{name: "an occupant of a room that shows stand-ins", config: []string{cfgWhois, "anyone", cfgReal, "0"}, who: "juliet@x/1", inside: true, want: ok},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				k := &clerk{}
				w.s.SetArchive(k)
				romeo := w.client("romeo@x/1")
				romeo.join("r", "romeo")
				romeo.configure("r", append([]string{cfgPersistent, "1"}, c.config...)...)
				who := romeo
				if c.who != "romeo@x/1" {
					who = w.client(c.who)
					who.claims = c.claims
				}
				if c.admin != "" {
					romeo.admin("r", "<item affiliation='"+c.admin+"' jid='"+string(who.addr.Bare())+"'/>")
				}
				if c.inside {
					who.join("r", "juliet")
				}
				who.take()
				who.send(mam, "r")
				asked := k.take()
				if c.want != ok {
					who.want("id='m'", "type='error'", "<"+c.want+" ")
					if asked != "" {
						t.Errorf("the archive was asked: %s", asked)
					}
					return
				}
				who.want("id='m'", "from='r@muc.x'", "type='result'", "<fin ")
				want := "r@muc.x query"
				if c.real {
					want += " real"
				}
				if asked != want {
					t.Errorf("asked %q, want %q", asked, want)
				}
			})
		})
	}
}

// A moderator sees addresses in a room that shows them to moderators.
func TestModeratorReadsAddresses(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		k := &clerk{}
		w.s.SetArchive(k)
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		romeo.configure("r", cfgPersistent, "1")
		juliet.join("r", "juliet")
		romeo.admin("r", "<item nick='juliet' role='moderator'/>")
		juliet.take()
		juliet.send(mam, "r")
		if got := k.take(); got != "r@muc.x query real" {
			t.Errorf("asked %q", got)
		}
		// In one that shows stand-ins to everybody, a moderator sees these.
		romeo.configure("r", cfgWhois, "anyone", cfgReal, "0")
		juliet.send(mam, "r")
		if got := k.take(); got != "r@muc.x query" {
			t.Errorf("with stand-ins: asked %q", got)
		}
	})
}

// Rooms that the store does not keep have no archive, and do not say so; nor have those of a service without.
func TestWhichRoomsHaveArchives(t *testing.T) {
	const info = "<iq to='r@muc.x' type='get' id='d'><query xmlns='" + NSDiscoInfo + "'/></iq>"
	for _, c := range []struct {
		name                string
		archive, persistent bool
		want                bool
	}{
		{"a persistent room", true, true, true},
		{"a temporary room", true, false, false},
		{"a persistent room of a service without archives", false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				k := &clerk{}
				if c.archive {
					w.s.SetArchive(k)
				}
				romeo := w.client("romeo@x/1")
				romeo.join("r", "romeo")
				romeo.configure("r", cfgPersistent, map[bool]string{false: "0", true: "1"}[c.persistent])
				romeo.send(info)
				said := romeo.want("id='d'", "type='result'")
				for _, feature := range []string{NSArchive, NSArchive + "#extended"} {
					if got := strings.Contains(said, "<feature var='"+feature+"'/>"); got != c.want {
						t.Errorf("%s is announced: %v", feature, got)
					}
				}
				romeo.send(mam, "r")
				romeo.send("<iq to='r@muc.x' type='get' id='n'><metadata xmlns='" + NSArchive + "'/></iq>")
				romeo.send("<iq to='r@muc.x' type='get' id='o'><prefs xmlns='" + NSArchive + "'/></iq>")
				got := strings.Join(romeo.take(), "")
				if !strings.Contains(got, "id='o' type='error'><error by='r@muc.x' type='cancel'><service-unavailable ") {
					t.Errorf("preferences of a room: %s", got)
				}
				if c.want && (strings.Count(got, "type='result'") != 2 || k.take() != "r@muc.x query real, r@muc.x metadata real") {
					t.Errorf("got %s", got)
				}
				if !c.want && (strings.Count(got, "<service-unavailable ") != 3 || k.take() != "") {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

// What is stored has the real address; the subject is there, and does not come twice to newcomers.
func TestWhatTheArchiveIsGiven(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		romeo.send("<message to='r@muc.x' type='groupchat'><body>before</body></message>")
		romeo.configure("r", cfgPersistent, "1")
		romeo.send("<message to='r@muc.x' type='groupchat'><subject>love</subject></message>")
		subject := romeo.want("<subject>love")
		juliet.join("r", "juliet")
		juliet.send("<message to='r@muc.x' type='groupchat'><body>after</body></message>")
		juliet.send("<message to='r@muc.x/romeo' type='chat'><body>private</body></message>")
		var got []string
		for _, m := range w.store.rooms["r@muc.x"].messages {
			words := m.Sender + " " + m.Author
			if m.Subject {
				words += " subject"
			}
			got = append(got, words)
			if m.Subject && !strings.Contains(subject, "by='r@muc.x' id='"+m.ID+"'") {
				t.Errorf("the subject is stored as %s and was told as %s", m.ID, subject)
			}
		}
		if want := "r@muc.x/romeo romeo@x/1, r@muc.x/romeo romeo@x/1 subject, r@muc.x/juliet juliet@x/1"; strings.Join(got, ", ") != want {
			t.Errorf("stored %q", got)
		}
		// Another process that loads the room gives newcomers the subject once, behind the history.
		w.start()
		juliet.take()
		juliet.send("<presence to='r@muc.x/juliet'><x xmlns='" + NSMUC + "'/></presence>")
		all := strings.Join(juliet.take(), "")
		before, after, subjectAt := strings.Index(all, "<body>before"), strings.Index(all, "<body>after"), strings.Index(all, "<subject>love")
		if strings.Count(all, "<subject>") != 1 || before < 0 || after < before || subjectAt < after {
			t.Errorf("got %s", all)
		}
	})
}

func TestArchiveAnswersAreBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		k := &clerk{wait: make(chan struct{})}
		w.s.SetArchive(k)
		romeo := w.client("romeo@x/1")
		romeo.join("r", "romeo")
		romeo.configure("r", cfgPersistent, "1")
		romeo.take()
		for range mostReading + 3 {
			romeo.post(mam, "r")
		}
		w.settle()
		if got := romeo.take(); len(got) != 3 || !strings.Contains(got[0], "<resource-constraint ") {
			t.Errorf("meanwhile: %q", got)
		}
		// The room goes on.
		romeo.send("<message to='r@muc.x' type='groupchat'><body>x</body></message>")
		romeo.want("<body>x")
		close(k.wait)
		w.settle()
		if got := romeo.take(); len(got) != mostReading {
			t.Errorf("%d answers", len(got))
		}
		k.panic = true
		romeo.send(mam, "r")
		k.panic = false
		romeo.send(mam, "r")
		romeo.want("type='result'")
		if n := w.count("panic"); n != 1 {
			t.Errorf("%d panics are counted", n)
		}
	})
}

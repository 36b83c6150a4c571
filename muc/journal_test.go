package muc

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"parley/internal/limit"
	"parley/xmpp/wire"
)

// tape is a journal in memory.
type tape struct {
	mu      sync.Mutex // guards what follows
	records [][]byte
	open    int // groups
	loose   int // records outside of a group
}

func (j *tape) Append(record []byte) { j.AppendShared(record, nil) }

func (j *tape) AppendShared(head, tail []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.open == 0 {
		j.loose++
	}
	j.records = append(j.records, slices.Concat(head, tail))
}

func (j *tape) Begin() {
	j.mu.Lock()
	j.open++
	j.mu.Unlock()
}

func (j *tape) End() {
	j.mu.Lock()
	j.open--
	j.mu.Unlock()
}

func (j *tape) all() [][]byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.records)
}

// write gives the world's service a journal.
func (w *world) write() *tape {
	j := &tape{}
	w.s.Journal(j, func(wire.Addr) bool { return true })
	return j
}

// again is the world after the process was killed and started again, with the same store and the clients that live.
func (w *world) again(records [][]byte, lives func(wire.Addr) bool, change ...func(*Config)) (*world, *tape) {
	w.t.Helper()
	next := &world{t: w.t, clients: make(map[wire.Addr]*client), store: w.store.clone()}
	next.start(change...)
	j := &tape{}
	next.s.Journal(j, lives)
	for _, record := range records {
		if err := next.s.Replay(record); err != nil {
			w.t.Fatalf("%v: %q", err, record)
		}
	}
	for _, c := range w.clients {
		if lives(c.addr) {
			other := next.client(string(c.addr))
			other.guest, other.claims = c.guest, c.claims
		}
	}
	next.s.Replayed()
	synctest.Wait()
	return next, j
}

func all(wire.Addr) bool { return true }

func (m *memory) clone() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := newMemory()
	next.epochs = maps.Clone(m.epochs)
	for addr, s := range m.rooms {
		next.rooms[addr] = &stored{s.room, maps.Clone(s.list), slices.Clone(s.messages)}
	}
	return next
}

// dump spells out everything that a room is.
func (r *room) dump() string {
	if r == nil || len(r.byAddr) == 0 {
		return "nobody is there"
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	sorted := func(what string, m map[string]string) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			p("%s %s %s", what, k, m[k])
		}
	}
	p("phase %d conference %v stored %v owner rule %d", r.phase, r.conference, r.stored, r.ownership)
	p("secret %x created %d by %s counted for %s unlock %d", r.secret, r.created.UnixNano(), r.creator, r.maker, nanos(r.unlockAt))
	p("%+v", r.settings)
	m := make(map[string]string)
	for a, s := range r.standings {
		m[string(a)] = fmt.Sprint(s)
	}
	sorted("standing", m)
	m = make(map[string]string)
	for k, a := range r.reserved {
		m[k] = string(a)
	}
	sorted("reserved", m)
	m = make(map[string]string)
	for a := range r.lent {
		m[string(a)] = ""
	}
	sorted("lent", m)
	for _, o := range r.occupants {
		p("occupant %d %s %s key %s looks %s %s %s %s %s guest %v remote %v %d dirty %v listed %v focus %v %d", o.number, o.nick, o.addr, o.key, o.skeleton,
			o.bare, o.id, o.affiliation, o.role, o.guest, o.remote, o.joined.UnixNano(), o.dirty, o.listed, r.isFocus(o), len(o.sessions))
		if r.byNick[o.key] != o {
			p("and not to be found")
		}
		for _, s := range o.sessions {
			p("session %d %s %q %q jitsi %v bot %v shown %v knows %v", s.number, s.addr, s.attrs, s.children, s.jitsi, s.bot, o.shown == s, r.knows(s))
			if r.byAddr[s.addr] != s || s.occupant != o {
				p("and not to be found")
			}
		}
	}
	for _, s := range r.sessions {
		p("is told %s", s.addr)
	}
	if r.focus != nil {
		p("focus %s met %v", r.focus.addr, r.focus.met)
	}
	p("nicks %d addresses %d", len(r.byNick), len(r.byAddr))
	p("subject %q %q %d", r.subject.text, r.subject.message.Tail, nanos(r.subject.at))
	for _, h := range r.history {
		p("said %s %d %s %q", h.id, h.at.UnixNano(), h.from, h.stanza.Tail)
	}
	p("remembered %d info %v", r.remembered, r.info)
	for i, times := range []map[wire.Addr]time.Time{r.jitsi, r.invited} {
		m = make(map[string]string)
		for a, at := range times {
			m[string(a)] = fmt.Sprint(at.UnixNano())
		}
		sorted([]string{"jitsi", "invited"}[i], m)
	}
	m = make(map[string]string)
	for q, req := range r.asked.open {
		m[fmt.Sprint(q)] = fmt.Sprint(req)
	}
	sorted("asked", m)
	m = make(map[string]string)
	for a, list := range r.asked.of {
		m[string(a)] = fmt.Sprint(list)
	}
	sorted("asked by", m)
	return b.String()
}

// dump is what a room is, read while nothing happens in it.
func (w *world) dump(addr wire.Addr) string {
	w.s.mu.Lock()
	c := w.s.cells[addr]
	w.s.mu.Unlock()
	if c == nil {
		return (*room)(nil).dump()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.room.dump()
}

// knows lists of whom a session has the last presence.
func (r *room) knows(s *session) []bool {
	var list []bool
	for _, o := range r.occupants {
		list = append(list, s.since >= o.changed)
	}
	return list
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

var occupantID = regexp.MustCompile(`id='[A-Za-z0-9_-]{24}'`)

var randomID = regexp.MustCompile(`id='[A-Za-z0-9_-]{22}'`)

// heard is what all clients got, without what is random.
func heard(all []*client) string {
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, "%s hears:\n", c.addr)
		for _, raw := range c.take() {
			fmt.Fprintln(&b, randomID.ReplaceAllString(raw, "id='random'"))
		}
	}
	return b.String()
}

// inOrder is what all clients got, sorted.
func inOrder(all []*client) string {
	for _, c := range all {
		c.mu.Lock()
		slices.Sort(c.got)
		c.mu.Unlock()
	}
	return heard(all)
}

// chatter is what the model does beside the moves of perform.
func chatter(w *world, all []*client, m move) {
	c := all[m.who]
	switch m.what - moves {
	case 0, 1:
		c.send("<message to='r@muc.x' type='groupchat' id='g%d'><body>%d</body></message>", m.how, m.how)
	case 2:
		c.send("<message to='r@muc.x' type='groupchat'><subject>about %d</subject></message>", m.how)
	case 3:
		c.send("<message to='r@muc.x/n%d' type='chat'><body>psst %d</body></message>", m.whom, m.how)
	case 4:
		c.send("<message to='r@muc.x'><x xmlns='"+NSUser+"'><invite to='q%d@x'/></x></message>", m.how%3)
	case 5, 6:
		c.send("<iq to='r@muc.x/n%d' type='get' id='q%d'><query xmlns='a'/></iq>", m.whom, m.how%4)
	case 7:
		c.send("<iq to='r@muc.x/n%d' type='result' id='q%d'/>", m.whom, m.how%4)
	case 8:
		(&Seat{service: w.s, room: "r@muc.x"}).Present(fmt.Appendf(nil, "<p>%d</p>", m.how))
		w.settle()
	case 9:
		(&Seat{service: w.s, room: "r@muc.x"}).SetInfo(Field{Name: fmt.Sprint("f", m.whom), Value: fmt.Sprint(m.how)})
		w.settle()
	case 10:
		(&Seat{service: w.s, room: "r@muc.x"}).Ask(fmt.Sprint("n", m.whom), "set", fmt.Sprint("ask", m.how), nil)
		w.settle()
	case 11:
		if m.how == 0 {
			(&Seat{service: w.s, room: "r@muc.x"}).Leave()
			w.settle()
		}
	case 12:
		c.send("<iq to='r@muc.x' type='set' id='r'><query xmlns='"+NSRegister+"'><x xmlns='"+NSData+"' type='submit'><field var='FORM_TYPE'><value>"+NSEnlist+
			"</value></field><field var='%s'><value>n%d</value></field></x></query></iq>", regNick, m.whom)
	default:
		perform(w, all, m)
		return
	}
	if m.pause {
		w.pass(200 * time.Millisecond)
	}
}

const talk = 13

// TestARebuiltRoomIsTheSame plays games at random, kills the process after each, and has the next thing happen both in the
// world where it was not killed and in the one where the rooms were rebuilt: the room is the same, and so is what everybody
// hears. The journal is once what was appended, once what a snapshot says, and once a snapshot in the middle.
func TestARebuiltRoomIsTheSame(t *testing.T) {
	number := func(n int) *rapid.Generator[int] { return rapid.IntRange(0, n-1) }
	one := rapid.Custom(func(t *rapid.T) move {
		return move{number(players).Draw(t, "who"), number(players).Draw(t, "whom"), number(moves+talk).Draw(t, "what"), number(20).Draw(t, "how"), rapid.Bool().Draw(t, "pause")}
	})
	rebuilt := 0
	rapid.Check(t, func(rt *rapid.T) {
		game := rapid.SliceOfN(one, 10, 60).Draw(rt, "game")
		coalesce := rapid.SampledFrom([]int{1, 100}).Draw(rt, "coalesce")
		turned := rapid.IntRange(-1, len(game)).Draw(rt, "turned")
		devices := rapid.Bool().Draw(rt, "devices")
		change := func(c *Config) {
			c.Limits.CoalesceAbove = coalesce
			c.Limits.Rename = limit.Rate{PerSecond: 1e6, Burst: 1e6}
			c.Limits.Invites = limit.Rate{PerSecond: 1e6, Burst: 1e6}
		}
		var wrong error
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, change)
			j := w.write()
			var people []*client
			for i := range players {
				who := i
				if devices {
					who = i / 2 * 2 // two sessions of one account
				}
				people = append(people, w.client(fmt.Sprintf("p%d@x/%d", who, i)))
			}
			for n, m := range game[:len(game)-1] {
				if devices && m.what <= 5 {
					m.who = m.who / 2 * 2
					people[m.who+n%2%(players-m.who)].send("<presence to='r@muc.x/n%d'>%s</presence>", m.who, join)
					continue
				}
				chatter(w, people, m)
				if n == turned {
					j.mu.Lock()
					j.records = nil
					j.mu.Unlock()
					w.s.Snapshot(func(record []byte) { j.Append(bytes.Clone(record)) })
				}
			}
			heard(people)
			j.mu.Lock()
			if j.open != 0 || turned < 0 && j.loose != 0 {
				wrong = fmt.Errorf("%d groups are open, %d records are in none", j.open, j.loose)
			}
			j.mu.Unlock()
			records := j.all()
			if turned == len(game) {
				records = nil
				w.s.Snapshot(func(record []byte) { records = append(records, bytes.Clone(record)) })
			}
			next, _ := w.again(records, all, change)
			var others []*client
			for _, c := range people {
				others = append(others, next.clients[c.addr])
			}
			if len(next.events) > 1 {
				rebuilt++
			}
			was, is := w.dump("r@muc.x"), next.dump("r@muc.x")
			if was != is && wrong == nil {
				wrong = fmt.Errorf("the room was\n%s\nand is\n%s", was, is)
			}
			if got := heard(others); strings.Contains(got, "<") && wrong == nil {
				wrong = fmt.Errorf("the rebuilding is heard of:\n%s", got)
			}
			last := game[len(game)-1]
			last.pause = false
			w.pass(200 * time.Millisecond) // for presence that was put off, in whatever order
			if want, got := inOrder(people), inOrder(others); want != got && wrong == nil {
				wrong = fmt.Errorf("what was put off was without the kill\n%s\nafter it\n%s", want, got)
			}
			chatter(w, people, last)
			chatter(next, others, last)
			w.pass(200 * time.Millisecond)
			want, got := heard(people), heard(others)
			if r := w.roomState("r@muc.x"); r != nil && !strings.Contains(was, fmt.Sprintf("%x", r.secret)) { // a new room
				want, got = occupantID.ReplaceAllString(want, ""), occupantID.ReplaceAllString(got, "")
			}
			if want != got && wrong == nil {
				wrong = fmt.Errorf("%+v\nwithout the kill\n%s\nafter it\n%s", last, want, got)
			}
			for _, c := range people {
				if was, is := w.s.index.in(c.addr, "r@muc.x"), next.s.index.in(c.addr, "r@muc.x"); was != is && wrong == nil {
					wrong = fmt.Errorf("%s is in the index: %v, was %v", c.addr, is, was)
				}
			}
			w.close()
			next.close()
		})
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
	if rebuilt == 0 {
		t.Error("no room was ever rebuilt")
	}
}

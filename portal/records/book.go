package records

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"parley/internal/store"
)

// Member is who has joined a room.
type Member struct {
	Room    string // bare address
	Key     string // what the door knows it by, unique in the room: the full address of its occupant
	ID      string // of its session, a ULID; "": one is made of what tells it from others
	Door    string // jitsi, xmpp, roomserver, ...
	App     string
	User    string
	Name    string
	Account string // only of who has surely logged in
	Talk    int
	IP      netip.Addr
	OS      string
	Browser string
	SDK     string
	Joined  time.Time
	Client  time.Time // when it joined, by its own clock

	// Pairs says that the door itself says, by Paired, with whom of its own a member has sub-sessions.
	Pairs bool
}

// Countries tells the country of an address (ISO 3166-1, two letters), "" if it does not know it.
type Countries interface {
	Country(a netip.Addr) string
}

// Book knows who is in calls at present. Its methods are safe for concurrent use, return at once, and ignore what they do not know.
type Book struct {
	cfg  Config
	node string
	in   Countries   // nil: none is known
	out  func(entry) // called with mu held, so that records keep their order: it calls nothing and does not wait
	now  func() time.Time

	mu     sync.Mutex // guards what follows
	rooms  map[string]*room
	open   map[string]store.TalkSession // of the process before, that nobody has taken up yet, by id
	pairs  map[string]store.TalkSub     // the same
	past   map[string][]string          // ids of those that ended, by session
	failed map[failure]int64            // joins since the last tick
}

type room struct {
	gate    int
	members map[string]*member // by key
}

type member struct {
	store.TalkSession
	key    string
	door   bool // says its pairs by itself
	linked bool // its media link to the bridge is made
	idle   bool // nothing comes to the bridge from it
	relay  bool // our relay carries for it
	subs   map[*member]*store.TalkSub
	order  []string // ids of all it has had
}

type failure struct{ room, door, cause string }

// failures is how many kinds of failed joins are told apart between two ticks: what is beyond is counted together.
const failures = 1000

func newBook(cfg Config, node string, in Countries, now func() time.Time, out func(entry)) *Book {
	return &Book{cfg: cfg, node: node, in: in, out: out, now: now, rooms: make(map[string]*room), failed: make(map[failure]int64)}
}

// longest text of a client that is kept, in bytes.
const longest = 256

// clean makes a client's text fit for the store.
func clean(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
	if len(s) > longest {
		s = s[:longest]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return s
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

// country is that of an address.
func (b *Book) country(a netip.Addr) string {
	if b.in == nil || !a.IsValid() {
		return ""
	}
	return b.in.Country(a.Unmap())
}

// milli is a time as it is stored.
func milli(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}

// Joined says that somebody is in a room.
func (b *Book) Joined(m Member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := milli(b.now())
	if m.Joined.IsZero() || m.Joined.After(now) {
		m.Joined = now
	}
	m.Joined = milli(m.Joined)
	if m.ID == "" {
		m.ID = idOf(m.Joined, b.node, m.Room, m.Key, m.Joined.String())
	}
	r := b.rooms[m.Room]
	if r == nil {
		r = &room{members: make(map[string]*member)}
		b.rooms[m.Room] = r
	}
	if old := r.members[m.Key]; old != nil {
		if old.ID == m.ID {
			return
		}
		b.leave(r, old, now, true)
	}
	n := &member{key: m.Key, door: m.Pairs, subs: make(map[*member]*store.TalkSub), TalkSession: store.TalkSession{
		ID: m.ID, App: clean(m.App), User: clean(m.User), Name: clean(m.Name), Account: m.Account, Room: m.Room, Talk: talk(m.Talk),
		IP: address(m.IP), Country: b.country(m.IP), Created: m.Joined, Joined: m.Joined, OS: clean(m.OS), Browser: clean(m.Browser), SDK: clean(m.SDK),
		Protocol: m.Door, Node: b.node, Gate: r.gate, ClientAt: milli(m.Client),
	}}
	if before, known := b.open[m.ID]; known {
		delete(b.open, m.ID)
		n.order = b.past[m.ID]
		n.Gate = max(n.Gate, before.Gate)
		if n.IP == "" {
			n.IP = before.IP
		}
		if n.IP == before.IP && n.Country == "" {
			n.Country = before.Country
		}
	}
	others := make([]*member, 0, len(r.members))
	for _, o := range r.members {
		if !o.door || !n.door {
			others = append(others, o)
		}
	}
	crowded := len(r.members) >= b.cfg.Pairs
	r.members[m.Key] = n
	b.out(entry{Session: new(n.TalkSession)})
	if crowded {
		return
	}
	slices.SortFunc(others, func(x, y *member) int { return strings.Compare(x.ID, y.ID) })
	for _, o := range others {
		at := n.Joined
		if o.Joined.After(at) {
			at = o.Joined
		}
		b.pair(n, o, idOf(at, n.ID, o.ID), idOf(at, o.ID, n.ID), netip.Addr{}, at)
	}
}

func talk(n int) int {
	if n < TalkAudio || n > TalkNone {
		return TalkBoth
	}
	return n
}

// pair begins the sub-sessions of two members.
func (b *Book) pair(x, y *member, xy, yx string, ice netip.Addr, at time.Time) {
	connected := false
	for _, s := range []struct {
		of, with *member
		id       string
	}{{x, y, xy}, {y, x, yx}} {
		p := &store.TalkSub{ID: s.id, Session: s.of.ID, Status: store.SubOpen, RemoteUser: s.with.User, RemoteName: s.with.Name, RemoteIP: s.with.IP, RemoteIn: s.with.Country,
			ICE: address(ice), ICEIn: b.country(ice), Begun: at}
		if before, known := b.pairs[s.id]; known {
			delete(b.pairs, s.id)
			p.Begun, p.Connected, p.Connect, p.Claimed = before.Begun, before.Connected, before.Connect, before.Claimed
			if connected = !p.Connected.IsZero(); connected && p.Connect == Bridged {
				s.of.linked, s.with.linked = true, true // or it would not be so
			}
		}
		s.of.subs[s.with] = p
		s.of.order = append(s.of.order, s.id)
		b.out(entry{Sub: new(*p)})
	}
	if !connected {
		b.meet(x, y)
	}
}

// meet connects two members who both have their media link to the bridge.
func (b *Book) meet(x, y *member) {
	if !x.linked || !y.linked {
		return
	}
	now := milli(b.now())
	for _, s := range [][2]*member{{x, y}, {y, x}} {
		p := s[0].subs[s[1]]
		if p == nil || p.Connect == Bridged {
			continue
		}
		if p.Connected.IsZero() {
			p.Connected = now
		}
		p.Connect = Bridged
		b.out(entry{Sub: new(*p)})
	}
}

// find returns a member and its room.
func (b *Book) find(at, key string) (*room, *member) {
	r := b.rooms[at]
	if r == nil {
		return nil, nil
	}
	return r, r.members[key]
}

// Left says that a member is not in the room any more; timeout: nothing came of it any more.
func (b *Book) Left(at, key string, timeout bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, m := b.find(at, key); m != nil {
		b.leave(r, m, milli(b.now()), timeout)
	}
}

func (b *Book) leave(r *room, m *member, now time.Time, timeout bool) {
	others := make([]*member, 0, len(m.subs))
	for o := range m.subs {
		others = append(others, o)
	}
	slices.SortFunc(others, func(x, y *member) int { return strings.Compare(x.ID, y.ID) })
	for _, o := range others {
		b.part(m, o, now, timeout)
	}
	m.Left, m.TimeOut, m.Subs = now, timeout, listed(m.order)
	b.out(entry{Session: new(m.TalkSession)})
	delete(r.members, m.key)
	if len(r.members) == 0 {
		delete(b.rooms, m.Room)
	}
}

// part ends the sub-sessions of two members.
func (b *Book) part(x, y *member, now time.Time, timeout bool) {
	for _, s := range [][2]*member{{x, y}, {y, x}} {
		p := s[0].subs[s[1]]
		if p == nil {
			continue
		}
		delete(s[0].subs, s[1])
		b.finish(&s[0].TalkSession, p, now, timeout)
	}
}

// finish ends a sub-session.
func (b *Book) finish(of *store.TalkSession, p *store.TalkSub, now time.Time, timeout bool) {
	p.Finished = now
	switch {
	case p.Connected.IsZero() && timeout:
		p.Status = store.SubNeverTimeout
	case p.Connected.IsZero():
		p.Status = store.SubNever
	default:
		if p.Status = store.SubTalked; timeout {
			p.Status = store.SubTalkedTill
		}
		p.Seconds = max(int64(now.Sub(p.Connected)/time.Second), 0)
		p.Cost = b.cfg.cost(of, p)
	}
	b.out(entry{Sub: new(*p)})
}

// Paired says that two members of a door that says so itself have new sub-sessions, with these ids: ab is what a has with c, ba the
// other. Those that they had have timed out.
func (b *Book) Paired(at, a, c, ab, ba string, ice netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, x := b.find(at, a)
	_, y := b.find(at, c)
	if x == nil || y == nil || x == y {
		return
	}
	now := milli(b.now())
	b.part(x, y, now, true)
	if len(r.members) <= max(b.cfg.Pairs, 1) {
		b.pair(x, y, ab, ba, ice, now)
	}
}

// Begun says that a member has now begun to connect to another one: its offer was accepted, or its answer relayed.
func (b *Book) Begun(at, from, to string) {
	b.change(at, from, to, func(p *store.TalkSub, now time.Time) bool {
		fresh := p.Connected.IsZero()
		if fresh {
			p.Begun = now
		}
		return fresh
	})
}

// Connected says that a member says that it is connected to another one, and by which way.
func (b *Book) Connected(at, from, to, way string) {
	b.mu.Lock()
	_, x := b.find(at, from)
	_, y := b.find(at, to)
	relayed := x != nil && x.relay || y != nil && y.relay
	b.mu.Unlock()
	b.change(at, from, to, func(p *store.TalkSub, now time.Time) bool {
		if p.Connected.IsZero() {
			p.Connected = now
		}
		switch p.Claimed = clean(way); {
		case p.Connect == Bridged || p.Connect == Relayed: // we know better
		case relayed:
			p.Connect = Relayed
		case among(way, Relayed, Direct):
			p.Connect = way
		default:
			p.Connect = Unknown
		}
		return true
	})
}

func (b *Book) change(at, from, to string, do func(*store.TalkSub, time.Time) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, x := b.find(at, from)
	_, y := b.find(at, to)
	if x == nil || y == nil {
		return
	}
	if p := x.subs[y]; p != nil && do(p, milli(b.now())) {
		b.out(entry{Sub: new(*p)})
	}
}

// Sub returns the id of the sub-session that a member has with another one.
func (b *Book) Sub(at, from, to string) (id string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, x := b.find(at, from)
	_, y := b.find(at, to)
	if x == nil || y == nil || x.subs[y] == nil {
		return "", false
	}
	return x.subs[y].ID, true
}

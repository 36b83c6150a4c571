package records

import (
	"slices"
	"strings"
	"time"

	"parley/internal/store"
)

// What the server itself knows of the way that media take: from the focus, the bridge and the relay.

// Gate says which gate a room has: 0 p2p, 1 sfu, 2 mcu.
func (b *Book) Gate(at string, gate int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rooms[at]
	if r == nil || r.gate == gate {
		return
	}
	r.gate = gate
	for _, m := range r.members {
		m.Gate = max(m.Gate, gate)
		if gate == 0 || !m.linked {
			continue
		}
		for o := range m.subs {
			b.meet(m, o)
		}
	}
	b.sort(r)
}

// Talks says what a member sends, beyond what it has sent before.
func (b *Book) Talks(at, key string, audio, video bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, m := b.find(at, key)
	if m == nil {
		return
	}
	audio = audio || m.Talk == TalkAudio || m.Talk == TalkBoth
	video = video || m.Talk == TalkVideo || m.Talk == TalkBoth
	switch {
	case audio && video:
		m.Talk = TalkBoth
	case video:
		m.Talk = TalkVideo
	case audio:
		m.Talk = TalkAudio
	}
}

// Linked says that a member's media link to the bridge is made. Who both have one are connected, by the bridge.
func (b *Book) Linked(at, key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, m := b.find(at, key)
	if m == nil || m.linked {
		return
	}
	m.linked = true
	for _, o := range r.members {
		if o != m && !(r.gate == 0 && o.door && m.door) {
			b.meet(m, o)
		}
	}
}

// Sends says whether media of a member arrive at the bridge. While two members have a room without the bridge, those of whom none
// do talk to one another by another way.
func (b *Book) Sends(at, key string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, m := b.find(at, key); m != nil && m.idle == on {
		m.idle = !on
		b.sort(r)
	}
}

// Direct reports that there are members who may talk to one another without the bridge.
func (b *Book) Direct() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rooms {
		if r.gate == 0 && len(r.members) > 1 {
			return true
		}
	}
	return false
}

// RelayUsed says that our relay carries media of a member.
func (b *Book) RelayUsed(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rooms {
		if m := r.members[key]; m != nil && !m.relay {
			m.relay = true
			b.sort(r)
		}
	}
}

// sort finds out by which way the members of a room are connected now.
func (b *Book) sort(r *room) {
	for _, m := range r.members {
		for o, p := range m.subs {
			way := p.Connect
			switch {
			case p.Connected.IsZero():
			case r.gate > 0 && m.linked && o.linked:
				way = Bridged
			case r.gate > 0:
			case way == Bridged && !(m.idle && o.idle):
			case m.relay || o.relay:
				way = Relayed
			case way == Bridged:
				way = Direct
			}
			if way != p.Connect {
				p.Connect = way
				b.out(entry{Sub: new(*p)})
			}
		}
	}
}

// Quality keeps a report of a member on what it has with another one. Its ids and time are set here.
func (b *Book) Quality(at, from, to string, q store.TalkQuality) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, x := b.find(at, from)
	_, y := b.find(at, to)
	if x == nil || y == nil || x.subs[y] == nil {
		return
	}
	q.At = milli(b.now())
	q.ID, q.Sub, q.Remote, q.SendCodec, q.RecvCodec = newID(q.At), x.subs[y].ID, y.User, clean(q.SendCodec), clean(q.RecvCodec)
	b.out(entry{Quality: &q})
}

// Verdict keeps what the bridge finds of a member's way.
func (b *Book) Verdict(at, key, part string, loss float64, delay, rate int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, m := b.find(at, key); m != nil {
		now := milli(b.now())
		b.out(entry{Verdict: &store.TalkVerdict{ID: newID(now), Session: m.ID, At: now, Part: clean(part), Loss: max(0, min(loss, 1)), Delay: delay, Rate: rate}})
	}
}

// Told keeps what a member reports of itself; data is JSON.
func (b *Book) Told(at, key string, result int64, data string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, m := b.find(at, key); m != nil {
		now := milli(b.now())
		b.out(entry{Note: &store.TalkNote{ID: newID(now), At: now, Session: m.ID, Room: m.Room, Door: m.Protocol, Count: 1, Result: result, Data: data}})
	}
}

// Failed counts a join that came to nothing.
func (b *Book) Failed(at, door, cause string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := failure{clean(at), clean(door), clean(cause)}
	if _, known := b.failed[f]; !known && len(b.failed) >= failures {
		f.room = ""
	}
	if _, known := b.failed[f]; !known && len(b.failed) >= failures+100 {
		f = failure{cause: "other"}
	}
	b.failed[f]++
}

// tick writes the failed joins since the last one.
func (b *Book) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := milli(b.now())
	for f, n := range b.failed {
		b.out(entry{Note: &store.TalkNote{ID: newID(now), At: now, Room: f.room, Door: f.door, Cause: f.cause, Count: n}})
	}
	clear(b.failed)
}

// resume takes up what a process before has left: who is found again goes on.
func (b *Book) resume(r store.TalkRecords) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.pairs = make(map[string]store.TalkSession), make(map[string]store.TalkSub)
	for _, s := range r.Sessions {
		b.open[s.ID] = s
	}
	b.past = make(map[string][]string)
	for _, p := range r.Subs {
		if p.Status != store.SubOpen {
			b.past[p.Session] = append(b.past[p.Session], p.ID)
			continue
		}
		b.pairs[p.ID] = p
	}
}

// settle ends what nobody has taken up: it ended with the process before, that was last there then.
func (b *Book) settle(last time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.pairs {
		s, gone := b.open[p.Session]
		if !gone {
			// Its owner is here again, and the other one is not.
			for _, r := range b.rooms {
				for _, m := range r.members {
					if m.ID == p.Session {
						s = m.TalkSession
						m.order = append(m.order, p.ID)
					}
				}
			}
		}
		b.past[p.Session] = append(b.past[p.Session], p.ID)
		b.finish(&s, &p, later(last, p.Begun), true)
	}
	for id, s := range b.open {
		s.Left, s.TimeOut = later(last, s.Joined), true
		s.Subs = listed(b.past[id])
		b.out(entry{Session: &s})
	}
	b.open, b.pairs, b.past = nil, nil, nil
}

// listed are ids as a session has them: the oldest first.
func listed(ids []string) string {
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), ",")
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// end ends everything: the server stops.
func (b *Book) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := milli(b.now())
	for _, r := range b.rooms {
		for _, m := range r.members {
			b.leave(r, m, now, false)
		}
	}
}

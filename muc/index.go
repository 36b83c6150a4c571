package muc

import (
	"hash/maphash"
	"sync"

	"parley/xmpp/wire"
)

// index knows in which rooms each session is, or has asked to be: so much that a session's end can be told to its rooms,
// and that it cannot be in too many.
type index struct {
	seed   maphash.Seed
	shards [32]indexShard
}

type indexShard struct {
	mu sync.Mutex                      // guards of
	of map[wire.Addr]map[wire.Addr]int // by session and room: attempts to join that were not given back
}

func newIndex() *index {
	x := &index{seed: maphash.MakeSeed()}
	for i := range x.shards {
		x.shards[i].of = make(map[wire.Addr]map[wire.Addr]int)
	}
	return x
}

func (x *index) shard(session wire.Addr) *indexShard {
	return &x.shards[maphash.String(x.seed, string(session))%uint64(len(x.shards))]
}

// enter counts an attempt to join, unless the session is in most other rooms.
func (x *index) enter(session, room wire.Addr, most int) bool {
	s := x.shard(session)
	s.mu.Lock()
	defer s.mu.Unlock()
	rooms := s.of[session]
	if rooms[room] == 0 && len(rooms) >= most {
		return false
	}
	if rooms == nil {
		rooms = make(map[wire.Addr]int)
		s.of[session] = rooms
	}
	rooms[room]++
	return true
}

// leave gives an attempt back.
func (x *index) leave(session, room wire.Addr) {
	s := x.shard(session)
	s.mu.Lock()
	defer s.mu.Unlock()
	rooms := s.of[session]
	if rooms[room] > 1 {
		rooms[room]--
		return
	}
	delete(rooms, room)
	if len(rooms) == 0 {
		delete(s.of, session)
	}
}

// in reports that the session is in the room, or about to be.
func (x *index) in(session, room wire.Addr) bool {
	s := x.shard(session)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[session][room] > 0
}

// rooms returns where the session is.
func (x *index) rooms(session wire.Addr) []wire.Addr {
	s := x.shard(session)
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]wire.Addr, 0, len(s.of[session]))
	for room := range s.of[session] {
		list = append(list, room)
	}
	return list
}

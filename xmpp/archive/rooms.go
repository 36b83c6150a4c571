package archive

import (
	"context"

	"parley/internal/event"
	"parley/internal/store"
	"parley/xmpp/wire"
)

// Rooms reads the archives of rooms (XEP-0313 §6.1.2).
type Rooms struct {
	store store.RoomArchives
	rec   *event.Recorder
}

// NewRooms returns the archives of the rooms in a store.
func NewRooms(st store.RoomArchives, rec *event.Recorder) *Rooms { return &Rooms{st, rec} }

// Answer answers a request to a room's archive, whose sender may read it; real says that the sender may know who occupants
// are. It waits for the store.
func (r *Rooms) Answer(ctx context.Context, room wire.Addr, request *wire.Packet, real bool, send func(wire.Stanza)) {
	s := shelf{owner: room, page: r.store.RoomPage, count: r.store.RoomCount, ends: r.store.RoomEnds}
	if real {
		s.about = appendAuthor
	} else {
		s.matches = func(with wire.Addr) bool { return with.Bare() == room }
	}
	why, err := s.answer(ctx, request, send)
	if err != nil {
		r.rec.Hurt("archive.store", string(room), "room", string(room), "err", err.Error())
		why = errStore
	}
	if why != nil {
		send(why.ErrorTo(request, room))
	}
}

// Find returns a message of a room's archive, or store.ErrNotFound. It waits for the store.
func (r *Rooms) Find(ctx context.Context, room wire.Addr, id string) (store.Archived, error) {
	list, _, err := r.store.RoomPage(ctx, store.ArchiveQuery{Owner: string(room), IDs: []string{id}, Limit: 1})
	if err == nil && len(list) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Archived{}, err
	}
	return list[0], nil
}

// appendAuthor appends the real address of who said something.
func appendAuthor(dst []byte, m *store.Archived) []byte {
	if m.Author == "" {
		return dst
	}
	dst = append(dst, "<x xmlns='"+NSUser+"'><item"...)
	return append(wire.AppendAttr(dst, "jid", m.Author), "/></x>"...)
}

package muc

import (
	"context"
	"encoding/json"
	"sort"
	"strconv"
	"sync"
	"time"

	"parley/xmpp/wire"
)

// host answers for the domain itself (XEP-0045 §6.1–§6.3).
func (s *Service) host(b *wire.Batch, from Sender, to wire.Addr, p *wire.Packet) {
	if p.Kind != wire.IQ {
		if p.Kind == wire.Message {
			s.answer(b, from, to, p, &errUnknown)
		}
		return
	}
	typ := string(p.Type())
	if typ == "result" || typ == "error" {
		return
	}
	local, ns := p.Child()
	query := string(local) == "query" && typ == "get"
	switch name := string(ns); {
	case !to.IsBare():
	case query && name == NSDiscoInfo:
		s.info(b, from, to, p)
		return
	case query && name == NSDiscoItems:
		s.items(b, from, to, p)
		return
	case name == NSPing && string(local) == "ping" && typ == "get":
		from.Deliver(b, "", p.Result(to, nil))
		return
	}
	s.answer(b, from, to, p, &errUnknown)
}

func (s *Service) info(b *wire.Batch, from Sender, to wire.Addr, p *wire.Packet) {
	if node := p.Elem().First().AttrString("node"); node != "" {
		s.answer(b, from, to, p, &errNoNode)
		return
	}
	dst := append([]byte(nil), "<query xmlns='"+NSDiscoInfo+"'><identity category='conference' type='text' name='Rooms'/>"...)
	for _, feature := range []string{NSDiscoInfo, NSDiscoItems, NSMUC, NSStableID, NSSelfPing, NSOccupantID, NSStanzaID, NSPing, NSResultSet} {
		dst = appendFeature(dst, feature)
	}
	from.Deliver(b, "", p.Result(to, append(dst, "</query>"...)))
}

// Pages of the list of rooms.
const (
	pageSize  = 100
	storePage = 256
	mostPages = 8
)

// items lists the public rooms, a page at a time (XEP-0059). It reads the store, so it does so beside the router.
func (s *Service) items(b *wire.Batch, from Sender, to wire.Addr, p *wire.Packet) {
	query := p.Elem().First()
	set := query.Child("set", NSResultSet)
	switch {
	case query.AttrString("node") != "":
		s.answer(b, from, to, p, &errNoNode)
		return
	case set.Child("before", NSResultSet).Ok(), set.Child("index", NSResultSet).Ok():
		s.answer(b, from, to, p, &errNoPaging)
		return
	case !s.listings.Allow(from.Source(), time.Now(), 1):
		s.answer(b, from, to, p, &errGuesses)
		return
	}
	most := pageSize
	if e := set.Child("max", NSResultSet); e.Ok() {
		if n, err := strconv.Atoi(e.Text()); err == nil && n >= 0 {
			most = min(n, pageSize)
		}
	}
	after := ""
	if e := set.Child("after", NSResultSet); e.Ok() {
		after = e.Text()
	}
	q, asker := p.Clone(), from.Addr()
	s.running.add()
	go func() {
		defer s.running.done()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var b wire.Batch
		defer b.Flush()
		list, more, err := s.list(ctx, after, most)
		if err != nil {
			s.rec.Hurt("room.list", "", "err", err.Error())
			s.out.Deliver(&b, asker, errStore.ErrorTo(q, to))
			return
		}
		s.out.Deliver(&b, asker, q.Result(to, listItems(list, more || set.Ok() || after != "")))
	}()
}

// listItems writes a page.
func listItems(list []listed, paged bool) []byte {
	dst := append([]byte(nil), "<query xmlns='"+NSDiscoItems+"'>"...)
	for _, l := range list {
		dst = wire.AppendAttr(append(dst, "<item"...), "jid", string(l.room))
		name := l.name
		if name == "" {
			name = l.room.Local()
		}
		dst = append(wire.AppendAttr(dst, "name", name), "/>"...)
	}
	if paged && len(list) > 0 {
		dst = append(dst, "<set xmlns='"+NSResultSet+"'>"...)
		dst = wire.AppendElem(dst, "first", string(list[0].room))
		dst = append(wire.AppendElem(dst, "last", string(list[len(list)-1].room)), "</set>"...)
	} else if paged {
		dst = append(dst, "<set xmlns='"+NSResultSet+"'/>"...)
	}
	return append(dst, "</query>"...)
}

// listed is one public room.
type listed struct {
	room wire.Addr
	name string
}

// list returns the public rooms behind after: those in use, and those that are only in the store.
func (s *Service) list(ctx context.Context, after string, most int) (list []listed, more bool, err error) {
	live := s.directory.behind(after)
	end, whole := after, false // what of the store has been read
	for range mostPages {
		rows, err := s.store.ListRooms(ctx, end, storePage)
		if err != nil {
			return nil, false, err
		}
		for _, row := range rows {
			var k kept
			if json.Unmarshal(row.Config, &k) == nil && k.Settings.Public && !s.inUse(wire.Addr(row.Addr)) {
				list = append(list, listed{wire.Addr(row.Addr), k.Settings.Name})
			}
			end = row.Addr
		}
		if whole = len(rows) < storePage; whole || len(list) > most {
			break
		}
	}
	for _, l := range live {
		if whole || string(l.room) <= end {
			list = append(list, l)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].room < list[j].room })
	if len(list) > most {
		return list[:most], true, nil
	}
	return list, !whole, nil
}

// inUse reports that a room is in memory, where what it says of itself counts.
func (s *Service) inUse(room wire.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cells[room] != nil
}

// listing is how a room in use is listed.
type listing struct {
	public bool
	name   string
}

// directory knows the public rooms in use.
type directory struct {
	mu    sync.Mutex // guards rooms
	rooms map[wire.Addr]string
}

func newDirectory() *directory { return &directory{rooms: make(map[wire.Addr]string)} }

func (d *directory) set(room wire.Addr, l listing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.public {
		d.rooms[room] = l.name
		return
	}
	delete(d.rooms, room)
}

func (d *directory) behind(after string) []listed {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []listed
	for room, name := range d.rooms {
		if string(room) > after {
			list = append(list, listed{room, name})
		}
	}
	return list
}

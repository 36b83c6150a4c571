package muc

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// saying is a message of the room's history.
type saying struct {
	id     string
	at     time.Time
	from   wire.Addr
	author wire.Addr   // the real address, empty if it is not known
	stanza wire.Stanza // as it was sent
	saved  bool        // it is in the store

	late  wire.Stanza // with the stamp of its delay, made when first needed
	chars int         // of late, without what the receiver's address takes
}

func (s *saying) record() store.Message {
	return store.Message{ID: s.id, At: s.at, Sender: string(s.from), Author: string(s.author), Tail: s.stanza.Tail}
}

// asStored is a message as the store has it.
func asStored(m store.Message) saying {
	return saying{id: m.ID, at: m.At, from: wire.Addr(m.Sender), author: wire.Addr(m.Author), saved: true, stanza: wire.Stanza{Kind: wire.Message, Tail: m.Tail}}
}

// historyBytes bounds what a room remembers for newcomers. Each of them is sent it, and each copy is kept twice.
const historyBytes = 512 << 10

// remember appends to the history, which holds what a newcomer can be given.
func (r *room) remember(s saying) {
	r.history = append(r.history, s)
	r.remembered += len(s.stanza.Tail)
	r.notes.said++
	for len(r.history) > r.limits.History || r.remembered > historyBytes {
		r.remembered -= len(r.history[0].stanza.Tail)
		r.history[0] = saying{}
		r.history = r.history[1:]
	}
}

// replay sends a newcomer the history that it asks for (XEP-0045 §7.2.13, §7.2.14): the smallest that any of its
// criteria and the room's own allow.
func (r *room) replay(s *session, x wire.Elem, in *input, fx *effects) {
	most, chars := min(r.settings.History, len(r.history)), -1
	var since time.Time
	if h := x.Child("history", NSMUC); h.Ok() {
		if n, ok := number(h, "maxstanzas"); ok {
			most = min(most, n)
		}
		if n, ok := number(h, "maxchars"); ok {
			chars = n
		}
		if n, ok := number(h, "seconds"); ok {
			since = in.now.Add(-time.Duration(min(n, 1<<31)) * time.Second)
		}
		if t, err := time.Parse(time.RFC3339, h.AttrString("since")); err == nil && t.After(since) {
			since = t
		}
	}
	from := len(r.history)
	head := len("<message to=''") + utf8.RuneCountInString(string(s.addr))
	for ; from > len(r.history)-most; from-- {
		said := &r.history[from-1]
		if said.at.Before(since) {
			break
		}
		said.delay(r.addr)
		if chars >= 0 {
			if chars -= head + said.chars; chars < 0 {
				break
			}
		}
	}
	for i := range r.history[from:] {
		fx.send(s.addr, r.history[from+i].late)
	}
}

// delay makes the message as newcomers get it, with the time at which it was said (XEP-0203).
func (s *saying) delay(room wire.Addr) {
	if s.late.Tail != nil {
		return
	}
	s.late = delayed(s.stanza, room, s.at)
	s.chars = utf8.RuneCount(s.late.Tail)
}

const messageEnd = "</message>"

// delayed appends the stamp to a message that has children.
func delayed(m wire.Stanza, room wire.Addr, at time.Time) wire.Stanza {
	tail := bytes.TrimSuffix(m.Tail, []byte(messageEnd))
	dst := append(make([]byte, 0, len(m.Tail)+len(room)+96), tail...)
	dst = append(dst, "<delay xmlns='"+NSDelay+"'"...)
	dst = wire.AppendAttr(dst, "from", string(room))
	dst = wire.AppendAttr(dst, "stamp", at.UTC().Format("2006-01-02T15:04:05.000Z"))
	dst = append(dst, "/>"+messageEnd...)
	return wire.Stanza{Kind: wire.Message, Tail: dst}
}

// number reads an attribute that is a count.
func number(e wire.Elem, name string) (int, bool) {
	n, err := strconv.ParseUint(e.AttrString(name), 10, 31)
	return int(n), err == nil
}

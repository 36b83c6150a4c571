package s2s

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// attendance says that somebody at another server has sent presence to somewhere of ours that wants to know when they are
// gone without goodbye: that they are in a room.
type attendance struct {
	who   wire.Addr // full address
	where wire.Addr // bare address of the room, or the domain, where it is only known that it is one of its rooms
}

// mostAttends bounds the attendances between two domains.
const mostAttends = 20_000

// attend notes what presence from another server says.
func (srv *Server) attend(from, to wire.Addr, typ string) {
	if _, watches := srv.router.Service(to.Domain()).(route.Watcher); !watches || to.Local() == "" {
		return
	}
	a := attendance{from, to.Bare()}
	switch typ {
	case "":
		srv.noteAttendance(a, false)
	case "unavailable", "error":
		if o := srv.find(pair{to.Domain(), from.Domain()}); o != nil {
			o.mu.Lock()
			o.departLocked(a)
			o.mu.Unlock()
		}
	}
}

// departLocked forgets that somebody is in a room. Called with mu held.
func (o *outbound) departLocked(a attendance) {
	delete(o.attends, a)
	delete(o.attends, attendance{a.who, wire.Addr(a.where.Domain())})
	o.attending.Store(int32(len(o.attends)))
}

// Attends notes that somebody at another server is in a room of a domain, as the room remembers it. Whether that is so still is
// asked. False: nobody can be, since that server is not federated with.
func (srv *Server) Attends(who, rooms wire.Addr) bool {
	domain := who.Domain()
	if _, ours := srv.local[domain]; ours || !srv.admits(domain) || srv.router.Service(domain) != nil {
		return false
	}
	return srv.noteAttendance(attendance{who, rooms}, true)
}

// shown is told of presence that goes to somebody out there: who is refused, or thrown out, is not in the room. It looks for
// that as our rooms write it; what it misses is looked after in vain.
func (o *outbound) shown(to wire.Addr, tail []byte) {
	head, _, _ := bytes.Cut(tail, []byte{'>'})
	refused := bytes.Contains(head, []byte(" type='error'"))
	if !refused && !(bytes.Contains(head, []byte(" type='unavailable'")) && bytes.Contains(tail, []byte("<status code='110'/>"))) {
		return
	}
	raw, _, _ := bytes.Cut(head[len(" from='"):], []byte{'\''})
	if from, err := wire.ParseRawAddr(raw); err == nil {
		o.mu.Lock()
		o.departLocked(attendance{to, from.Bare()})
		o.mu.Unlock()
	}
}

func (srv *Server) noteAttendance(a attendance, doubtful bool) bool {
	for {
		o, why := srv.outbound(pair{a.where.Domain(), a.who.Domain()})
		if why != nil {
			return false
		}
		o.mu.Lock()
		if o.gone {
			o.mu.Unlock()
			continue
		}
		if o.attends == nil {
			o.attends = make(map[attendance]struct{})
		}
		if _, known := o.attends[a]; !known && len(o.attends) >= mostAttends {
			o.mu.Unlock()
			srv.rec.Reject("limit.s2s", a.who.Domain(), "text", "too many people of one server in rooms: some are not looked after")
			return true
		}
		o.attends[a] = struct{}{}
		o.attending.Store(int32(len(o.attends)))
		o.used = time.Now()
		o.doubtful = o.doubtful || doubtful
		o.mu.Unlock()
		return true
	}
}

// leaveLocked forgets who is where and returns who there was. Called with mu held.
func (o *outbound) leaveLocked() []wire.Addr {
	all := make(map[wire.Addr]struct{})
	for a := range o.attends {
		all[a.who] = struct{}{}
	}
	o.attends, o.doubtful = nil, false
	o.attending.Store(0)
	return slices.Collect(maps.Keys(all))
}

// left tells the service of a domain who is gone.
func (srv *Server) left(p pair, who []wire.Addr) {
	w, ok := srv.router.Service(p.local).(route.Watcher)
	if !ok || len(who) == 0 {
		return
	}
	srv.log.Info("people of a server that is gone leave", "peer", p.remote, "domain", p.local, "count", len(who))
	for _, a := range who {
		w.Gone(a)
	}
}

// probe asks whether people are still there whose server was away: a server that came back may have lost its sessions, and
// tells nobody. What is sent is a message that a client has no use for and that the server of an address without a session must
// answer with an error (RFC 6121 §8.5.3.2.1, groupchat).
func (srv *Server) probe(p pair, list []attendance) {
	if len(list) == 0 {
		return
	}
	var b wire.Batch
	asked := make(map[wire.Addr]bool)
	for _, a := range list {
		if asked[a.who] {
			continue
		}
		asked[a.who] = true
		tail := wire.AppendAttr(nil, "from", string(a.where))
		tail = wire.AppendAttr(tail, "id", srv.token)
		tail = append(tail, " type='groupchat'><no-store xmlns='urn:xmpp:hints'/></message>"...)
		srv.Deliver(&b, a.who, wire.Stanza{Kind: wire.Message, Tail: tail})
	}
	b.Flush()
}

// probed takes the answer to a probe: the session is gone.
func (srv *Server) probed(from, to wire.Addr, p *wire.Packet) bool {
	if string(p.Type()) != "error" || !bytes.Equal(p.ID(), []byte(srv.token)) {
		return false
	}
	o := srv.find(pair{to.Domain(), from.Domain()})
	if o == nil {
		return true
	}
	there := false
	o.mu.Lock()
	for a := range o.attends {
		if a.who == from {
			there = true
			delete(o.attends, a)
		}
	}
	o.attending.Store(int32(len(o.attends)))
	o.mu.Unlock()
	if there {
		srv.left(o.pair, []wire.Addr{from})
	}
	return true
}

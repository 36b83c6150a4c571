package kill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
)

// window is how many of a speaker's messages are under way at once.
const window = 8

// speaker says things in the round's room and in the hall, with stream management on.
type speaker struct {
	name string
	nick string // in the rooms; that of a former guest is taken while his session waits for him
	door door
	c    *peertest.Client
	id   string // of the session

	free  chan struct{} // holds a token for each message under way
	ended chan struct{} // closed when nothing more is read

	mu    sync.Mutex  // guards what follows
	sent  [][2]string // stanzas since <enabled/>, in order: room and id of messages, empty for others
	acked int
	got   int // stanzas that came
}

// clerk owns the rooms and changes what is set about them.
type clerk struct{ c *peertest.Client }

// enter lets everybody in before anybody speaks. The room of the round is made, and so is the hall in the first one.
func (w *world) enter(k *clerk, speakers []*speaker) {
	w.work("entering", func(t testing.TB) {
		k.c = w.login(t, plain, "owner", fmt.Sprint("desk", w.round))
		for _, room := range []string{hall, w.room} {
			k.c.Send(join(room, "clerk", 0))
			if _, _, created := entered(t, k.c, room); created {
				w.kept.ask(room, "name", "new")
				w.kept.ask(room, "owner@localhost", "owner")
				configure(t, k.c, "create", room, "muc#roomconfig_persistentroom", "1", "muc#roomconfig_publicroom", "1",
					"muc#roomconfig_roomname", "new", "muc#maxhistoryfetch", strconv.Itoa(history))
				w.kept.told(room, "name")
				w.kept.told(room, "owner@localhost")
			}
		}
		for _, s := range speakers {
			s.free, s.ended = make(chan struct{}, window), make(chan struct{})
			s.c = w.login(t, s.door, s.name, fmt.Sprint("r", w.round))
			s.c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
			s.id = peertest.Attr(s.c.Await("<enabled"), "id")
			s.nick = s.name
			if s.name == "guest" {
				s.nick = fmt.Sprint("guest", w.round)
			}
			for _, room := range []string{hall, w.room} {
				s.sent = append(s.sent, [2]string{})
				s.c.Send(join(room, s.nick, 0))
				entered(t, s.c, room)
			}
		}
	})
	w.group.Wait()
}

// speak sends messages until the server is gone.
func (s *speaker) speak(ctx context.Context, w *world) {
	for n := 0; ; n++ {
		select {
		case s.free <- struct{}{}:
		case <-s.ended:
			return
		case <-ctx.Done():
			return
		}
		room := w.room
		if rand.IntN(3) == 0 {
			room = hall
		}
		id := fmt.Sprintf("%d-%s-%d", w.round, s.name, n)
		w.kept.sending(room, id)
		s.mu.Lock()
		s.sent = append(s.sent, [2]string{room, id})
		s.mu.Unlock()
		s.c.Send(fmt.Sprintf("<message xmlns='jabber:client' type='groupchat' to='%s' id='%s'><body>%s</body></message>", room, id, id))
		if n%4 == 0 {
			s.c.Send("<r xmlns='urn:xmpp:sm:3'/>")
		}
		time.Sleep(rand.N(3 * time.Millisecond))
	}
}

// read takes what comes until the server is gone.
func (s *speaker) read(w *world) {
	defer close(s.ended)
	h := 0
	for {
		e := s.c.Read()
		start := startTag(e)
		switch {
		case e == "":
			panic(ending("the connection ended"))
		case strings.HasPrefix(e, "<r "):
			s.c.Send("<a xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(h) + "'/>")
			continue
		case strings.HasPrefix(e, "<a "):
			n, err := strconv.Atoi(peertest.Attr(start, "h"))
			if err != nil {
				panic(ending("bad acknowledgement: " + e))
			}
			s.count(w, n)
			continue
		case strings.Contains(start, "type='error'"):
			panic(ending("an error came: " + e))
		case strings.HasPrefix(e, "<message") && strings.Contains(e, "<body"):
			room, nick, _ := strings.Cut(peertest.Attr(start, "from"), "/")
			w.kept.saw(room, peertest.Attr(start, "id"))
			if nick == s.nick {
				<-s.free
			}
		case strings.HasPrefix(e, "<message"), strings.HasPrefix(e, "<presence"), strings.HasPrefix(e, "<iq"):
		default:
			continue
		}
		h++
		s.mu.Lock()
		s.got = h
		s.mu.Unlock()
	}
}

// count notes what an acknowledgement counts.
func (s *speaker) count(w *world, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n < s.acked || n > len(s.sent) {
		w.T.Errorf("%s: %d stanzas are acknowledged, %d were before, %d were sent", s.name, n, s.acked, len(s.sent))
		return
	}
	for _, m := range s.sent[s.acked:n] {
		if m[1] != "" {
			w.kept.handled(m[0], m[1])
		}
	}
	s.acked = n
}

// work changes one thing after the other until the server is gone.
func (k *clerk) work(ctx context.Context, w *world) {
	t := mortal{w.T}
	for n := 0; ctx.Err() == nil; n++ {
		room := []string{hall, w.room}[rand.IntN(2)]
		id := fmt.Sprintf("%d-%d", w.round, n)
		switch rand.IntN(4) {
		case 0:
			w.kept.ask(room, "subject", id)
			k.c.Send(fmt.Sprintf("<message xmlns='jabber:client' type='groupchat' to='%s' id='subject-%s'><subject>%s</subject></message>", room, id, id))
			k.c.Await("<message", "from='"+room+"/clerk'", "<subject>"+id+"</subject>")
			w.kept.told(room, "subject")
		case 1:
			w.kept.ask(room, "name", id)
			configure(t, k.c, "name-"+id, room, "muc#roomconfig_roomname", id)
			w.kept.told(room, "name")
		default:
			i := rand.IntN(20)
			addr, affiliation := fmt.Sprintf("user%d@localhost", i), []string{"member", "admin", "owner", "none"}[rand.IntN(4)]
			if i < 10 { // who rules is not banned (XEP-0045 §9.1)
				affiliation = []string{"member", "outcast", "none"}[rand.IntN(3)]
			}
			w.kept.ask(room, addr, affiliation)
			request(t, k.c, "set", "list-"+id, room, "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='"+
				affiliation+"' jid='"+addr+"'><reason>"+id+"</reason></item></query>")
			w.kept.told(room, addr)
		}
		time.Sleep(rand.N(5 * time.Millisecond))
	}
}

// administer adds, changes and deletes accounts by the command line until the server is gone.
func (w *world) administer(ctx context.Context) {
	var names []string
	for n := 0; ctx.Err() == nil; n++ {
		name, password, command := fmt.Sprintf("u%d-%d", w.round, n), fmt.Sprintf("secret%d", n), "add"
		switch {
		case n%5 == 2:
			name, command = names[rand.IntN(len(names))], "passwd"
		case n%5 == 4:
			i := rand.IntN(len(names))
			name, password, command = names[i], "", "del"
			names = append(names[:i], names[i+1:]...)
		default:
			names = append(names, name)
		}
		w.kept.wishing(name, password, w.round)
		if _, err := w.server.Command(password+"\n", "user", command, name); err != nil {
			panic(ending(err.Error()))
		}
		w.kept.granted(name, command)
	}
}

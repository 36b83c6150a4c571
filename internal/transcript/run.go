package transcript

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// Server is what a scene is played on.
type Server interface {
	Name() string  // "parley" or "prosody"
	Host() string  // domain of the accounts
	Rooms() string // domain of the rooms
	// Login starts a session of an account.
	Login(account, resource string) (Session, error)
}

// Session is a client that is logged in.
type Session interface {
	// Addr is the full address.
	Addr() string
	// Send sends one stanza and returns when the server has handled it.
	Send(stanza string) error
	// Receive returns what the server has sent since the last call, when it has sent all that follows from what was sent
	// to it.
	Receive() ([]string, error)
	// Vanish ends the session without goodbye. The server notices in its own time.
	Vanish() error
}

// play is a scene that is being played.
type play struct {
	t        testing.TB
	server   Server
	room     string
	sessions map[string]Session
	queue    map[string][]string // received by the session, and not yet by the script
}

// Play plays a scene in the room, a local part that nothing else uses.
func (s *Scene) Play(t testing.TB, server Server, room string) {
	t.Helper()
	p := &play{t: t, server: server, room: room, sessions: make(map[string]Session), queue: make(map[string][]string)}
	for _, st := range s.steps {
		if st.who != everybody {
			p.session(st.who)
		}
	}
	for _, st := range s.steps {
		if st.only == "" || st.only == server.Name() {
			p.step(st)
		}
	}
}

// session returns the session of an account, or of a resource of it.
func (p *play) session(who string) Session {
	p.t.Helper()
	if s := p.sessions[who]; s != nil {
		return s
	}
	account, resource, _ := strings.Cut(strings.ToLower(who), "/")
	if resource == "" {
		resource = "home"
	}
	s, err := p.server.Login(account, resource)
	if err != nil {
		p.t.Fatalf("%s cannot log in: %v", who, err)
	}
	p.sessions[who] = s
	return s
}

func (p *play) step(st step) {
	p.t.Helper()
	if st.who == everybody {
		for who := range p.sessions {
			one := st
			one.who = who
			p.step(one)
		}
		return
	}
	s := p.session(st.who)
	switch st.act {
	case creates, enters:
		p.enter(st, s)
		return
	case sends:
		for _, n := range st.stanzas {
			if err := s.Send(p.expand(n.raw)); err != nil {
				p.t.Fatalf("line %d: %s cannot send: %v", st.line, st.who, err)
			}
		}
		return
	case vanishes:
		if err := s.Vanish(); err != nil {
			p.t.Fatalf("line %d: %s cannot vanish: %v", st.line, st.who, err)
		}
		delete(p.sessions, st.who)
		return
	}
	queue := p.queue[st.who]
	for try := 0; ; try++ {
		got, err := s.Receive()
		if err != nil {
			p.t.Fatalf("line %d: %s cannot receive: %v", st.line, st.who, err)
		}
		queue = append(queue, got...)
		if len(queue) >= len(st.stanzas) || try == 200 {
			break
		}
		time.Sleep(20 * time.Millisecond) // a session that has vanished is noticed in its time
	}
	switch st.act {
	case ignores:
		queue = nil
	case receivesNothing:
		if len(queue) > 0 {
			p.t.Fatalf("line %d: %s receives\n%s", st.line, st.who, strings.Join(queue, "\n"))
		}
	default:
		queue = p.receive(st, queue)
	}
	p.queue[st.who] = queue
}

// enter takes somebody into the room, under his name in lower case, and forgets what that brings for all.
func (p *play) enter(st step, s Session) {
	p.t.Helper()
	account, _, _ := strings.Cut(strings.ToLower(st.who), "/")
	stanzas := []string{"<presence to='${room}/" + account + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>"}
	if st.act == creates {
		stanzas = append(stanzas, "<iq to='${room}' type='set' id='create'><query xmlns='http://jabber.org/protocol/muc#owner'>"+
			"<x xmlns='jabber:x:data' type='submit'/></query></iq>")
	}
	for _, stanza := range stanzas {
		if err := s.Send(p.expand(stanza)); err != nil {
			p.t.Fatalf("line %d: %s cannot send: %v", st.line, st.who, err)
		}
	}
	got, err := s.Receive()
	if err != nil || !strings.Contains(strings.Join(got, ""), "code='110'") {
		p.t.Fatalf("line %d: %s does not get in: %v\n%s", st.line, st.who, err, strings.Join(got, "\n"))
	}
	p.step(step{line: st.line, who: everybody, act: ignores})
}

// receive takes what the step wants from the front of the queue.
func (p *play) receive(st step, queue []string) (rest []string) {
	p.t.Helper()
	if len(queue) < len(st.stanzas) {
		p.t.Fatalf("line %d: %s receives %d stanzas, not %d:\n%s", st.line, st.who, len(queue), len(st.stanzas), strings.Join(queue, "\n"))
	}
	left := append([]*node(nil), st.stanzas...)
	for _, raw := range queue[:len(st.stanzas)] {
		nodes, err := parseNodes(raw)
		if err != nil || len(nodes) != 1 {
			p.t.Fatalf("line %d: %s receives what is no stanza: %v: %s", st.line, st.who, err, raw)
		}
		candidates := left[:1]
		if st.act == receivesAnyOrder {
			candidates = left
		}
		found := -1
		for i, want := range candidates {
			if err = match(want, nodes[0], p.expand); err == nil {
				found = i
				break
			}
		}
		if found < 0 {
			p.t.Fatalf("line %d: %s receives something else: %v\n%s\nin\n%s", st.line, st.who, err, raw, strings.Join(queue, "\n"))
		}
		left = append(left[:found:found], left[found+1:]...)
	}
	return queue[len(st.stanzas):]
}

// expand replaces what stands for addresses.
func (p *play) expand(s string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	s = strings.NewReplacer(
		"${room}", p.room+"@"+p.server.Rooms(), "${muc}", p.server.Rooms(), "${host}", p.server.Host(),
	).Replace(s)
	return address.ReplaceAllStringFunc(s, func(name string) string {
		m := address.FindStringSubmatch(name)
		if m[2] != "" {
			account, _, _ := strings.Cut(strings.ToLower(m[1]), "/")
			return account + "@" + p.server.Host()
		}
		return p.session(m[1]).Addr()
	})
}

var address = regexp.MustCompile(`\$\{([A-Z][a-z]+(?:/[a-z]+)?)(\.bare)?\}`)

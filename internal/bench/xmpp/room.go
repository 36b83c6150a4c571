package xmpp

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/bench"
)

const presenceSize = 620 // bytes of a Jitsi client's presence in a room

func wrongOrder(c *client, want, got int64) error {
	return fmt.Errorf("%s got number %d and waited for %d: lost or out of order", c.jid, got, want)
}

func nick(i int) string { return "p" + strconv.Itoa(i) }

// ordinal reads the number behind a prefix of one byte; -1 is that it is none.
func ordinal(b []byte, prefix byte) int {
	if len(b) < 2 || b[0] != prefix {
		return -1
	}
	n := 0
	for _, c := range b[1:] {
		if c < '0' || c > '9' || n > 1e6 {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// occupant returns the number of the nick that a stanza of the room comes from, -1 if there is none.
func occupant(el *element) int {
	from := el.attr("from")
	return ordinal(from[bytes.IndexByte(from, '/')+1:], 'p')
}

// presence is what an occupant sends: to join, with the join's own element, and to tell news. The number tells one
// from the next.
func presence(room string, i int, seq int64, join bool) []byte {
	x := ""
	if join {
		x = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
	}
	p := "<presence to='" + room + "/" + nick(i) + "'>" + x + "<status>s" + strconv.FormatInt(seq, 10) + "</status>" +
		"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://jitsi.org/jitsi-meet' ver='cvjWXufsg4xT62Ec2mlATkFZ9lk='/>" +
		"<nick xmlns='http://jabber.org/protocol/nick'>Person " + strconv.Itoa(i) + "</nick>" +
		"<SourceInfo xmlns='urn:x:source'>{&quot;a0&quot;:{&quot;muted&quot;:true}}</SourceInfo><jitsi_participant_codecList xmlns='urn:x:codecs'>"
	const end = "</jitsi_participant_codecList></presence>"
	fill := max(presenceSize-len(p)-len(end), 0)
	return []byte(p + strings.Repeat("av1,vp9,vp8,h264,", fill/17+1)[:fill] + end)
}

// enter joins a client that does not listen yet, and waits for its own presence (XEP-0045 §7.2.2). The first one makes
// the room and opens it to others as it is (§10.1.2).
func enter(c *client, room string, i int) error {
	c.write(presence(room, i, 0, true))
	created := false
	err := c.await(func(el *element) (bool, error) {
		if !el.is("presence") {
			return false, nil
		}
		if string(el.attr("type")) == "error" {
			return false, fmt.Errorf("joining %s: %q", room, el.raw)
		}
		created = created || el.has("'201'") || el.has(`"201"`)
		return el.has("'110'") || el.has(`"110"`), nil
	})
	if err == nil && created {
		err = c.iq(room, "set", "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>")
	}
	return err
}

// fill makes a room of n occupants who listen.
func (b *bout) fill(room string, n int) ([]*client, error) {
	clients, err := b.sessions(n, plain)
	if err != nil {
		return nil, err
	}
	for i, c := range clients {
		if err := enter(c, room, i); err != nil {
			return nil, err
		}
		b.attend(c, quiet)
	}
	return clients, nil
}

// speech is what some occupants say and all hear. A speaker says the next thing when all have heard the last.
type speech struct {
	b     *bout
	all   []*client
	make  func(speaker int, seq int64) []byte
	read  func(el *element) (speaker int, seq int64) // -1: not ours
	stop  atomic.Bool
	said  []atomic.Int64 // per speaker: number of what it said last
	heard []atomic.Int64 // per speaker: how many have heard it
	total []atomic.Int64 // per occupant: deliveries

	begun []time.Time // per speaker: who hears last reads it
	mu    sync.Mutex  // guards took
	took  []time.Duration
}

func (s *speech) say(speaker int) {
	if s.stop.Load() {
		return
	}
	s.begun[speaker] = time.Now()
	s.heard[speaker].Store(0)
	s.all[speaker].write(s.make(speaker, s.said[speaker].Add(1)))
}

// listener returns the handler of the i-th occupant.
func (s *speech) listener(i int) *handler {
	last := make([]int64, len(s.said))
	return &handler{element: func(el *element) {
		speaker, seq := s.read(el)
		if speaker < 0 {
			if string(el.attr("type")) == "error" || el.is("presence") && string(el.attr("type")) == "unavailable" {
				s.b.fail(wrong(s.all[i], el))
			}
			return
		}
		if speaker >= len(last) || seq != last[speaker]+1 {
			s.b.fail(wrongOrder(s.all[i], last[min(speaker, len(last)-1)]+1, seq))
			return
		}
		last[speaker] = seq
		s.total[i].Add(1)
		if s.heard[speaker].Add(1) == int64(len(s.all)) {
			s.mu.Lock()
			s.took = append(s.took, time.Since(s.begun[speaker]))
			s.mu.Unlock()
			s.say(speaker)
		}
	}}
}

func (s *speech) count() (n int64) {
	for i := range s.total {
		n += s.total[i].Load()
	}
	return n
}

// missing is what has been said and not heard by all.
func (s *speech) missing() (n int64) {
	for i := range s.heard {
		n += int64(len(s.all)) - s.heard[i].Load()
	}
	return n
}

func (s *speech) run(row string) error {
	speakers := min(s.b.o.Speakers, len(s.all))
	s.said, s.heard, s.total = make([]atomic.Int64, speakers), make([]atomic.Int64, speakers), make([]atomic.Int64, len(s.all))
	s.begun = make([]time.Time, speakers)
	for i, c := range s.all {
		c.handle(s.listener(i))
	}
	for i := range speakers {
		s.say(i)
	}
	measured, err := s.b.steady(s.count)
	if err != nil {
		return err
	}
	s.stop.Store(true)
	lost, err := s.b.settled(s.missing)
	if err != nil {
		return err
	}
	s.b.perSecond(row, "deliveries", measured, lost)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.value(row+": p50 until all have it", "ms", milliseconds(bench.Percentile(s.took, 0.5)))
	return nil
}

func (b *bout) roomMessages() error {
	room := "talk@" + b.srv.MUC
	all, err := b.fill(room, b.o.Occupants)
	if err != nil {
		return err
	}
	head := "<message to='" + room + "' type='groupchat' id='"
	const tail = "'><body></body></message>"
	fill := max(messageSize-len(head)-len(tail)-12, 0)
	body := strings.Replace(tail, "<body>", "<body>"+strings.Repeat("hello, world ", fill/13+1)[:fill], 1)
	s := &speech{b: b, all: all,
		make: func(speaker int, seq int64) []byte {
			return []byte(head + "g" + strconv.Itoa(speaker) + "." + strconv.FormatInt(seq, 10) + body)
		},
		read: func(el *element) (int, int64) {
			if !el.is("message") {
				return -1, 0
			}
			id, number, ok := bytes.Cut(el.attr("id"), []byte("."))
			speaker := ordinal(id, 'g')
			if !ok || speaker < 0 || speaker != occupant(el) {
				return -1, 0
			}
			seq, err := strconv.ParseInt(string(number), 10, 64)
			if err != nil {
				return -1, 0
			}
			return speaker, seq
		}}
	return s.run(fmt.Sprintf("room message, %d occupants", b.o.Occupants))
}

func (b *bout) roomPresence() error {
	room := "news@" + b.srv.MUC
	all, err := b.fill(room, b.o.Occupants)
	if err != nil {
		return err
	}
	s := &speech{b: b, all: all,
		make: func(speaker int, seq int64) []byte { return presence(room, speaker, seq, false) },
		read: func(el *element) (int, int64) {
			if !el.is("presence") || el.attr("type") != nil {
				return -1, 0
			}
			status := el.between("<status>s", "</status>")
			seq, err := strconv.ParseInt(string(status), 10, 64)
			if err != nil || seq == 0 {
				return -1, 0
			}
			return occupant(el), seq
		}}
	return s.run(fmt.Sprintf("room presence of %d B, %d occupants", presenceSize, b.o.Occupants))
}

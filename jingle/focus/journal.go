package focus

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/xmpp/wire"
)

// Journal takes what a conference must find again when the process was killed. *journal.Part is one.
type Journal interface{ Append(record []byte) }

// Journal has conferences written to a journal, by what changes in them. The room writes it down together with what the
// focus says in it then (muc.Seat.Note): so a client has its answer, or says again what it is the answer to. It is called
// once, before the journal is started; the Focus is the journal's source.
func (f *Focus) Journal(j Journal) { f.journal = j }

// entry is a record of the journal: the conference, or what is said of one member.
type entry struct {
	Meeting    string           `json:"meeting"`
	Conference *savedConference `json:"conference,omitempty"`
	Member     *savedMember     `json:"member,omitempty"`
	Progress   *savedProgress   `json:"progress,omitempty"`
	Left       string           `json:"left,omitempty"` // endpoint

	// The conference as it is, in records.
	Whole []json.RawMessage `json:"whole,omitempty"`
	More  bool              `json:"more,omitempty"` // of it
	Ended bool              `json:"ended,omitempty"`
}

// savedConference is a conference without its members.
type savedConference struct {
	Room      wire.Addr
	Created   time.Time
	Channels  string
	Red       bool
	Open      bool
	Alone     time.Time
	There     bool
	Serving   string
	Region    string
	Version   uint64
	Sessions  int
	AudioSSRC uint32
	VideoSSRC uint32
	Revision  uint64
	IQs       uint64
	Muji      string `json:",omitempty"` // sessions
}

// savedMember is a member with its session.
type savedMember struct {
	Endpoint     string
	Addr         wire.Addr
	Features     Features
	Learned      bool
	Audio, Video savedMute
	Restarts     []time.Time `json:",omitempty"`
	Question     []string    `json:",omitempty"` // id, node, ver

	Stage     stage
	Number    int
	SID       string
	Bridge    string
	Attempts  int
	OfferID   string         `json:",omitempty"`
	Results   bool           `json:",omitempty"` // the offer waits for its result
	Transport *api.Transport `json:",omitempty"`
	Restart   int            `json:",omitempty"`
	Remote    *api.Remote    `json:",omitempty"`
	Receive   api.Receive

	Restarting bool `json:",omitempty"` // ICE restarts

	Sources  jingle.Sources
	Wish     []api.Source `json:",omitempty"`
	Revision uint64       `json:",omitempty"`

	// What the client was offered and has not accepted. Who has accepted was told everything.
	Of map[string]savedTold `json:",omitempty"`
	At uint64               `json:",omitempty"`
}

type savedMute struct{ On, Obeyed bool }

type savedTold struct {
	Sources  jingle.Sources
	Revision uint64
}

// savedProgress is how far a member has acknowledged what it was told of the others.
type savedProgress struct {
	Endpoint string
	Known    uint64
	Waiting  []savedNotice `json:",omitempty"`
}

type savedNotice struct {
	ID string
	At uint64
}

// mark tells whether a member is to be written again: what it refers to is replaced, never changed.
type mark struct {
	addr         wire.Addr
	features     Features
	learned      bool
	question     string
	audio, video mute
	paces        int
	paced        time.Time
	stage        stage
	number       int
	attempts     int
	results      bool
	transport    *api.Transport
	restart      int
	restarting   bool
	remote       *api.Remote
	revision     uint64
}

// progressMark tells the same of its progress.
type progressMark struct {
	known   uint64
	waiting int
	last    notice
}

func (m *member) mark() mark {
	k := mark{addr: m.addr, features: m.features, learned: m.learned, question: m.question.id, audio: m.audio, video: m.video,
		paces: len(m.restarts.last), stage: m.stage, number: m.number, attempts: m.attempts, results: !m.resultBy.IsZero(),
		transport: m.transport, restart: m.restart, restarting: !m.restartBy.IsZero(), remote: m.remote, revision: m.sending.revision}
	if k.paces > 0 {
		k.paced = m.restarts.last[k.paces-1]
	}
	return k
}

func (m *member) progressMark() progressMark {
	k := progressMark{known: m.known, waiting: len(m.waiting)}
	if k.waiting > 0 {
		k.last = m.waiting[k.waiting-1]
	}
	return k
}

// written is what of a conference has been given to the room to be written.
type written struct {
	on         bool
	conference savedConference
	members    map[string]*writtenMember // by endpoint
}

type writtenMember struct {
	mark     mark
	progress progressMark
}

// record gives the room what has changed since the last time.
func (c *conference) record() {
	w := &c.written
	if !w.on {
		return
	}
	if s := c.saved(); s != w.conference {
		w.conference = s
		c.emit(record{"", entry{Conference: &s}})
	}
	if w.members == nil {
		w.members = make(map[string]*writtenMember)
	}
	for endpoint := range w.members {
		if m := c.members.of(endpoint); m == nil || m.call != nil {
			delete(w.members, endpoint)
			c.emit(record{endpoint, entry{Left: endpoint}})
		}
	}
	for _, m := range c.members {
		if m.call != nil {
			continue // its client knows of the call's end by that of its media, and calls again
		}
		old := w.members[m.endpoint]
		if old == nil {
			old = &writtenMember{mark: mark{number: -1}}
			w.members[m.endpoint] = old
		}
		if k := m.mark(); k != old.mark {
			old.mark = k
			c.emit(record{m.endpoint, entry{Member: m.saved()}})
		}
		if k := m.progressMark(); k != old.progress {
			old.progress = k
			c.emit(record{m.endpoint + progressKey, entry{Progress: m.progress()}})
		}
	}
}

func (c *conference) saved() savedConference {
	return savedConference{Room: c.room, Created: c.created, Channels: c.channels, Red: c.red, Open: c.open, Alone: c.aloneTill,
		There: c.bridged(), Serving: c.serving, Region: c.region, Version: c.version, Sessions: c.sessions,
		AudioSSRC: c.audioSSRC, VideoSSRC: c.videoSSRC, Revision: c.revision, IQs: c.iqs, Muji: c.mujiSaved()}
}

func (m *member) saved() *savedMember {
	s := &savedMember{Endpoint: m.endpoint, Addr: m.addr, Features: m.features, Learned: m.learned, Audio: savedMute{m.audio.on, m.audio.obeyed},
		Video: savedMute{m.video.on, m.video.obeyed}, Restarts: m.restarts.last, Stage: m.stage, Number: m.number, SID: m.sid,
		Bridge: m.session.bridge, Attempts: m.attempts, OfferID: m.offerID, Results: !m.resultBy.IsZero(), Transport: m.transport,
		Restart: m.restart, Remote: m.remote, Receive: m.receive, Restarting: !m.restartBy.IsZero(), Sources: m.sources, Wish: m.wish,
		Revision: m.sending.revision}
	if q := m.question; q.id != "" {
		s.Question = []string{q.id, q.node, q.ver}
	}
	if m.stage == offered {
		s.At, s.Of = m.at, make(map[string]savedTold, len(m.of))
		for owner, t := range m.of {
			s.Of[owner] = savedTold{t.sources, t.revision}
		}
	}
	return s
}

func (m *member) progress() *savedProgress {
	p := &savedProgress{Endpoint: m.endpoint, Known: m.known}
	for _, n := range m.waiting {
		p.Waiting = append(p.Waiting, savedNotice{n.id, n.at})
	}
	return p
}

// record is the effect by which something gets into the journal, in place of what was said under the same key: the
// endpoint, with "/progress" for that; "" is the conference itself.
type record struct {
	key   string
	entry entry
}

// marshal is the entry as it stands in the journal.
func (e entry) marshal(meeting string) []byte {
	e.Meeting = meeting
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // of plain values
	}
	return b
}

// ledger is what the journal has of a conference. It is behind what the conference is by what the room has not done yet.
type ledger struct {
	mu    sync.Mutex // guards what follows, and is held while it is appended or put
	pages []page     // the conference, then the members in their order
	ended bool
}

type page struct {
	key    string
	record json.RawMessage
}

// write takes a record over and gives it to the journal.
func (l *ledger) write(j Journal, r record, b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.keep(r, b)
	j.Append(b)
}

// keep takes a record over.
func (l *ledger) keep(r record, b []byte) {
	if r.entry.Ended {
		l.ended, l.pages = true, nil
		return
	}
	if r.entry.Left != "" {
		l.pages = slices.DeleteFunc(l.pages, func(p page) bool { return p.key == r.key || p.key == r.key+progressKey })
		return
	}
	if i := slices.IndexFunc(l.pages, func(p page) bool { return p.key == r.key }); i >= 0 {
		l.pages[i].record = b
		return
	}
	l.pages = append(l.pages, page{r.key, b})
}

const progressKey = "/progress"

// longestWhole bounds the record of a whole conference, in bytes, far below what a journal takes.
const longestWhole = 4 << 20

// Snapshot gives the journal all conferences, each as a whole, so that one of which a part is missing does not take the place
// of what was said of it before. Only one that is too large is given in parts.
func (f *Focus) Snapshot(put func(record []byte)) {
	for _, c := range f.all() {
		c.ledger.snapshot(c.meeting, put)
	}
}

func (l *ledger) snapshot(meeting string, put func(record []byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	whole := entry{Whole: []json.RawMessage{}}
	size := 0
	for _, p := range l.pages {
		whole.Whole = append(whole.Whole, p.record)
		if size += len(p.record); size > longestWhole {
			put(whole.marshal(meeting))
			whole.Whole, whole.More, size = nil, true, 0
		}
	}
	if len(whole.Whole) > 0 {
		put(whole.marshal(meeting))
	}
}

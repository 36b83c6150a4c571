package link

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"

	"parley/bridge/api"
)

// protocol is the number of what doc.go draws. A bridge refuses a front with another one.
const protocol = 2

const (
	largest  = 64 << 20         // bytes of a message: a conference of 1,500 endpoints that all signal as much as they may
	quiet    = 10 * time.Second // without anything to say, then a ping
	silent   = 30 * time.Second // unheard, then the peer is given up
	greeting = 5 * time.Second  // for the first message of either side
	patience = 10 * time.Second // for a peer to take a message

	longestID    = 256     // bytes of an id
	mostMembers  = 8192    // endpoints of a conference
	mostMeetings = 1 << 16 // conferences of a bridge
	mostEnded    = 1024    // users of one message
)

// message is what a frame holds. Exactly one member is set.
type message struct {
	Front   *front          `json:"front,omitempty"`
	Apply   *api.Conference `json:"apply,omitempty"`
	Drain   bool            `json:"drain,omitempty"`
	Ended   []string        `json:"ended,omitempty"`
	Reload  bool            `json:"reload,omitempty"`
	Refused string          `json:"refused,omitempty"`
	Event   *api.Event      `json:"event,omitempty"`
	Applied *applied        `json:"applied,omitempty"`
	Ping    bool            `json:"ping,omitempty"`
}

// front says who connects, and what it wishes: conferences that are not among these and for which no Apply follows are
// of a former front.
type front struct {
	Protocol    int               `json:"protocol"`
	ID          string            `json:"id"` // random at each start of the front
	Conferences map[string]uint64 `json:"conferences,omitempty"`
}

// applied acknowledges an Apply with the version that the bridge has now: a higher one says that the wish was too old.
type applied struct {
	ID      string `json:"id"`
	Version uint64 `json:"version"`
}

var errLarge = fmt.Errorf("link: the message is larger than %d bytes", largest)

// badMessage is a fault of the peer, to be told apart from a connection that broke.
type badMessage struct{ text string }

func (e *badMessage) Error() string { return "link: " + e.text }

func bad(format string, args ...any) error { return &badMessage{fmt.Sprintf(format, args...)} }

// encode returns the frame of a message. The error is errLarge, or one of a value that JSON does not know.
func encode(m message) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 4, 512))
	if err := json.NewEncoder(b).Encode(m); err != nil {
		return nil, err
	}
	n := b.Len() - 4
	if n > largest {
		return nil, errLarge
	}
	frame := b.Bytes()
	binary.BigEndian.PutUint32(frame, uint32(n))
	return frame, nil
}

// decode reads the content of a frame.
func decode(text []byte) (m message, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		return m, bad("not a message: %v", err)
	}
	set := 0
	for _, is := range []bool{m.Front != nil, m.Apply != nil, m.Drain, len(m.Ended) > 0, m.Reload, m.Refused != "", m.Event != nil, m.Applied != nil, m.Ping} {
		if is {
			set++
		}
	}
	if set != 1 {
		return m, bad("%d members instead of one", set)
	}
	switch {
	case m.Front != nil:
		err = m.Front.check()
	case m.Apply != nil:
		err = checkConference(m.Apply)
	case m.Event != nil:
		err = checkEvent(m.Event)
	case m.Ended != nil:
		err = checkEnded(m.Ended)
	case m.Applied != nil:
		err = checkID(m.Applied.ID)
	}
	return m, err
}

func checkID(id string) error {
	if id == "" || len(id) > longestID {
		return bad("an id of %d bytes", len(id))
	}
	return nil
}

func (f *front) check() error {
	if len(f.Conferences) > mostMeetings {
		return bad("%d conferences", len(f.Conferences))
	}
	return checkID(f.ID)
}

// checkConference looks at what the link itself relies on; what the values mean is for the bridge to check.
func checkConference(c *api.Conference) error {
	if err := checkID(c.ID); err != nil {
		return err
	}
	if len(c.Endpoints) > mostMembers {
		return bad("%d endpoints", len(c.Endpoints))
	}
	seen := make(map[string]bool, len(c.Endpoints))
	for i := range c.Endpoints {
		id := c.Endpoints[i].ID
		if err := checkID(id); err != nil {
			return err
		}
		if seen[id] {
			return bad("an endpoint is there twice")
		}
		seen[id] = true
	}
	return nil
}

func checkEnded(users []string) error {
	if len(users) > mostEnded {
		return bad("%d users", len(users))
	}
	for _, u := range users {
		if err := checkID(u); err != nil {
			return err
		}
	}
	return nil
}

func checkEvent(e *api.Event) error {
	set := 0
	for _, is := range []bool{e.Hello != nil, e.Transport != nil, e.State != nil, e.Speaker != nil, e.Stress != nil, e.Quality != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return bad("an event of %d kinds", set)
	}
	if e.Hello != nil {
		return checkID(e.Hello.Bridge)
	}
	return nil
}

// conn reads and writes messages. One goroutine may read and another one write.
type conn struct {
	net.Conn
	in []byte // content of the last frame, used again
}

// read waits for a message, at most so long. The error is a *badMessage if the peer is at fault; a connection that ends
// within a message is none, it is what is left of a process that was killed.
func (c *conn) read(wait time.Duration) (message, error) {
	c.SetReadDeadline(time.Now().Add(wait))
	var head [4]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return message{}, err
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if n < 2 || n > largest {
		return message{}, bad("a frame of %d bytes", n)
	}
	// Room grows with what has come, not with what was promised.
	c.in = c.in[:0]
	for len(c.in) < n {
		step := min(n-len(c.in), max(4096, len(c.in)))
		at := len(c.in)
		c.in = append(c.in, make([]byte, step)...)
		if _, err := io.ReadFull(c.Conn, c.in[at:]); err != nil {
			return message{}, err
		}
	}
	m, err := decode(c.in)
	if cap(c.in) > 1<<20 {
		c.in = nil // large ones are rare
	}
	return m, err
}

// write sends a message. What is larger than a frame may be is not sent: errLarge, and the connection goes on.
func (c *conn) write(m message) error {
	frame, err := encode(m)
	if err != nil {
		return err
	}
	c.SetWriteDeadline(time.Now().Add(patience))
	_, err = c.Conn.Write(frame)
	return err
}

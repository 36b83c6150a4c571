package livekitpeer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/internal/peertest/jitsipeer"
	"parley/jingle/sdp"
)

const (
	protocol    = 15      // version of the signalling
	messageMost = 1 << 20 // bytes
	pingEvery   = 5 * time.Second
	leaveTime   = time.Second
)

// rids are the names of a camera's layers, rising: quarter, half and full size. The server knows them.
var rids = []string{"q", "h", "f"}

// Options say who a member is.
type Options struct {
	URL      string // of the server, such as ws://127.0.0.1:7880
	Room     string
	Name     string // identity in the room
	Key      string // of the server, and its secret
	Secret   string
	Loopback bool // the server is on this machine: ICE over the loopback interface alone

	// A member with one of these sends, and one without receives. Pictures are of VP8, in three layers at most.
	Audio *jitsipeer.Audio
	Video *jitsipeer.Video
}

func (o *Options) sends() bool { return o.Audio != nil || o.Video != nil }

// Member is a member of a room.
type Member struct {
	*jitsipeer.Endpoint

	o      Options
	ws     *websocket.Conn
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	published int  // the reader's: sources that the server has taken
	begun     bool // the reader's: the transport was begun

	mu     sync.Mutex // guards what follows; it is held while wishes are told, so that the last to be told are the last to be had
	videos []string   // ids of the others' tracks
	shows  bool       // they are wanted
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Join enters a room. Media follow; see Media. A receiver hears everybody from then on, and wants no pictures; see Show.
func Join(ctx context.Context, o Options) (*Member, error) {
	if o.Video != nil {
		v := *o.Video
		if v.RIDs = rids; v.Codec != jitsipeer.VP8 || len(v.Heights) > len(rids) {
			return nil, fmt.Errorf("livekitpeer: no camera of %s in %d layers", v.Codec, len(v.Heights))
		}
		o.Video = &v
	}
	e, err := jitsipeer.NewEndpoint(jitsipeer.EndpointOptions{Name: o.Name, Loopback: o.Loopback, Audio: o.Audio, Video: o.Video, Controls: o.sends(), Channels: !o.sends()})
	if err != nil {
		return nil, err
	}
	m := &Member{Endpoint: e, o: o}
	if o.sends() {
		m.Negotiate(sent())
	}
	if m.ws, err = o.dial(ctx); err != nil {
		e.Close()
		return nil, err
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.done.Go(m.read)
	m.done.Go(m.ping)
	for _, s := range m.Sends() {
		if err := m.say(sayTrack, appendTrack(nil, s)); err != nil {
			m.Leave()
			return nil, err
		}
	}
	return m, nil
}

func (o *Options) dial(ctx context.Context) (*websocket.Conn, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("livekitpeer: %w", err)
	}
	u = u.JoinPath("rtc")
	u.RawQuery = url.Values{"access_token": {o.token(time.Now())}, "auto_subscribe": {"1"}, "protocol": {strconv.Itoa(protocol)}, "sdk": {"go"}, "version": {"1.0.0"}}.Encode()
	ws, _, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		if at := new(url.Error); errors.As(err, &at) {
			err = at.Err // without the address, which has the token
		}
		return nil, fmt.Errorf("livekitpeer: %w", err)
	}
	ws.SetReadLimit(messageMost)
	return ws, nil
}

// say sends a field of a SignalRequest.
func (m *Member) say(number int, b []byte) error {
	return m.ws.Write(m.ctx, websocket.MessageBinary, appendBytes(nil, number, b))
}

// ping shows the server that the member lives.
func (m *Member) ping() {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case now := <-t.C:
			m.say(sayPing, appendUint(nil, 1, uint64(now.UnixMilli())))
		}
	}
}

// read takes what the server says until the socket ends.
func (m *Member) read() {
	for {
		_, b, err := m.ws.Read(m.ctx)
		if err != nil {
			m.Note(jitsipeer.StreamEnded, err.Error())
			return
		}
		said, err := parse(b)
		if err == nil {
			err = m.take(said)
		}
		if err != nil {
			m.Note(jitsipeer.Lost, err.Error())
		}
	}
}

// take takes a message.
func (m *Member) take(said message) error {
	switch said.kind {
	case hearJoin, hearUpdate:
		return m.learn(said.videos)
	case hearPublished:
		sources := m.Sends()
		if m.published++; m.published != len(sources) {
			return nil
		}
		return m.say(sayOffer, description{offer(m.o.Name, sources, m.Local()), 1}.append(nil, "offer"))
	case hearAnswer, hearOffer:
		if m.o.sends() != (said.kind == hearAnswer) {
			return errors.New("livekitpeer: a description of the other transport")
		}
		return m.connect(said)
	case hearTrickle:
		if (said.transport == publisher) == m.o.sends() {
			m.candidate(said.candidate)
		}
	case hearLeave:
		return errors.New("livekitpeer: the server wants the member to leave")
	}
	return nil
}

// connect takes a description, and answers an offer. The first one begins the transport; later offers have further sources.
func (m *Member) connect(said message) error {
	d, err := sdp.Parse(said.description.sdp, limits)
	if err != nil {
		return fmt.Errorf("livekitpeer: %w", err)
	}
	r, err := read(d)
	if err != nil {
		return err
	}
	if said.kind == hearOffer {
		m.Negotiate(r.media)
		if err := m.say(sayAnswer, description{answer(d, m.Local()), said.description.id}.append(nil, "answer")); err != nil {
			return err
		}
	}
	for _, c := range r.candidates {
		m.candidate(c)
	}
	if m.begun {
		return nil
	}
	m.begun = true
	return m.Connect(&r.transport)
}

// candidate takes a candidate. One that cannot be used is left out: there may be others.
func (m *Member) candidate(text string) {
	if err := m.Candidate(text); err != nil {
		m.Note(jitsipeer.Refused, err.Error())
	}
}

// learn tells the server whether tracks that are new are wanted.
func (m *Member) learn(ids []string) error {
	if m.o.sends() {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if slices.Contains(m.videos, id) {
			continue
		}
		m.videos = append(m.videos, id)
		if err := m.say(sayWishes, appendWishes(nil, []string{id}, m.shows)); err != nil {
			return err
		}
	}
	return nil
}

// Show wants the pictures of everybody in the best quality, or with 0 of nobody: other numbers are the same as all.
func (m *Member) Show(lastN int) error {
	if m.o.sends() {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shows = lastN != 0
	if len(m.videos) == 0 {
		return nil
	}
	return m.say(sayWishes, appendWishes(nil, m.videos, m.shows))
}

// Leave leaves the room and ends everything; it returns when all goroutines have ended.
func (m *Member) Leave() {
	stop := time.AfterFunc(leaveTime, m.cancel)
	defer stop.Stop()
	m.say(sayLeave, nil)
	m.cancel()
	m.ws.CloseNow()
	m.done.Wait()
	m.Close()
}

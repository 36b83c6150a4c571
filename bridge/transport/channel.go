package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/dtls/v3"
	"github.com/pion/sctp"
)

// Protocol is the data channel's sub-protocol; its label is the client's choice.
const Protocol = "http://jitsi.org/protocols/colibri"

// What SCTP of one endpoint may hold or do (hardening HB13). Beyond that SCTP ends, and the media goes on.
const (
	messageLargest = 16 << 10
	streamsOpen    = 16
	streamsEver    = 256       // opened, and reset, in the life of an association
	dataReceive    = 256 << 10 // bytes that SCTP keeps
	dataUnread     = 128 << 10 // bytes of chunks without a whole message
	dataQueue      = 64 << 10  // bytes of packets that SCTP has not read
	dataWaiting    = 256 << 10 // bytes that a slow client has not acknowledged, in all channels
	dataLargest    = 8 << 10   // bytes of a record of DTLS
)

// The errors of Send.
var (
	ErrNoChannel = errors.New("transport: no data channel is open")
	ErrSlow      = errors.New("transport: the data channel is full")
)

// channel is SCTP over DTLS (RFC 8261) with the data channels that the client opens (RFC 8832). To SCTP it is the
// net.Conn of DTLS.
type channel struct {
	endpoint *Endpoint
	dtls     *dtls.Conn

	mu      sync.Mutex // guards what follows
	changed *sync.Cond // nil: there is no SCTP
	queue   [][]byte
	size    int
	closed  bool
	current *datachannel.DataChannel // the last one opened
	all     *sctp.Association        // that of the channels
	streams int                      // open
	opened  int                      // ever
	resets  int
	unread  int // bytes of data chunks since the last whole message

	handing sync.Mutex // held while a message is handed on: channels are read by a goroutine each
}

// open begins to speak SCTP. The client asks for the association.
func (c *channel) open(e *Endpoint, conn *dtls.Conn) {
	c.mu.Lock()
	c.endpoint, c.dtls, c.changed = e, conn, sync.NewCond(&c.mu)
	c.mu.Unlock()
	e.port.task(c.run)
}

func (c *channel) run() {
	association, err := sctp.ServerWithOptions(sctp.WithNetConn(c), sctp.WithLoggerFactory(quiet), sctp.WithName("endpoint"),
		sctp.WithMaxReceiveBufferSize(dataReceive), sctp.WithMaxMessageSize(messageLargest))
	if err != nil {
		return
	}
	c.mu.Lock()
	c.all = association
	c.mu.Unlock()
	for {
		s, err := association.AcceptStream()
		if err != nil {
			break
		}
		c.mu.Lock()
		c.streams++
		c.opened++
		ok := c.streams <= streamsOpen && c.opened <= streamsEver
		c.mu.Unlock()
		if !ok {
			c.limit("streams")
			break
		}
		if !c.endpoint.port.task(func() { c.serve(s) }) {
			break
		}
	}
	association.Close()
}

// serve reads one data channel.
func (c *channel) serve(s *sctp.Stream) {
	defer func() {
		s.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.streams--
	}()
	config := datachannel.Config{LoggerFactory: quiet}
	d, err := datachannel.Server(s, &config)
	if err != nil || config.Protocol != Protocol {
		return
	}
	c.mu.Lock()
	c.unread = 0
	c.current = d
	c.mu.Unlock()
	b := make([]byte, messageLargest)
	for {
		n, text, err := d.ReadDataChannel(b)
		if err != nil {
			if errors.Is(err, io.ErrShortBuffer) {
				c.limit("message")
			}
			break
		}
		c.mu.Lock()
		c.unread = 0
		c.mu.Unlock()
		c.handing.Lock()
		c.endpoint.receiver.Message(b[:n], text)
		c.handing.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == d {
		c.current = nil
	}
}

// Send sends a message on the data channel that the client has opened last. It does not wait.
func (e *Endpoint) Send(message []byte, text bool) error {
	c := &e.data
	c.mu.Lock()
	d, all := c.current, c.all
	c.mu.Unlock()
	switch {
	case d == nil:
		return ErrNoChannel
	case len(message) > messageLargest || all.BufferedAmount()+len(message) > dataWaiting: // also what waits in channels that are gone
		return ErrSlow
	}
	_, err := d.WriteDataChannel(message, text)
	return err
}

// limit ends SCTP without a word: an ABORT makes some clients (pion) close DTLS and with it the media, and all others give
// up by themselves.
func (c *channel) limit(what string) {
	if !c.close() {
		return
	}
	c.endpoint.port.config.Events.Reject("limit.dc", "", "endpoint", c.endpoint.options.Name, "what", what)
}

// push takes a packet of SCTP from DTLS.
func (c *channel) push(packet []byte) {
	data, resets := chunks(packet)
	c.mu.Lock()
	c.unread += data
	c.resets += resets
	over := c.unread > dataUnread || c.resets > streamsEver
	if !c.closed && !over && c.size+len(packet) <= dataQueue { // else lost, as in any network
		c.queue = append(c.queue, append([]byte(nil), packet...))
		c.size += len(packet)
		c.changed.Broadcast()
	}
	c.mu.Unlock()
	if over {
		c.limit("flood")
	}
}

// Chunk types (RFC 9260 §3.2, RFC 8260 §2.1, RFC 6525 §3.1).
const (
	chunkData     = 0
	chunkIData    = 64
	chunkReconfig = 130
)

// chunks looks at a packet of SCTP (RFC 9260 §3): bytes of data chunks, and chunks that reset streams.
func chunks(b []byte) (data, resets int) {
	b = b[min(12, len(b)):]
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 4 || n > len(b) {
			break
		}
		switch b[0] {
		case chunkData, chunkIData:
			data += n
		case chunkReconfig:
			resets++
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return data, resets
}

// close ends SCTP, if there is some, and reports that it had not ended before.
func (c *channel) close() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.closed, c.current, c.queue, c.size = true, nil, nil, 0
	if c.changed != nil {
		c.changed.Broadcast()
	}
	return true
}

func (c *channel) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.closed {
		c.changed.Wait()
	}
	if c.closed {
		return 0, io.EOF
	}
	n := copy(b, c.queue[0])
	c.size -= len(c.queue[0])
	c.queue[0] = nil
	c.queue = c.queue[1:]
	return n, nil
}

func (c *channel) Write(b []byte) (int, error) { return c.dtls.Write(b) }

// Close ends SCTP and leaves DTLS, whose keys the media needs.
func (c *channel) Close() error {
	c.close()
	return nil
}

// SetReadDeadline ends reading: SCTP sets no deadline but to end.
func (c *channel) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		c.close()
	}
	return nil
}

func (c *channel) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *channel) SetWriteDeadline(time.Time) error { return nil }
func (c *channel) LocalAddr() net.Addr              { return peer{} }
func (c *channel) RemoteAddr() net.Addr             { return peer{} }

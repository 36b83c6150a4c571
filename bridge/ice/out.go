package ice

import (
	"net/netip"

	"parley/internal/stun"
)

// Transport is what a path runs over.
type Transport uint8

// The transports. STUN over TCP is framed by RFC 4571; the framing is the socket's.
const (
	UDP Transport = iota
	TCP
)

func (t Transport) String() string {
	if t == TCP {
		return "tcp"
	}
	return "udp"
}

// Path is where packets of one peer come from and go to. Local says which of the server's bases (Config.Local) it is; it
// is compared and handed back, never interpreted.
type Path struct {
	Transport     Transport
	Local, Remote netip.AddrPort
}

// plain returns the path with an IPv4 address that is mapped into IPv6 as IPv4.
func (p Path) plain() Path {
	p.Remote = plain(p.Remote)
	return p
}

func plain(a netip.AddrPort) netip.AddrPort {
	if a.Addr().Is4In6() {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return a
}

// Datagram is a STUN message to be sent. Data is valid until the Out is reset. Remote is never an IPv4 address mapped into
// IPv6, even where Packet was given one.
type Datagram struct {
	Path Path
	Data []byte
}

// EventKind says what has happened to an agent.
type EventKind uint8

// The kinds of events.
const (
	Connected    EventKind = iota // there is a path where there was none, or consent for it has come back
	Selected                      // another path is used from now on
	Disconnected                  // the peer is silent; packets may still be sent until it Failed
	Failed                        // no path, or consent for it has expired: nothing may be sent; only Restart helps
)

func (k EventKind) String() string {
	return [...]string{"connected", "selected", "disconnected", "failed"}[k]
}

// Event is something that has happened to an agent. Where several goroutines feed a server, events of one agent may
// overtake one another on the way: N counts them, and one with a lower N than the last one handled is out of date.
type Event struct {
	Agent *Agent
	Kind  EventKind
	Path  Path // the selected path; none for Failed
	N     uint64
}

// Out collects what a call wants done. It is reused: the caller sends and handles all of it, then resets it. The zero Out
// is ready; it is not safe for concurrent use.
type Out struct {
	Datagrams []Datagram
	Events    []Event
	buf       []byte
}

// Reset empties the Out and keeps its memory.
func (o *Out) Reset() {
	clear(o.Events) // lets go of agents
	o.Datagrams, o.Events, o.buf = o.Datagrams[:0], o.Events[:0], o.buf[:0]
}

// send ends a message that was begun at the end of o.buf. Where the buffer has grown, messages before it stay in the old
// one.
func (o *Out) send(path Path, w stun.Writer) {
	from := len(o.buf)
	o.buf = w.Buffer()
	o.Datagrams = append(o.Datagrams, Datagram{path, o.buf[from:len(o.buf):len(o.buf)]})
}

package netem

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// headers are what a datagram has on the wire beside its payload: IPv4 and UDP.
const headers = 20 + 8

// Ways are the two directions of a client's path, and how their packets are classified for the records; nil: all are of
// class 0. Classify sees the payload of UDP.
type Ways struct {
	Up, Down *Path
	Classify func(datagram []byte) int
}

// Relay stands between one client and the server's UDP address on loopback: the client sends to Addr in place of the
// server, the server sees the client at an address of the relay. The client is who sent last.
type Relay struct {
	driver      *Driver
	ways        Ways
	front, back *net.UDPConn
	client      atomic.Pointer[netip.AddrPort]
	done        sync.WaitGroup
}

const socketBuffer = 4 << 20

// NewRelay starts a relay to a server. The driver must run.
func NewRelay(d *Driver, server netip.AddrPort, w Ways) (*Relay, error) {
	if !server.Addr().IsLoopback() {
		return nil, errors.New("netem: a relay works on loopback alone")
	}
	r := &Relay{driver: d, ways: w}
	var err error
	if r.front, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server.Addr(), 0))); err != nil {
		return nil, err
	}
	if r.back, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server)); err != nil {
		r.front.Close()
		return nil, err
	}
	for _, c := range []*net.UDPConn{r.front, r.back} {
		c.SetReadBuffer(socketBuffer)
		c.SetWriteBuffer(socketBuffer)
	}
	r.done.Go(func() { r.read(r.front, w.Up, (*toServer)(r)) })
	r.done.Go(func() { r.read(r.back, w.Down, (*toClient)(r)) })
	return r, nil
}

// Addr is what the client takes for the server's address.
func (r *Relay) Addr() netip.AddrPort { return r.front.LocalAddr().(*net.UDPAddr).AddrPort() }

func (r *Relay) read(c *net.UDPConn, p *Path, to Sink) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the server's port is closed for the moment
		}
		if known := r.client.Load(); c == r.front && (known == nil || *known != from) {
			r.client.Store(&from)
		}
		class := 0
		if r.ways.Classify != nil {
			class = r.ways.Classify(b[:n])
		}
		r.driver.Send(p, b[:n], headers, class, to)
	}
}

// Close ends the relay. What is on the way is lost.
func (r *Relay) Close() {
	r.front.Close()
	r.back.Close()
	r.done.Wait()
}

type toServer Relay

func (r *toServer) Deliver(b []byte) { r.back.Write(b) }

type toClient Relay

func (r *toClient) Deliver(b []byte) {
	if to := r.client.Load(); to != nil {
		r.front.WriteToUDPAddrPort(b, *to)
	}
}

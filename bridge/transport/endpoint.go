package transport

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"

	"parley/bridge/api"
	"parley/bridge/ice"
	"parley/bridge/udp"
)

// Receiver is what an endpoint's packets and news are for. Its methods must not wait. RTP and RTCP are called by the
// goroutine that has read the packet: by two at once only when the endpoint changes its way, and with several readers. State is called
// by one goroutine at a time, in order, with no lock held; it may call the Endpoint.
type Receiver interface {
	RTP(b *udp.Batch, p *udp.Buffer, at time.Time)    // decrypted and no replay; the callee retains p if it keeps it
	RTCP(b *udp.Batch, compound []byte, at time.Time) // decrypted; valid during the call, and may be changed
	State(state string, reason string)                // api.Connected, api.Disconnected, api.Failed
	Moved()                                           // packets go to another host, or by TCP in place of UDP: what was known of the way is past
	Message(data []byte, text bool)                   // from the data channel, one after the other; valid during the call
}

// Options are those of one endpoint.
type Options struct {
	Name string // for the log
	Data bool   // SCTP was offered

	// Controlled says that the client has offered (RFC 8445 §6.1.1).
	Controlled bool
}

// maxCandidates is how many different candidates of a peer are handed to ICE in one generation, which looks at as many.
const maxCandidates = 100

// Endpoint is the transport of one endpoint, from its credentials to its keys. It is safe for concurrent use, except that
// Reserve and Commit belong together.
type Endpoint struct {
	port     *Port
	options  Options
	receiver Receiver
	agent    *ice.Agent
	pipe     *pipe
	since    time.Time
	ctx      context.Context // of the handshake
	stop     context.CancelFunc

	in    inbound
	out   outbound
	ready atomic.Bool // keys exist and a path is selected
	data  channel

	mu         sync.Mutex // guards what follows; agent locks are taken with it held
	digests    []digest   // of the remote certificate; nil: no answer yet
	client     bool       // we are the client of DTLS
	remote     ice.Credentials
	stale      ice.Credentials // of before the last restart
	candidates []api.Candidate // of this generation, as far as ICE has them
	seen       uint64          // number of the last event of ICE
	path       pathState
	host       host
	conn       *dtls.Conn // once the handshake has begun
	begun      bool
	keyed      bool
	closed     bool
	state      news // the last one

	telling sync.Mutex // guards queue and teller
	queue   []news
	teller  bool
}

// host is where packets go to, but for the port, which changes with each mapping of an address translation.
type host struct {
	addr      netip.Addr
	transport ice.Transport
}

type pathState uint8

const (
	none pathState = iota
	up
	silent
	down
)

type news struct{ state, reason string }

// Open makes an endpoint with ICE credentials of its own; its peer is told them, and what Info says, in an offer.
func (p *Port) Open(r Receiver, o Options) (*Endpoint, error) {
	e := &Endpoint{port: p, options: o, receiver: r, since: time.Now()}
	e.ctx, e.stop = context.WithCancel(p.ctx)
	e.pipe = newPipe(e.send)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		e.stop()
		return nil, ErrClosed
	}
	if len(p.endpoints) >= p.limits.Endpoints {
		e.stop()
		p.config.Events.Reject("limit.endpoints", o.Name)
		return nil, ErrFull
	}
	e.agent = p.ice.NewAgent(e, !o.Controlled)
	p.endpoints[e] = struct{}{}
	return e, nil
}

// Local returns our credentials and the number of their generation, which Restart counts.
func (e *Endpoint) Local() (c ice.Credentials, generation int) { return e.agent.Local() }

// Remote is where the client is seen at, on the path that is in use; the zero value if there is none.
func (e *Endpoint) Remote() netip.AddrPort {
	path, _ := e.agent.Selected()
	return path.Remote
}

// Ready reports that packets can be sent: keys exist and a path is selected.
func (e *Endpoint) Ready() bool { return e.ready.Load() }

// SetRemote takes the client's answer, and later the same again with more candidates, or with the credentials that follow
// a Restart. What it has already is no news. ErrSecurity: the endpoint has failed and told so; all other errors leave it as
// it was.
func (e *Endpoint) SetRemote(r api.Remote) error {
	list, err := digests(r.Fingerprints)
	if err == nil && r.Setup != "active" && r.Setup != "passive" {
		err = fmt.Errorf("%w: setup %.16q", ErrSecurity, r.Setup)
	}
	if err != nil {
		e.reject(err.Error())
		return err
	}
	out := outs.Get().(*ice.Out)
	err = e.setRemote(r, list, out)
	e.port.settle(out)
	e.advance() // the path may be there before the answer is
	return err
}

func (e *Endpoint) setRemote(r api.Remote, list []digest, out *ice.Out) error {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	client := r.Setup == "passive"
	if e.digests != nil && (client != e.client || !slices.Equal(list, e.digests)) {
		return ErrSession
	}
	credentials := ice.Credentials{Ufrag: r.Ufrag, Pwd: r.Pwd}
	if credentials == e.stale {
		return nil // said before the restart
	}
	if err := e.agent.SetRemote(credentials, now, out); err != nil {
		return err
	}
	e.digests, e.client, e.remote = list, client, credentials
	for _, c := range r.Candidates {
		if len(e.candidates) == maxCandidates {
			break
		}
		if slices.Contains(e.candidates, c) {
			continue
		}
		e.candidates = append(e.candidates, c)
		e.agent.AddRemote(ice.Candidate{ // which counts what it ignores
			Foundation: c.Foundation, Component: 1, Protocol: c.Protocol, Priority: c.Priority, Address: c.IP, Port: c.Port, Type: c.Type,
			TCPType: c.TCPType,
		}, now)
	}
	return nil
}

// Restart begins a new generation of ICE and returns its credentials, for an offer; SetRemote takes the client's new ones.
// DTLS, keys and media stay, on the old path until there is a new one (jitsi.md §11.2).
func (e *Endpoint) Restart() (ice.Credentials, int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ice.Credentials{}, 0, ErrClosed
	}
	if _, err := e.agent.Restart(time.Now()); err != nil {
		return ice.Credentials{}, 0, err
	}
	if e.remote != (ice.Credentials{}) {
		e.stale, e.remote = e.remote, ice.Credentials{}
	}
	e.candidates = nil
	e.port.poke()
	c, generation := e.agent.Local()
	return c, generation, nil
}

// Close ends the endpoint and tells its peer, if it can. A call to the Receiver that is under way may end later. There is
// no news of it.
func (e *Endpoint) Close() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.closed = true
	conn, keyed := e.conn, e.keyed
	e.mu.Unlock()
	e.ready.Store(false)
	if keyed {
		conn.Close() // with close_notify; at once, since our pipe does not wait
	}
	e.end()
}

// end lets go of everything. The endpoint is closed.
func (e *Endpoint) end() {
	e.stop()
	e.pipe.Close()
	e.data.close()
	e.agent.Close()
	e.in.drop()
	e.out.drop()
	p := e.port
	p.mu.Lock()
	delete(p.endpoints, e)
	p.mu.Unlock()
}

// fail ends the endpoint and tells why. It reports that it had not ended before.
func (e *Endpoint) fail(reason string) bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false
	}
	e.closed = true
	e.say(news{api.Failed, reason})
	e.mu.Unlock()
	e.ready.Store(false)
	e.end()
	e.tell()
	return true
}

// reject ends an endpoint whose peer cannot be trusted (hardening HB4).
func (e *Endpoint) reject(why string) {
	source := ""
	if path, ok := e.agent.Selected(); ok {
		source = path.Remote.Addr().String()
	}
	if e.fail("security-error") {
		e.port.config.Events.Reject("dtls.reject", source, "endpoint", e.options.Name, "why", why)
	}
}

// unanswered ends the endpoint if its peer has not answered yet.
func (e *Endpoint) unanswered() {
	e.mu.Lock()
	answered := e.digests != nil
	e.mu.Unlock()
	if !answered {
		e.fail("timeout")
	}
}

// event takes what has happened to the agent.
func (e *Endpoint) event(ev ice.Event) {
	e.mu.Lock()
	if e.closed || ev.N <= e.seen {
		e.mu.Unlock()
		return
	}
	e.seen = ev.N
	switch ev.Kind {
	case ice.Connected:
		e.path = up
	case ice.Disconnected:
		e.path = silent
	case ice.Failed:
		e.path = down
	}
	moved := false
	if to := (host{ev.Path.Remote.Addr(), ev.Path.Transport}); to.addr.IsValid() {
		moved = e.host.addr.IsValid() && to != e.host
		e.host = to
	}
	e.mu.Unlock()
	e.advance()
	if moved {
		e.receiver.Moved()
	}
}

// advance brings everything to what is known of the path, the answer and the keys: the writer, the handshake, the news.
func (e *Endpoint) advance() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	sendable := e.out.follow(e)
	e.ready.Store(sendable && e.keyed)
	if e.path == up && e.digests != nil && !e.begun {
		e.begun = e.port.task(e.secure)
	}
	switch {
	case e.path == up && e.keyed && sendable:
		e.say(news{api.Connected, ""})
	case e.path == silent && e.keyed:
		e.say(news{api.Disconnected, ""})
	case e.path == down:
		e.say(news{api.Failed, "connectivity-error"})
	}
	e.mu.Unlock()
	e.tell()
}

// task starts a goroutine that Close waits for, unless the port is closed.
func (p *Port) task(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.tasks.Go(f)
	}
	return !p.closed
}

// say notes news. Called with mu held; tell follows without it.
func (e *Endpoint) say(n news) {
	if n == e.state {
		return
	}
	e.state = n
	e.telling.Lock()
	e.queue = append(e.queue, n)
	e.telling.Unlock()
}

// tell tells the Receiver what was said, in order, whoever said it: one goroutine at a time.
func (e *Endpoint) tell() {
	e.telling.Lock()
	defer e.telling.Unlock()
	if e.teller {
		return
	}
	e.teller = true
	for len(e.queue) > 0 {
		n := e.queue[0]
		e.queue = e.queue[1:]
		e.telling.Unlock()
		e.receiver.State(n.state, n.reason)
		e.telling.Lock()
	}
	e.teller = false
}

// send sends a datagram of DTLS.
func (e *Endpoint) send(datagram []byte) {
	if path, ok := e.agent.Selected(); ok {
		e.port.send(path, datagram)
	}
}

package bridge

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/internal/event"
)

// Endpoint is a member of a conference. It takes what comes from its client (RTP, RTCP, State, Message) and sends to it over
// its Leg. It is safe for concurrent use.
type Endpoint struct {
	ID         string
	Member     string // as which others know it: ID, but where a member has several transports
	Conference *Conference

	epoch   time.Time // of the conference
	leg     atomic.Pointer[Leg]
	dialect atomic.Pointer[dialect]
	session atomic.Int64 // of the transport
	heard   atomic.Int64 // when something came last, ns since Conference.epoch; 0: never
	consent atomic.Bool  // the client answers the checks of ICE (RFC 7675)

	message atomic.Pointer[func(data []byte, text bool)]

	in  ingress
	out egress
	ear ear

	dropped [reasons]atomic.Uint64

	// Guarded by Conference.mu.
	wish     api.Endpoint
	joined   time.Duration      // after the epoch
	sources  []*source          // in the order of signalling
	met      map[*source]uint64 // of others, that it was given in this session, with their Since: it knows them for good
	receive  constraints
	channel  channel.Conn // nil: none is open
	told     []string     // the forwarded sources that it was told of
	activity activity
	speech   speech
	quality  judge
	recorded [reasons]uint64 // of dropped
}

// Drop is why a packet was dropped.
type Drop uint8

const (
	DropMalformed Drop = iota // not RTP (HB9)
	DropSource                // an SSRC that the endpoint has not signalled (HB5)
	DropBudget                // more packets than an endpoint may send (HB9)
	DropPayload               // a payload type that was not negotiated, or not for this kind of source
	DropSequence              // a sequence number far from the stream's (HB9)
	DropMuted                 // of a source that a moderator has muted
	DropRepair                // a retransmission of a payload type that has none, or malformed
	DropProbe                 // a retransmission of nothing, or of what came before: clients probe their uplink with them
	DropControl               // malformed RTCP, or too much of it (HB8)
	DropRoom                  // the Leg has no room
	DropLate                  // what waited for a slow receiver too long
	DropOpus                  // audio without a level that no level can be found of; it is forwarded
	DropUnheard               // audio without a level that was too much to find one of; it is forwarded
	reasons
)

var dropNames = [reasons]string{"media.rtp", "media.ssrc", "media.budget", "media.payload", "media.sequence", "media.muted",
	"media.rtx", "media.probe", "media.rtcp", "media.full", "media.late", "media.opus", "media.unheard"}

func (d Drop) String() string { return dropNames[d] }

// Dropped returns how many packets were dropped for a reason.
func (e *Endpoint) Dropped(d Drop) uint64 { return e.dropped[d].Load() }

// record counts what was dropped since the last call, with one line in the log for each reason.
func (e *Endpoint) record(r *event.Recorder) {
	for d := range reasons {
		n := e.dropped[d].Load()
		if n != e.recorded[d] {
			line := r.Reject
			if d == DropProbe || d == DropLate || d == DropUnheard {
				line = r.Debug
			}
			line(d.String(), e.ID, "endpoint", e.ID, "dropped", n)
			for e.recorded[d]++; e.recorded[d] < n; e.recorded[d]++ {
				r.Count(d.String())
			}
		}
	}
}

func (e *Endpoint) drop(d Drop) { e.dropped[d].Add(1) }

func newEndpoint(c *Conference, id, member string) *Endpoint {
	e := &Endpoint{ID: id, Member: cmp.Or(member, id), Conference: c, epoch: c.epoch, joined: time.Since(c.epoch), met: make(map[*source]uint64)}
	e.in.reset()
	e.out.reset()
	e.receive.reset()
	e.dialect.Store(newDialect(api.Receive{}))
	return e
}

func (e *Endpoint) bridge() *Bridge { return e.Conference.bridge }

// Attach gives the endpoint its way to the client, in place of the one that it had; nil takes it away.
func (e *Endpoint) Attach(leg Leg) {
	if leg == nil {
		e.leg.Store(nil)
		return
	}
	e.leg.Store(&leg)
	e.Conference.dirty.Store(true)
}

// ready returns the leg when media can go out over it, else nil.
func (e *Endpoint) ready() (Leg, *dialect) {
	leg := e.leg.Load()
	if leg == nil || !(*leg).Ready() {
		return nil, nil
	}
	return *leg, e.dialect.Load()
}

// State takes a change of the transport's state and tells the focus.
func (e *Endpoint) State(state, reason string) {
	c := e.Conference
	e.consent.Store(state == api.Connected)
	if state == api.Connected {
		c.dirty.Store(true)
	}
	c.bridge.event(api.Event{State: &api.State{Conference: c.ID, Endpoint: e.ID, Session: int(e.session.Load()), State: state, Reason: reason}})
}

// Moved forgets what was known of the way to the client.
func (e *Endpoint) Moved() {
	o := &e.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if d := &o.downlink; d.estimator != nil {
		d.estimator.Reset()
		d.state = d.estimator.State()
		o.pacer.rate = d.pace()
	}
}

// Messages sets who takes the messages of the data channel (channel.Data has the method for it).
func (e *Endpoint) Messages(f func(data []byte, text bool)) { e.message.Store(&f) }

// Message takes a message of the data channel. Without anybody to take it, it is dropped.
func (e *Endpoint) Message(data []byte, text bool) {
	if f := e.message.Load(); f != nil {
		(*f)(data, text)
	}
}

// egress is what goes out to one endpoint.
type egress struct {
	mu         sync.Mutex       // guards what follows; the Leg is called under it
	slots      map[uint32]*slot // by SSRC
	trails     map[uint32]trail // of SSRCs whose slots have gone
	audio      []*slot
	video      []*slot
	order      []*slot // of video that is wanted, the most important first
	awaited    int     // sources of which a receiver of one stream would get one if something came of it
	share      share
	downlink   downlink
	pacer      pacer
	redundancy redundancy
	sequence   uint16 // transport-wide
	bytes      int64  // that left, of RTP
	blanks     uint16 // sequence number of the next padding on the bridge's own SSRC
	header     rtp.Header
	scratch    [512]byte  // a dependency descriptor
	repair     rtp.Packet // that is sent again
	again      packet     // of a replay
	report     []byte     // scratch for RTCP
	uses       uint64     // counts slots that were turned off, and SSRCs that went
	budget     controlBudget
	closed     bool
}

func (o *egress) reset() {
	o.slots, o.trails = make(map[uint32]*slot), make(map[uint32]trail)
	o.budget.reset()
}

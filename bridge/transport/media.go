package transport

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	prtcp "github.com/pion/rtcp"
	prtp "github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"parley/bridge/ice"
	"parley/bridge/udp"
)

const (
	// An answer to a NACK may come 500 ms late: at 20 Mbit/s that is a thousand packets.
	replayRTP  = 1024
	replayRTCP = 256

	// maxSSRCs is how many SSRCs an endpoint may send in the life of its keys. Each costs a replay window; which of them
	// were signalled, the Receiver knows.
	maxSSRCs = 1000

	tagRTP  = 16     // bytes that SRTP adds, at most: AEAD_AES_128_GCM (RFC 7714 §14)
	tagRTCP = 16 + 4 // and SRTCP, with its index
)

// inbound decrypts what an endpoint sends.
type inbound struct {
	mu      sync.Mutex    // guards what follows
	context *srtp.Context // nil: no keys
	header  prtp.Header   // memory
	control prtcp.Header
	ssrcs   int
}

// rtp decrypts a packet into a Buffer and hands it on.
func (e *Endpoint) rtp(b *udp.Batch, d *udp.Datagram) {
	counts, in := &e.port.counts, &e.in
	in.mu.Lock()
	if in.context == nil {
		in.mu.Unlock()
		counts.early.Add(1)
		return
	}
	ssrc := binary.BigEndian.Uint32(d.Bytes[8:])
	_, known := in.context.ROC(ssrc)
	if !known && in.ssrcs == maxSSRCs {
		in.mu.Unlock()
		counts.crowd.Add(1)
		return
	}
	p := e.port.pool.Get(len(d.Bytes))
	plain, err := in.context.DecryptRTP(p.Bytes, d.Bytes, &in.header)
	if err != nil {
		in.mu.Unlock()
		counts.forged.Add(1)
		p.Release()
		return
	}
	if !known {
		in.ssrcs++
	}
	in.mu.Unlock()
	p.Bytes = plain
	e.receiver.RTP(b, p, d.At)
	p.Release()
}

// rtcp decrypts a compound packet where it is and hands it on.
func (e *Endpoint) rtcp(b *udp.Batch, d *udp.Datagram) {
	counts, in := &e.port.counts, &e.in
	in.mu.Lock()
	if in.context == nil {
		in.mu.Unlock()
		counts.early.Add(1)
		return
	}
	_, known := in.context.Index(binary.BigEndian.Uint32(d.Bytes[4:]))
	if !known && in.ssrcs == maxSSRCs {
		in.mu.Unlock()
		counts.crowd.Add(1)
		return
	}
	plain, err := in.context.DecryptRTCP(d.Bytes, d.Bytes, &in.control)
	if err == nil && !known {
		in.ssrcs++
	}
	in.mu.Unlock()
	if err != nil {
		counts.forged.Add(1)
		return
	}
	e.receiver.RTCP(b, plain, d.At)
}

// drop forgets the keys.
func (in *inbound) drop() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.context = nil
}

// outbound encrypts what is sent to an endpoint.
type outbound struct {
	mu       sync.Mutex // guards what follows; held from Reserve to Commit; taken before the writer's
	context  *srtp.Context
	sent     sent        // of context
	writer   *udp.Writer // nil: no path
	path     ice.Path
	delay    time.Duration
	header   prtp.Header // memory
	control  prtcp.Header
	reserved []byte // of the packet and its tag
}

// Reserve returns room for a plain RTP packet of n bytes, to be filled in before Commit, which must follow; nil if nothing
// can be sent, and then Commit must not follow. In between the caller holds the endpoint's way out.
func (e *Endpoint) Reserve(n int) []byte {
	o := &e.out
	if n <= 0 || !e.ready.Load() {
		return nil
	}
	o.mu.Lock()
	if o.writer == nil || o.context == nil {
		o.mu.Unlock()
		return nil
	}
	p := o.writer.Reserve(n + tagRTP)
	if p == nil {
		o.mu.Unlock()
		return nil
	}
	o.reserved = p
	return p[:n:n]
}

// Commit encrypts the first n reserved bytes where they are and queues them; 0 discards them, and so does a sequence number
// that the SSRC had before: see sent. With end, the packet ends what the receiver can use.
func (e *Endpoint) Commit(b *udp.Batch, n int, ssrc uint32, end bool) {
	o := &e.out
	p := o.reserved
	o.reserved = nil
	if n > len(p)-tagRTP || n < 12 {
		n = 0
	}
	if n > 0 && !o.sent.fresh(binary.BigEndian.Uint32(p[8:]), binary.BigEndian.Uint16(p[2:])) {
		e.port.counts.repeated.Add(1)
		n = 0
	}
	if n > 0 {
		sealed, err := o.context.EncryptRTP(p, p[:n], &o.header)
		if n = len(sealed); err != nil {
			n = 0 // no RTP
		}
	}
	o.writer.Commit(b, n, ssrc, end)
	o.mu.Unlock()
}

// RTCP encrypts a copy of a compound packet and queues it.
func (e *Endpoint) RTCP(b *udp.Batch, compound []byte) {
	o := &e.out
	if len(compound) < 8 || !e.ready.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writer == nil || o.context == nil {
		return
	}
	p := o.writer.Reserve(len(compound) + tagRTCP)
	if p == nil {
		return
	}
	sealed, err := o.context.EncryptRTCP(p, compound, &o.control)
	if err != nil {
		sealed = nil // no RTCP
	}
	o.writer.Commit(b, len(sealed), binary.BigEndian.Uint32(compound[4:]), false)
}

// SetDelay sets how long a packet may wait for others: see udp.Writer.SetDelay.
func (e *Endpoint) SetDelay(d time.Duration) {
	o := &e.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.delay = d
	if o.writer != nil {
		o.writer.SetDelay(d)
	}
}

// follow takes the path that ICE has selected and reports that there is one. What waits on the path before still leaves,
// unless there may be none.
func (o *outbound) follow(e *Endpoint) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	path, ok := e.agent.Selected()
	switch {
	case !ok:
		o.close()
	case o.writer == nil || path != o.path:
		o.path = path
		if o.writer = e.port.writer(path); o.writer != nil {
			o.writer.SetDelay(o.delay)
		}
	}
	return o.writer != nil
}

// drop forgets the keys and the path.
func (o *outbound) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.context, o.sent = nil, nil
	o.close()
}

func (o *outbound) close() {
	if o.writer != nil {
		o.writer.Close()
		o.writer = nil
	}
}

// setKeys makes the two contexts of SRTP from what DTLS exports (RFC 5764 §4.2).
func (e *Endpoint) setKeys(profile srtp.ProtectionProfile, from srtp.KeyingMaterialExporter, client bool) error {
	c := srtp.Config{Profile: profile}
	if err := c.ExtractSessionKeysFromDTLS(from, client); err != nil {
		return err
	}
	in, err := srtp.CreateContext(c.Keys.RemoteMasterKey, c.Keys.RemoteMasterSalt, profile,
		srtp.SRTPReplayProtection(replayRTP), srtp.SRTCPReplayProtection(replayRTCP))
	out, err2 := srtp.CreateContext(c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt, profile)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	e.in.mu.Lock()
	e.in.context = in
	e.in.mu.Unlock()
	e.out.mu.Lock()
	e.out.context, e.out.sent = out, make(sent)
	e.out.mu.Unlock()
	return nil
}

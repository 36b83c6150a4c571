package muc

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/journal"
	"parley/internal/limit"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// sink counts what is delivered and allocates nothing.
type sink struct{ got atomic.Int64 }

func (s *sink) Deliver(*wire.Batch, wire.Addr, wire.Stanza) { s.got.Add(1) }

// visitor is a sender that holds nothing.
type visitor struct {
	addr wire.Addr
	out  *sink
}

func (v *visitor) Addr() wire.Addr                                    { return v.addr }
func (v *visitor) Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza) { v.out.Deliver(b, to, s) }
func (v *visitor) Guest() bool                                        { return true }
func (v *visitor) Source() netip.Addr                                 { return netip.Addr{} }
func (v *visitor) Claims() *token.Claims                              { return nil }
func (v *visitor) Hold() func()                                       { return func() {} }
func benchmarkService(b testing.TB, l Limits) (*Service, *sink) {
	out := &sink{}
	l.Unlocked = true
	s, err := New(Config{Domain: "muc.x", Limits: l}, out, newMemory(), nil)
	if err != nil {
		b.Fatal(err)
	}
	return s, out
}

const jitsiPresence = "<stats-id>Cathrine-Un0</stats-id><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://jitsi.org/jitsi-meet' ver='dtzK/3aZ0='/>" +
	"<SourceInfo>{&quot;%s-a0&quot;:{&quot;muted&quot;:true},&quot;%s-v0&quot;:{&quot;muted&quot;:true}}</SourceInfo>" +
	"<jitsi_participant_codecList>av1,vp9,vp8,h264</jitsi_participant_codecList><nick xmlns='http://jabber.org/protocol/nick'>Ann</nick>"

func (v *visitor) join(b testing.TB, s *Service, n int) {
	nick := fmt.Sprintf("%08x", n)
	p := parse(b, fmt.Sprintf("<presence to='r@muc.x/%s'><x xmlns='%s'/>%s</presence>", nick, NSMUC, fmt.Sprintf(jitsiPresence, nick, nick)))
	s.Handle(nil, v, wire.Addr("r@muc.x/"+nick), p)
}

// until waits without sleeping long.
func until(done func() bool) {
	for !done() {
		time.Sleep(20 * time.Microsecond)
	}
}

// BenchmarkBroadcast100 is one message to a room of 100: parsing aside, up to the call of Deliver for each receiver.
func BenchmarkBroadcast100(b *testing.B) { benchmarkBroadcast(b, func(*Service) {}) }

// BenchmarkBroadcast100Kept is the same with a journal, whose every message is flushed.
func BenchmarkBroadcast100Kept(b *testing.B) { benchmarkBroadcast(b, func(s *Service) { keep(b, s) }) }

func benchmarkBroadcast(b *testing.B, prepare func(*Service)) {
	s, out := benchmarkService(b, Limits{Admission: limit.Rate{PerSecond: 1e6, Burst: 1e6}})
	prepare(s)
	visitors := make([]*visitor, 100)
	for i := range visitors {
		visitors[i] = &visitor{wire.Addr(fmt.Sprintf("c%d@guest.x/1", i)), out}
		visitors[i].join(b, s, i)
	}
	until(func() bool { return s.Stats().Occupants == 100 })
	time.Sleep(200 * time.Millisecond) // presence that was put off
	p := parse(b, "<message to='r@muc.x' type='groupchat' id='m1'><body>"+string(make200())+"</body></message>")
	before := out.got.Load()
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	for i := range b.N {
		s.Handle(nil, visitors[i%100], "r@muc.x", p)
		if i%1024 == 1023 { // the mailbox holds 4,096
			until(func() bool { return out.got.Load()-before >= int64(i+1)*100 })
		}
	}
	until(func() bool { return out.got.Load()-before >= int64(b.N)*100 })
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(b.N)/100, "cpu-ns/delivery")
}

func make200() []byte {
	text := make([]byte, 100)
	for i := range text {
		text[i] = 'x'
	}
	return text
}

// keep gives the service a journal on the disk.
func keep(b *testing.B, s *Service) {
	j, err := journal.Open(b.TempDir(), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	share := struct {
		*journal.Part
		*flushing
	}{j.Part("rooms", s), &flushing{j}}
	s.Journal(share, all)
	if err := j.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { j.Close() })
}

// flushing writes what was appended as soon as a group ends, as the sessions have it.
type flushing struct{ *journal.Journal }

func (f *flushing) End() {
	f.Journal.End()
	f.Flush()
}

// BenchmarkJoin500Kept is BenchmarkJoin500 with a journal.
func BenchmarkJoin500Kept(b *testing.B) { benchmarkJoin(b, func(s *Service) { keep(b, s) }) }

// BenchmarkJoin500 is 500 people who join one room as fast as they are let in: all see all.
func BenchmarkJoin500(b *testing.B) { benchmarkJoin(b, func(*Service) {}) }

func benchmarkJoin(b *testing.B, prepare func(*Service)) {
	for range b.N {
		s, out := benchmarkService(b, Limits{Admission: limit.Rate{PerSecond: 250, Burst: 50}})
		prepare(s)
		began := time.Now()
		cpu := cpuTime()
		for i := range 500 {
			(&visitor{wire.Addr(fmt.Sprintf("c%d@guest.x/1", i)), out}).join(b, s, i)
		}
		for s.Stats().Occupants < 500 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/500/1000, "cpu-ms/join")
		b.ReportMetric(time.Since(began).Seconds()-0.1, "s/storm")
		b.ReportMetric(float64(out.got.Load())/500, "deliveries/join")
	}
}

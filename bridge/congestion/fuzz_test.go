package congestion

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/pion/interceptor/pkg/twcc"

	"parley/bridge/rtp"
)

// What a run of the fuzzer is made of: an operation, an argument, and for feedback a length and its bytes.
const (
	opSend     = iota // arg packets, one a millisecond
	opWait            // arg milliseconds
	opLong            // arg seconds
	opFeedback        // arg bytes follow: an RTCP packet, whatever it says
	opNear            // the same about the packets of late: number and reference time are set to what is plausible
	opDemand          // arg times 100 kbit/s
	opREMB
	opReset
	operations
)

// FuzzFeedback holds that nothing that a receiver says makes the estimator fail or leave its bounds.
func FuzzFeedback(f *testing.F) {
	var arrivals rtp.Arrivals
	seed := []byte{opSend, 40}
	for n := range uint16(40) {
		if n%9 != 4 {
			arrivals.Record(n+1, time.Duration(n)*ms+time.Duration(n*n)*ms/20+time.Hour)
		}
	}
	b, _ := arrivals.Append(nil, 1, 2, 1200)
	seed = append(append(seed, opFeedback, byte(len(b))), b...)
	f.Add(seed)
	f.Add(append(append([]byte{opSend, 200, opWait, 100, opNear, byte(len(b))}, b...), opSend, 100, opLong, 9, opSend, 1, opDemand, 200, opREMB, 3, opReset, 0, opSend, 20))
	recorder := twcc.NewRecorder(1) // another implementation's words
	for n := range int64(60) {
		if n%13 != 7 {
			recorder.Record(2, uint16(n+1), 1e9+n*(5_000+400*(n%7)))
		}
	}
	for _, p := range recorder.BuildFeedbackPacket() {
		b, err := p.Marshal()
		if err != nil || parse(b) == nil {
			f.Fatalf("%v: %x", err, b)
		}
		f.Add(append([]byte{opSend, 60, opFeedback, byte(len(b))}, b...))
		f.Add(append([]byte{opSend, 90, opWait, 30, opNear, byte(len(b))}, b...))
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		c := Config{}.filled()
		e := NewGCC(c)
		now, number, reference := second, uint16(0), uint32(0)
		for len(ops) >= 2 {
			op, arg := ops[0]%operations, int(ops[1])
			ops = ops[2:]
			switch op {
			case opSend:
				for range arg {
					now += ms
					number++
					e.Sent(Packet{Number: number, At: now, Size: 10 * arg, Probe: e.State().Probe.ID})
				}
			case opWait:
				now += time.Duration(arg) * ms
			case opLong:
				now += time.Duration(arg) * second
			case opDemand:
				e.Demand(Bitrate(arg) * 100_000)
			case opREMB:
				e.REMB(Bitrate(arg) * 100_000)
			case opReset:
				e.Reset()
			case opFeedback, opNear:
				n := min(arg, len(ops))
				b := append([]byte(nil), ops[:n]...)
				ops = ops[n:]
				if op == opNear && len(b) >= 20 {
					reference += uint32(b[18]) % 3
					binary.BigEndian.PutUint16(b[12:], number-uint16(b[13]))
					binary.BigEndian.PutUint32(b[16:], reference<<8|uint32(b[19]))
				}
				if r := parse(b); r != nil {
					e.Report(r, now)
				}
			}
			s := e.Tick(now)
			if s.Rate < c.Minimum || s.Rate > c.Maximum {
				t.Fatalf("rate %d", s.Rate)
			}
			if !(s.Loss >= 0 && s.Loss <= 1) || s.Acknowledged < 0 || s.Delay < 0 || s.RTT < 0 || s.MinRTT < 0 {
				t.Fatalf("%+v", s)
			}
			if s.Probe.Rate < 0 || s.Probe.Rate > c.Maximum || (s.Probe.ID == 0) != (s.Probe.Rate == 0) {
				t.Fatalf("probe %+v", s.Probe)
			}
			if v := e.control.rate + e.sentRate + e.trend.smoothed + e.trend.threshold + e.losses.bound + e.losses.inherent + e.control.capacity.rate; math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("not finite: %+v", e)
			}
		}
	})
}

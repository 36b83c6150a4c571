package network

import (
	"time"

	"parley/internal/netem"
)

// course is what was recorded of a case. Times count from its begin.
type course struct {
	Case    Case
	Queue   time.Duration // of a full one
	Senders int           // that have a camera and a microphone
	Offer   float64       // bits a second that a receiver can get at most
	Flows   []*netem.Record
	Load    *netem.Record // of TCP
	Reports []report
	Keyed   uint64 // key frames that were asked of all cameras, of each size

	Bystander report // of one whose path has neither bottleneck nor losses
	Lateness  netem.Lateness
}

// Figures are what is said of a case.
type Figures struct {
	Use     float64   // share of what could come down that did
	Queue   float64   // ms that packets of media waited at the bottleneck, p95
	Peak    float64   // ms, longest
	Down    float64   // s from a fall of the capacity until no more than it is sent; worst
	Up      float64   // s from a rise until 85 % of what could come does; worst
	Begin   float64   // s from the first flow's begin until the same; so much that the case ended first counts as its length
	Jain    float64   // fairness of the flows, once the last has begun; 0 with one flow
	TCP     float64   // share of what came that was TCP
	Audio   float64   // share of audio frames that were played
	Freeze  float64   // share of the time that pictures stood still for at most 5 s, mean of all
	Away    float64   // share of the time without pictures: before the first, or none for 5 s
	FPS     float64   // pictures a second of each camera while its picture is wanted
	Repair  float64   // share of the bytes that was retransmission and padding
	Repairs float64   // kB of it
	Dropped float64   // share of packets that the full queue dropped
	Marked  float64   // share of packets that waited longer than the threshold of L4S
	Nacked  float64   // packets asked for again
	Begged  float64   // key frames that receivers asked for
	Keyed   float64   // key frames that the server asked for, of each camera in a minute, one for each size
	Others  Others    // the bystander, if there is one
	Late    float64   // ms that the emulation was late, p95
	Rates   []float64 // kbit/s of each flow while it was active
}

// Others is what somebody sees whose network is good.
type Others struct {
	FPS    float64 // pictures a second of each camera
	Delay  float64 // ms from sender to receiver, p95, worst of all sources
	Begged float64 // key frames asked for
	Audio  float64 // share of audio frames that were played
}

const (
	enough  = 0.85 // of what could come
	average = time.Second
	brief   = 500 * time.Millisecond
)

// figures computes them.
func (c *course) figures() Figures {
	f := Figures{Queue: ms(c.queueing(0.95)), Peak: ms(c.queueing(1)), Use: c.use(), Late: ms(c.Lateness.Quantile(0.95))}
	f.Down, f.Up, f.Begin = c.reactions()
	if len(c.Flows) > 1 || c.Case.Long > 0 {
		f.Jain = c.jain()
	}
	media, load := c.delivered(0, c.Case.Length, false), c.Load.Delivered(c.Load.Begin, c.Load.Begin+c.Case.Length)
	if media+load > 0 {
		f.TCP = load / (media + load)
	}
	var packets, dropped, marked, bytes, repairs int
	for i, r := range c.Flows {
		packets, dropped = packets+r.Packets+r.Dropped, dropped+r.Dropped
		marked += r.Marked
		repairs += r.Bytes[classRepair]
		for _, n := range r.Bytes {
			bytes += n
		}
		f.Rates = append(f.Rates, ratio(r.Delivered(r.Begin, r.Begin+c.Case.Length), c.wanted(i))/1000)
	}
	f.Repair, f.Repairs, f.Dropped = ratio(float64(repairs), float64(bytes)), float64(repairs)/1000, ratio(float64(dropped), float64(packets))
	f.Keyed = ratio(float64(c.Keyed), float64(c.Senders)*c.Case.Length.Minutes())
	f.Marked = ratio(float64(marked), float64(packets))
	c.seen(&f)
	f.Others = c.others()
	return f
}

// seen is what the receivers say.
func (c *course) seen(f *Figures) {
	var played, concealed uint64
	there, wanted, alive, pictures := 0.0, 0.0, 0.0, 0.0
	for i, r := range c.Reports {
		active := c.wanted(i)
		wanted += active * float64(c.Senders)
		f.Nacked += float64(r.Nacked)
		f.Begged += float64(r.Begged)
		for _, s := range r.Sources {
			if s.Audio {
				played += s.Played
				concealed += s.Concealed
				continue
			}
			there++
			f.Freeze += s.Freeze
			pictures += float64(s.Pictures)
			alive += min(s.Alive, active)
		}
	}
	f.Audio = ratio(float64(played), float64(played+concealed))
	f.Freeze, f.FPS, f.Away = ratio(f.Freeze, there), ratio(pictures, wanted), 1-ratio(alive, wanted)
}

func (c *course) others() (o Others) {
	var played, concealed, pictures float64
	for _, s := range c.Bystander.Sources {
		o.Delay = max(o.Delay, s.DelayP95)
		played, concealed = played+float64(s.Played), concealed+float64(s.Concealed)
		pictures += float64(s.Pictures)
	}
	o.Begged = float64(c.Bystander.Begged)
	o.FPS, o.Audio = pictures/float64(c.Senders)/c.Case.Length.Seconds(), ratio(played, played+concealed)
	return o
}

// wanted is for how many seconds a flow wants pictures.
func (c *course) wanted(flow int) (s float64) {
	for at := time.Duration(0); at < c.Case.Length; at += netem.Bin {
		if c.Case.Flows[flow].active(at) {
			s += netem.Bin.Seconds()
		}
	}
	return s
}

// delivered are the bits of media, and of TCP too if wanted, that arrived between two times.
func (c *course) delivered(from, to time.Duration, all bool) float64 {
	sum := 0.0
	for _, r := range c.Flows {
		sum += r.Delivered(r.Begin+from, r.Begin+to)
	}
	if all {
		sum += c.Load.Delivered(c.Load.Begin+from, c.Load.Begin+to)
	}
	return sum
}

func (c *course) offered(from, to time.Duration) float64 {
	sum := 0.0
	for _, r := range c.Flows {
		sum += r.Offered(r.Begin+from, r.Begin+to)
	}
	return sum
}

// possible is what could come down at a time, in bits a second: the capacity, unless all that there is to send is less.
func (c *course) possible(at time.Duration) float64 {
	offer := 0.0
	for _, f := range c.Case.Flows {
		if f.active(at) {
			offer += c.Offer
		}
	}
	switch rate := c.Case.Down.Rate(at); {
	case rate == netem.Unlimited:
		return offer
	case c.Case.Long > 0:
		return float64(rate)
	default:
		return min(float64(rate), offer)
	}
}

// use is the share of what could come that did, with TCP where it competes. Times in which nobody wants pictures do not count.
func (c *course) use() float64 {
	got, could := 0.0, 0.0
	for at := time.Duration(0); at < c.Case.Length; at += netem.Bin {
		if p := c.possible(at); p > 0 {
			could += p * netem.Bin.Seconds()
			got += c.delivered(at, at+netem.Bin, true)
		}
	}
	return ratio(got, could)
}

func (c *course) queueing(q float64) (worst time.Duration) {
	for _, r := range c.Flows {
		worst = max(worst, r.Queueing(r.Begin, r.Begin+c.Case.Length, q))
	}
	return worst
}

// reactions are how long the flows together took to follow the capacity: the worst fall, the worst rise, and the begin. What
// took longer than it could counts as long as that.
func (c *course) reactions() (down, up, begin float64) {
	steps := c.Case.Down
	first := c.Case.Length
	for _, f := range c.Case.Flows {
		first = min(first, f.Start)
	}
	for i, s := range steps {
		from, to := max(s.At, first), c.Case.Length
		if i+1 < len(steps) {
			to = steps[i+1].At
		}
		switch {
		case i == 0:
			begin = c.rises(from, to)
		case s.Rate < steps[i-1].Rate:
			down = max(down, c.falls(from, to))
		default:
			up = max(up, c.rises(from, to))
		}
	}
	return down, up, begin
}

// falls is how long it takes until no more is sent than passes, on average of half a second.
func (c *course) falls(from, to time.Duration) float64 {
	for at := from; at+brief <= to; at += netem.Bin {
		if c.offered(at, at+brief) <= float64(c.Case.Down.Rate(from))*brief.Seconds() {
			return (at - from).Seconds()
		}
	}
	return (to - from).Seconds()
}

// rises is how long it takes until enough comes, on average of a second.
func (c *course) rises(from, to time.Duration) float64 {
	for at := from; at+average <= to; at += netem.Bin {
		if c.delivered(at, at+average, true) >= enough*c.possible(at)*average.Seconds() {
			return (at - from).Seconds()
		}
	}
	return (to - from).Seconds()
}

// jain is Jain's index of what the flows got, one long TCP connection among them, in the last two thirds of the time in which
// all were active: 1 when all got the same, 1/n when one got everything.
func (c *course) jain() float64 {
	begin := c.Case.settled()
	begin += (c.Case.Length - begin) / 3
	begin = begin.Truncate(netem.Bin)
	sum, squares, n := 0.0, 0.0, 0.0
	add := func(r *netem.Record) {
		v := r.Delivered(r.Begin+begin, r.Begin+c.Case.Length)
		sum, squares, n = sum+v, squares+v*v, n+1
	}
	for _, r := range c.Flows {
		add(r)
	}
	if c.Case.Long > 0 {
		add(c.Load)
	}
	return ratio(sum*sum, n*squares)
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

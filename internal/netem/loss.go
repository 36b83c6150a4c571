package netem

import "math/rand/v2"

// Loss says which packets a line loses. The kinds add up: a packet comes through when none of them takes it.
type Loss struct {
	Random float64 // share of the packets, each for itself
	States States
	Burst  Burst
}

// States is the model of Gilbert and Elliott: a chain of two states, each with its own share of losses. Before each packet
// the state may change. The zero value loses nothing.
type States struct {
	ToBad, ToGood     float64 // probabilities of a change
	LossGood, LossBad float64
}

// Burst loses exactly the last Length of each Every packets.
type Burst struct{ Length, Every int }

// losses is a Loss at work.
type losses struct {
	Loss
	bad bool
	n   int // packets in the present period of bursts
}

// takes reports that the next packet is lost.
func (l *losses) takes(random *rand.Rand) bool {
	lost := l.Random > 0 && random.Float64() < l.Random
	if s := l.States; s != (States{}) {
		change, share := s.ToBad, s.LossGood
		if l.bad {
			change = s.ToGood
		}
		if random.Float64() < change {
			l.bad = !l.bad
		}
		if l.bad {
			share = s.LossBad
		}
		lost = random.Float64() < share || lost
	}
	if l.Burst.Every > 0 {
		lost = lost || l.n >= l.Burst.Every-l.Burst.Length
		l.n = (l.n + 1) % l.Burst.Every
	}
	return lost
}

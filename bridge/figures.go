package bridge

import "parley/bridge/api"

// Figures are what was counted for each endpoint of a conference, in the order of the wish; nil when there is none.
func (b *Bridge) Figures(conference string) []api.Figures {
	c := b.Conference(conference)
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]api.Figures, 0, len(c.order))
	for _, e := range c.order {
		f := api.Figures{Endpoint: e.ID, Member: e.Member, In: e.in.flow(), Trouble: partNames[e.quality.told]}
		f.Out, f.Rate, f.RTT = e.out.flow()
		list = append(list, f)
	}
	return list
}

// flow is what came.
func (i *ingress) flow() api.Flow {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all tally
	for _, of := range i.table {
		if !of.repair && of.stream.reception.active {
			all.add(of.stream.reception.tally())
		}
	}
	return api.Flow{Bytes: i.bytes, Packets: all.expected, Lost: max(all.lost, 0)} // what came twice may outweigh what did not
}

// flow is what left, what the way is taken for in bits per second, and a round trip in µs.
func (o *egress) flow() (f api.Flow, rate, rtt int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := &o.downlink
	f.Bytes = o.bytes
	if d.heard {
		f.Packets, f.Lost = d.state.Fates.Total, d.state.Fates.Lost
		rtt = d.roundTrip().Microseconds()
	}
	return f, d.rate(), rtt
}

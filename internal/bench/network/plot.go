package network

import (
	"bytes"
	"fmt"
	"html"
	"time"

	"parley/internal/netem"
)

// Measures of a drawing, in pixels.
const (
	plotWidth, plotHeight = 970, 540
	plotLeft, plotRight   = 60, 940
	ratesTop, ratesBottom = 60, 350
	queueTop, queueBottom = 400, 510
)

// colours of flows: those that people tell apart who see few.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"}

// plot draws, over time, the capacity and what each flow got (averages of half a second), and below it how long packets
// waited at the bottleneck (the longest of each tenth of a second).
func (c *course) plot(title string) []byte {
	var b bytes.Buffer
	most := c.highest()
	length := c.Case.Length
	x := func(at time.Duration) float64 {
		return plotLeft + (plotRight-plotLeft)*at.Seconds()/length.Seconds()
	}
	rate := func(bits float64) float64 { return ratesBottom - (ratesBottom-ratesTop)*min(bits/most, 1) }
	longest := max(c.Queue, c.queueing(1), milli) * 11 / 10
	wait := func(d time.Duration) float64 {
		return queueBottom - (queueBottom-queueTop)*d.Seconds()/longest.Seconds()
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="24" font-size="15">%s</text>`+"\n", plotLeft, html.EscapeString(title))
	grid := func(y float64, label string) {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft, y, plotRight, plotLeft-6, y+4, label)
	}
	for i := range 5 {
		grid(rate(most*float64(i)/4), fmt.Sprintf("%.2f", most*float64(i)/4/1e6))
	}
	for i := range 3 {
		grid(wait(longest*time.Duration(i)/2), fmt.Sprintf("%d", (longest*time.Duration(i)/2).Milliseconds()))
	}
	for i := range 11 {
		at := length * time.Duration(i) / 10
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%.0f s</text>`+"\n", x(at), queueBottom+18, at.Seconds())
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">Mbit/s</text><text x="%d" y="%d">queue, ms</text>`+"\n", plotLeft+4, ratesTop-4, plotLeft+4, queueTop-6)

	line := func(colour, more string, n int, point func(i int) (x, y float64)) {
		fmt.Fprintf(&b, `<path fill="none" stroke="%s" %s d="`, colour, more)
		for i := range n {
			px, py := point(i)
			letter := 'L'
			if i == 0 {
				letter = 'M'
			}
			fmt.Fprintf(&b, "%c%.1f %.1f", letter, px, py)
		}
		b.WriteString("\"/>\n")
	}
	steps := int(length / netem.Bin)
	line("#999", `stroke-width="2"`, steps, func(i int) (float64, float64) {
		at := time.Duration(i) * netem.Bin
		capacity := c.Case.Down.Rate(at)
		if capacity == netem.Unlimited {
			capacity = netem.Bitrate(most)
		}
		return x(at), rate(float64(capacity))
	})
	smooth := int(brief / netem.Bin)
	draw := func(r *netem.Record, colour, more, label string, n int) {
		line(colour, more, max(steps-smooth+1, 0), func(i int) (float64, float64) {
			at := time.Duration(i) * netem.Bin
			return x(at + brief/2), rate(r.Delivered(r.Begin+at, r.Begin+at+brief) / brief.Seconds())
		})
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", plotLeft+80+110*n, ratesTop-4, colour, label)
	}
	for i, r := range c.Flows {
		draw(r, colours[i%len(colours)], `stroke-width="1.2"`, fmt.Sprintf("receiver %d", i+1), i)
		busy := c.busy(r)
		line(colours[i%len(colours)], `stroke-width="0.8"`, len(busy), func(i int) (float64, float64) {
			return x(time.Duration(busy[i]) * netem.Bin), wait(r.Intervals[busy[i]].Wait)
		})
	}
	if c.Case.Long+c.Case.Short > 0 {
		draw(c.Load, "#000", `stroke-width="1" stroke-dasharray="3 2"`, "TCP", len(c.Flows))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// busy are the intervals in which something was sent to a flow.
func (c *course) busy(r *netem.Record) (all []int) {
	for i := range min(int(c.Case.Length/netem.Bin), len(r.Intervals)) {
		if r.Intervals[i].Offered > 0 {
			all = append(all, i)
		}
	}
	return all
}

// highest is the upper end of the scale of rates: a little above the capacity, or what came where that is far below.
func (c *course) highest() float64 {
	capacity, came := 0.0, 0.0
	for _, s := range c.Case.Down {
		capacity = max(capacity, float64(s.Rate))
	}
	for at := time.Duration(0); at < c.Case.Length; at += netem.Bin {
		came = max(came, c.delivered(at, at+brief, true)/brief.Seconds())
	}
	if capacity == 0 || capacity > 3*came {
		capacity = came
	}
	return max(1.1*capacity, 1)
}

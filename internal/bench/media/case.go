package media

import (
	"fmt"
	"math"
	"time"
)

// Case is who sends what to how many.
type Case struct {
	Name               string
	Senders, Receivers int
	Camera             string // camera720, camera180, equal
	Voice              bool

	camera, voice trace
}

// cases are those of the design's table.
var cases = []Case{
	{Name: "cameras", Senders: 5, Receivers: 20, Camera: "camera720", Voice: true},
	{Name: "gallery", Senders: 20, Receivers: 20, Camera: "camera180", Voice: true},
	{Name: "lecture", Senders: 1, Receivers: 50, Camera: "camera720", Voice: true},
	{Name: "equal-5x20", Senders: 5, Receivers: 20, Camera: "equal"},
	{Name: "equal-10x20", Senders: 10, Receivers: 20, Camera: "equal"},
	{Name: "equal-1x50", Senders: 1, Receivers: 50, Camera: "equal"},
}

// title says in the table what a case is.
func (c Case) title() string {
	what := map[string]string{"camera720": "720p", "camera180": "180p", "equal": "equal"}[c.Camera]
	if c.Voice {
		what += " + voice"
	}
	return fmt.Sprintf("%s: %d × %s to %d", c.Name, c.Senders, what, c.Receivers)
}

// height is what the receivers ask for.
func (c Case) height() int {
	if c.Camera == "camera180" {
		return 180
	}
	return 720
}

// load reads the traces; a capture takes the place of the recorded ones.
func (c *Case) load(capture string) (err error) {
	switch {
	case c.Camera == "equal":
		c.camera = equal()
	case capture == "":
		if c.camera, err = embedded(c.Camera); err != nil {
			return err
		}
	default:
		list, err := captured(capture)
		if err != nil {
			return err
		}
		c.camera, c.voice = list[0], list[len(list)-1]
		if c.Camera == "camera180" { // the smallest layer that there is
			c.camera = list[max(len(list)-2, 0)]
		}
		return nil
	}
	if c.Voice {
		c.voice, err = embedded("voice")
	}
	return err
}

// golden is the share of a repetition by which each sender is behind the one before it: whatever the distance of frames is,
// those of different senders do not coincide.
const golden = 0.6180339887498949

// sources are those of the i-th sender. Each begins at another time, as people do.
func (c Case) sources(i int) []*source {
	ssrc := uint32(1000 * (i + 1))
	list := []*source{{trace: c.camera, video: true, height: uint16(c.height()), ssrc: ssrc, begins: true}}
	if c.Voice {
		list = append(list, &source{trace: c.voice, ssrc: ssrc + 1, begins: true})
	}
	_, share := math.Modf(golden * float64(i))
	for _, s := range list {
		s.round = -time.Duration(share * float64(s.trace.period))
		for s.due() < 0 { // the repetition before, from where it stands at the begin
			if s.next++; s.next == len(s.trace.packets) {
				s.next, s.round = 0, s.round+s.trace.period
			}
		}
		for s.video && s.next > 0 && !s.trace.packets[s.next-1].marker { // from a frame's begin
			if s.next++; s.next == len(s.trace.packets) {
				s.next, s.round = 0, s.round+s.trace.period
			}
		}
	}
	return list
}

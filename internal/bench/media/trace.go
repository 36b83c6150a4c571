package media

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// trace is what one source sends, again and again.
type trace struct {
	packets []sent
	period  time.Duration
}

// sent is a packet of a trace.
type sent struct {
	at     time.Duration // since the begin of the trace
	size   int           // bytes of the UDP payload
	marker bool          // the frame ends
}

//go:embed recorded
var recorded embed.FS

// smallest is a packet that has room for what the generator writes into each: headers, a frame's first bytes, a stamp and
// the tag of SRTP.
const smallest = 72

// Bounds of traces.
const (
	largest = 1500 // bytes of a packet
	longest = time.Hour
)

// embedded reads one of the recorded traces.
func embedded(name string) (trace, error) {
	f, err := recorded.Open("recorded/" + name + ".txt")
	if err != nil {
		return trace{}, err
	}
	defer f.Close()
	t, err := parseTrace(f)
	if err != nil {
		return trace{}, fmt.Errorf("recorded %s: %w", name, err)
	}
	return t, nil
}

var errTrace = errors.New("not a trace")

// parseTrace reads lines of microseconds since the line before, bytes, and * on the marker.
func parseTrace(r io.Reader) (t trace, err error) {
	at := time.Duration(0)
	for lines := bufio.NewScanner(r); ; {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return trace{}, err
			}
			return t.closed()
		}
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		text, marker := strings.CutSuffix(line, "*")
		us, size, ok := strings.Cut(text, " ")
		gap, err := strconv.ParseUint(us, 10, 31)
		n, err2 := strconv.ParseUint(size, 10, 16)
		at += time.Duration(gap) * time.Microsecond
		if !ok || err != nil || err2 != nil || n > largest || at > longest {
			return trace{}, fmt.Errorf("%w: line %.40q", errTrace, line)
		}
		t.packets = append(t.packets, sent{at, max(int(n), smallest), marker})
	}
}

// closed sets the period so that the trace can be repeated: the mean distance of its frames, or packets, follows the last.
func (t trace) closed() (trace, error) {
	if len(t.packets) < 2 {
		return trace{}, fmt.Errorf("%w: %d packets", errTrace, len(t.packets))
	}
	last := t.packets[len(t.packets)-1].at
	if last == 0 {
		return trace{}, fmt.Errorf("%w: all packets at once", errTrace)
	}
	frames := 0
	for _, p := range t.packets {
		if p.marker {
			frames++
		}
	}
	if frames < 2 {
		frames = len(t.packets)
	}
	t.period = last + last/time.Duration(frames-1)
	return t, nil
}

// rate is packets per second.
func (t trace) rate() float64 { return float64(len(t.packets)) / t.period.Seconds() }

// Columns of a capture: time in seconds, source port, destination port, SSRC, payload type, marker, bytes.
const columns = 7

// captured reads a file of captured packets. The streams of more than ten packets a second come back by the size of
// their packets, the largest first.
func captured(name string) ([]trace, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := parseCapture(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return list, nil
}

func parseCapture(r io.Reader) ([]trace, error) {
	streams := make(map[string]*trace)
	var order []*trace
	begin, end := -1.0, 0.0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != columns {
			return nil, fmt.Errorf("%w: line %.80q", errTrace, lines.Text())
		}
		at, err := strconv.ParseFloat(f[0], 64)
		size, err2 := strconv.ParseUint(f[6], 10, 16)
		if begin < 0 && at >= 0 && at < 1e12 {
			begin = at
		}
		if err != nil || err2 != nil || size > largest || begin < 0 || !(at >= begin && at-begin <= longest.Seconds()) {
			return nil, fmt.Errorf("%w: line %.80q", errTrace, lines.Text())
		}
		end = at
		t := streams[f[3]]
		if t == nil {
			t = new(trace)
			streams[f[3]], order = t, append(order, t)
		}
		since := time.Duration((at - begin) * float64(time.Second))
		if n := len(t.packets); n > 0 {
			since = max(since, t.packets[n-1].at)
		}
		t.packets = append(t.packets, sent{since, max(int(size), smallest), f[5] == "1"})
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	var list []trace
	for _, t := range order {
		if float64(len(t.packets)) < 10*(end-begin) {
			continue
		}
		closed, err := t.closed()
		if err != nil {
			return nil, err
		}
		list = append(list, closed)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no stream", errTrace)
	}
	bytes := func(t trace) (n int) {
		for _, p := range t.packets {
			n += p.size
		}
		return n / len(t.packets)
	}
	slices.SortStableFunc(list, func(a, b trace) int { return bytes(b) - bytes(a) })
	return list, nil
}

// equal is a camera of 30 frames a second of seven packets of 1,200 bytes of payload each, a frame spread over two fifths
// of its time, which is how benchmarks of bridges usually look.
func equal() trace {
	const frames, packets, size = 30, 7, 1200 + 12 + tag
	t := trace{period: time.Second}
	for f := range frames {
		begin := time.Duration(f) * time.Second / frames
		for i := range packets {
			t.packets = append(t.packets, sent{begin + time.Duration(i)*time.Second/frames*2/5/packets, size, i == packets-1})
		}
	}
	return t
}

package congestion

import "time"

// The constants are those of draft-ietf-rmcat-gcc-02 §5.4 and of libwebrtc, where it differs from the draft.
const (
	trendWindow    = 16   // groups over which the slope is taken at least ...
	trendSpan      = 200  // ... and ms of arrivals, ...
	trendMost      = 64   // ... but not more groups
	smoothing      = 0.9  // part of the delay so far in the smoothed delay
	trendGain      = 4    // from slope to what is compared with the threshold
	trendGroups    = 60   // the slope counts the more, the more groups have been seen, up to these
	thresholdStart = 12.5 // ms
	thresholdLeast = 6    // ms
	thresholdMost  = 600  // ms
	thresholdUp    = 0.0087
	thresholdDown  = 0.039
	thresholdHeld  = 0.001 // down, while others fill the queue; the draft's is smaller still
	outlier        = 15    // ms above the threshold that do not move it
	overuseLeast   = 10 * time.Millisecond
)

// usage is what the delays say of the queue on the way.
type usage uint8

const (
	normal   usage = iota
	underuse       // it empties
	overuse        // it grows
)

// trend is the slope of the queueing delay over the last groups, compared with a threshold that adapts, so that a flow that
// fills queues by loss does not starve ours.
type trend struct {
	at       [trendMost]float64 // ms of arrival since the first group
	delay    [trendMost]float64 // ms, smoothed
	groups   int
	elapsed  float64 // ms
	sum      float64 // ms, delay of the newest group relative to the first
	smoothed float64

	threshold float64 // ms; 0 before the first group
	over      time.Duration
	overs     int
	last      float64
	usage     usage

	contested bool // others fill the queue
}

// add takes the comparison of two groups and answers what the queue does.
func (t *trend) add(between, came time.Duration) usage {
	step := float64(came) / float64(time.Millisecond)
	t.sum += step - float64(between)/float64(time.Millisecond)
	t.smoothed = smoothing*t.smoothed + (1-smoothing)*t.sum
	t.elapsed += step
	i := t.groups % trendMost
	t.at[i], t.delay[i] = t.elapsed, t.smoothed
	t.groups++
	if t.groups < 2 {
		return t.usage
	}
	slope := t.last
	if t.groups >= trendWindow {
		slope = t.slope()
	}
	t.detect(slope, between, step)
	return t.usage
}

// slope is that of the line of least squares, in ms of delay per ms.
func (t *trend) slope() float64 {
	var n, x, y, xx, xy float64
	for i := t.groups - 1; i >= 0 && n < trendMost; i-- {
		at := t.at[i%trendMost] - t.elapsed
		if n >= trendWindow && at < -trendSpan {
			break
		}
		delay := t.delay[i%trendMost] - t.smoothed
		n++
		x += at
		y += delay
		xx += at * at
		xy += at * delay
	}
	under := n*xx - x*x
	if under <= 0 {
		return t.last
	}
	return (n*xy - x*y) / under
}

func (t *trend) detect(slope float64, between time.Duration, step float64) {
	if t.threshold == 0 {
		t.threshold = thresholdStart
	}
	value := float64(min(t.groups, trendGroups)) * slope * trendGain
	switch {
	case value > t.threshold:
		if t.over == 0 {
			t.over = between / 2 // it began somewhere between the groups
		} else {
			t.over += between
		}
		t.overs++
		if t.over > overuseLeast && t.overs > 1 && slope >= t.last {
			t.over, t.overs = 0, 0
			t.usage = overuse
		}
	case value < -t.threshold:
		t.over, t.overs, t.usage = 0, 0, underuse
	default:
		t.over, t.overs, t.usage = 0, 0, normal
	}
	t.last = slope
	size := max(value, -value)
	if size > t.threshold+outlier {
		return
	}
	k := thresholdUp
	if size < t.threshold {
		k = thresholdDown
		if t.contested {
			k = thresholdHeld
		}
	}
	t.threshold += k * (size - t.threshold) * min(step, 100)
	t.threshold = min(max(t.threshold, thresholdLeast), thresholdMost)
}

// reset forgets the groups but not the threshold, which is about the others on the path.
func (t *trend) reset() { *t = trend{threshold: t.threshold, contested: t.contested} }

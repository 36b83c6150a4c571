package bridge

import (
	"cmp"
	"slices"
	"time"

	"parley/bridge/rtp"
)

// singleHeight is what a receiver of one stream gets at most, in pixels.
const singleHeight = 720

// watch has a receiver without bridge channel want video.
func (c *constraints) watch() {
	c.heard = true
	c.standard.MaxHeight = singleHeight
}

// single points the two slots of a receiver that takes one stream of each medium: to its decoders it is always the same stream,
// that goes on with a key frame when it is of somebody else. The caller holds Conference.mu and mu.
func (o *egress) single(e *Endpoint, d *dialect, audio, video []candidate) {
	if d.payload[opus] != 0 { // else the transport is that of the video alone
		o.audio = o.one(e, o.audio, audio, false, d.audioSSRC, 0)
	}
	if d.watches() {
		o.video = o.one(e, o.video, video, true, d.videoSSRC, d.repairSSRC)
	}
}

// chose says that a source is one of those that a receiver of one stream gets. The caller holds Conference.mu.
func (e *Endpoint) chose(s *source) bool {
	r := &e.wish.Receive
	return !r.Single || !r.Chosen || slices.Contains(r.Names, s.name)
}

// watches reports that a codec of video was agreed on.
func (d *dialect) watches() bool {
	for k := vp8; k <= h264; k++ {
		if d.payload[k] != 0 {
			return true
		}
	}
	return false
}

func (o *egress) one(e *Endpoint, slots []*slot, want []candidate, video bool, ssrc, rtx uint32) []*slot {
	if len(slots) == 0 && len(want) > 0 && ssrc != 0 && o.slots[ssrc] == nil {
		s := newSlot(e, video, ssrc, rtx, "")
		o.slots[ssrc] = s
		slots = append(slots, s)
	}
	for _, s := range slots {
		if len(want) > 0 {
			if s.source != want[0].source {
				o.pacer.purge(s)
			}
			s.point(want[0].source)
		}
	}
	return slots
}

// pictures leaves the one source of video that somebody gets who gets one: a screen before cameras, else in the order of the list,
// the first of which something comes. Those before it are awaited: nothing comes of them as their cameras are off, or as they rest
// because nobody has wanted them so far, which the bridge cannot tell apart. So their senders are told that they are wanted. The
// caller holds Conference.mu.
func pictures(list []candidate) (show, await []candidate) {
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.source.place(), b.source.place()) })
	if i := slices.IndexFunc(list, func(c candidate) bool { return c.source.sends() }); i >= 0 {
		return list[i : i+1], list[:i]
	}
	return list[:min(len(list), 1)], list
}

// place is that of screens before cameras.
func (s *source) place() int {
	if s.screen() {
		return 0
	}
	return 1
}

// sends reports that something of the source comes, or that it is a screen on which perhaps nothing moves. The caller holds Conference.mu.
func (s *source) sends() bool {
	for i := range s.levels.streams {
		if l := &s.levels.streams[i]; l.alive || l.still && s.screen() {
			return true
		}
	}
	return false
}

// voices leaves the one source of audio that somebody gets who gets one. Whoever becomes the dominant speaker has spoken for half
// a second already; here the floor goes to whoever speaks as soon as nobody else does. The caller holds Conference.mu.
func (e *Endpoint) voices(list []candidate) []candidate {
	var now *source
	if len(e.out.audio) > 0 {
		now = e.out.audio[0].source
	}
	has := slices.IndexFunc(list, func(c candidate) bool { return c.source == now })
	if has >= 0 && now.owner.speech.immediate > 0 {
		return list[has : has+1]
	}
	if i := slices.IndexFunc(list, func(c candidate) bool { return c.source.owner.speech.immediate > 0 }); i >= 0 {
		return list[i : i+1]
	}
	if has >= 0 {
		return list[has : has+1]
	}
	return list[:min(len(list), 1)]
}

// turn has slots pointed anew if somebody who gets one stream of a medium should get another one. The caller holds mu.
func (c *Conference) turn() {
	for _, e := range c.order {
		if !e.dialect.Load().single {
			continue
		}
		d := e.dialect.Load()
		c.wantVideo, c.wantAudio = e.video(c.wantVideo), e.audio(c.wantAudio)
		e.out.mu.Lock()
		show, await := pictures(c.wantVideo)
		other := d.payload[opus] != 0 && elsewhere(e.out.audio, e.voices(c.wantAudio)) ||
			d.watches() && (elsewhere(e.out.video, show) || len(await) != e.out.awaited)
		e.out.mu.Unlock()
		if other {
			c.dirty.Store(true)
			return
		}
	}
}

func elsewhere(slots []*slot, want []candidate) bool {
	return len(want) > 0 && (len(slots) == 0 || slots[0].source != want[0].source)
}

// own makes a sender report one of the bridge's own, by its clock: the streams that the slot is pointed at have clocks of their
// own, and none of them is that of the other medium. It returns the CNAME. The caller holds egress.mu of the receiver.
func (s *slot) own(r *rtp.SenderReport, now time.Time) (cname string) {
	r.NTP, r.Timestamp = rtp.NTP(now), s.order.Newest()+rtp.Ticks(now.Sub(s.sentAt), s.clock)
	return s.receiver.Member
}

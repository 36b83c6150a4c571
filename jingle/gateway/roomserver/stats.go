package roomserver

import (
	"encoding/json"
	"math"

	"parley/internal/store"
)

// direction is what a report says of one medium in one direction.
type direction struct {
	rate, lost    json.RawMessage
	fps           json.RawMessage
	width, height json.RawMessage
	codec         string
}

// readDirection reads {"bitRate":..,"packetsLostRate":..} and what else there is in a medium's "send" or "recv". What cannot be read
// was not said.
func readDirection(medium json.RawMessage, name string) (d direction) {
	fields := func(raw json.RawMessage) map[string]json.RawMessage {
		if len(raw) == 0 || raw[0] != '{' {
			return nil
		}
		list, err := readObject(raw)
		if err != nil {
			return nil
		}
		m := make(map[string]json.RawMessage, len(list))
		for _, p := range list {
			m[p.key] = p.value
		}
		return m
	}
	m := fields(fields(medium)[name])
	d.rate, d.lost, d.width, d.height = m["bitRate"], m["packetsLostRate"], m["width"], m["height"]
	if d.fps = m["frameRateSent"]; name == "recv" {
		d.fps = m["frameRateRecv"]
	}
	d.codec, _ = readText(m["codecName"], maxText)
	return d
}

// share reads a loss, of which nothing above 1 is one.
func share(raw json.RawMessage) *float64 {
	if v, ok := readRate(raw); ok && v <= 1 {
		return &v
	}
	return nil
}

func count(raw json.RawMessage) *int64 {
	if v, ok := readRate(raw); ok && v <= math.MaxInt32 {
		n := int64(math.Round(v))
		return &n
	}
	return nil
}

// quality reads a quality report.
func (q *Message) quality() store.TalkQuality {
	as, ar, vs, vr := readDirection(q.Audio, "send"), readDirection(q.Audio, "recv"), readDirection(q.Video, "send"), readDirection(q.Video, "recv")
	return store.TalkQuality{
		AudSendLost: share(as.lost), AudRecvLost: share(ar.lost), VidSendLost: share(vs.lost), VidRecvLost: share(vr.lost),
		AudSendRate: count(as.rate), AudRecvRate: count(ar.rate), VidSendRate: count(vs.rate), VidRecvRate: count(vr.rate),
		SendWidth: count(vs.width), SendHeight: count(vs.height), SendFPS: count(vs.fps), RecvFPS: count(vr.fps),
		RecvWidth: count(vr.width), RecvHeight: count(vr.height), SendCodec: vs.codec, RecvCodec: vr.codec,
	}
}

// measured keeps a quality report, of the sub-session that it names or of that to the one that it names: a member, or somebody of
// another protocol.
func (r *room) measured(m *member, q *Message) {
	for o, sub := range m.subs {
		if sub.id == q.SubSessionID || q.SubSessionID == "" && o.uid == q.RemoteUID {
			r.service.records.Quality(string(r.addr), string(m.seat.Addr()), string(o.seat.Addr()), q.quality())
			return
		}
	}
	for _, g := range r.guests {
		if sub := m.guestSubs[g.uid]; sub != "" && sub == q.SubSessionID || q.SubSessionID == "" && g.uid == q.RemoteUID {
			r.service.records.QualityOf(string(r.addr), string(m.seat.Addr()), g.nick, q.quality())
			return
		}
	}
}

// told keeps what a member reports of itself: with what it gave beside.
func (r *room) told(m *member, q *Message) {
	data, err := json.Marshal(struct {
		Desc  string          `json:"desc"`
		Data1 json.RawMessage `json:"data1,omitempty"`
		Data2 json.RawMessage `json:"data2,omitempty"`
	}{q.Desc, q.Data1, q.Data2})
	if err != nil || len(data) > toldMost {
		data, _ = json.Marshal(map[string]string{"desc": q.Desc})
	}
	r.service.records.Told(string(r.addr), string(m.seat.Addr()), int64(q.Result), string(data))
}

// toldMost is the most of a report that is kept, in bytes.
const toldMost = 16 << 10

package report

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"parley/internal/store"
)

// Store is what reports are made from.
type Store interface {
	TalkSessions(ctx context.Context, q store.TalkQuery) ([]store.TalkSession, error)
	TalkSubs(ctx context.Context, sessions []string) ([]store.TalkSub, error)
	TalkDay(ctx context.Context, from, until time.Time) (store.TalkRecords, error)
}

// Day is the report of a day: of the sessions that began in it. Peaks and times are of all that were there.
type Day struct {
	Date  string    `json:"date" doc:"The day, such as 2026-08-01."`
	Zone  string    `json:"zone"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`

	Sessions      int   `json:"sessions" doc:"Members of rooms, from joining to leaving."`
	Calls         int   `json:"calls" doc:"Times in which two members or more were together in a room."`
	CallSeconds   int64 `json:"call_seconds"`
	MemberSeconds int64 `json:"member_seconds" doc:"In rooms, of all members."`

	Connected int     `json:"connected" doc:"Connections from one member to another that were made."`
	Failed    int     `json:"failed" doc:"That were not."`
	TimedOut  int     `json:"timed_out" doc:"That ended because nothing came any more."`
	Total     int64   `json:"total_seconds" doc:"Of all connections."`
	Median    int64   `json:"median_seconds" doc:"Of a connection."`
	Ways      Ways    `json:"ways" doc:"By which way they were made."`
	Relayed   float64 `json:"relay_share" doc:"Share of those that a relay carried."`
	Cents     int64   `json:"cents"`

	PeakMembers   int       `json:"peak_members" doc:"Most members at once."`
	PeakMembersAt time.Time `json:"peak_members_at"`
	PeakCalls     int       `json:"peak_calls" doc:"Most calls at once."`
	JoinP50       int64     `json:"join_p50_ms" doc:"From beginning to connect until connected."`
	JoinP95       int64     `json:"join_p95_ms"`

	FailedJoins []Cause `json:"failed_joins"`
	WorstRooms  []Room  `json:"worst_rooms"`
	Countries   []Place `json:"countries" doc:"Where members were."`
	Lines       []Line  `json:"lines" doc:"One for each connection, and one for each session without any."`
	Cut         int     `json:"cut" doc:"Lines that are left out, because there are too many."`
}

// empty reports that nobody was there, nor tried to be.
func (d *Day) empty() bool {
	return len(d.Lines) == 0 && d.MemberSeconds == 0 && len(d.FailedJoins) == 0
}

// Ways counts connections.
type Ways struct {
	Direct  int `json:"direct"`
	Relayed int `json:"relayed"`
	Bridged int `json:"bridged"`
	Unknown int `json:"unknown"`
}

// Cause is how often joins have failed for one reason.
type Cause struct {
	Door  string `json:"door"`
	Cause string `json:"cause"`
	Count int64  `json:"count"`
}

// Place is what the members of one country had.
type Place struct {
	Country   string  `json:"country" doc:"Its code (ISO 3166-1), or unknown."`
	Sessions  int     `json:"sessions"`
	Connected int     `json:"connected" doc:"Connections of theirs that were made."`
	Failed    int     `json:"failed" doc:"That were not."`
	TimedOut  int     `json:"timed_out"`
	Seconds   int64   `json:"seconds" doc:"Of their connections."`
	Relayed   float64 `json:"relay_share"`
	Loss      float64 `json:"loss" doc:"Mean share of the packets that did not reach them."`

	relayed         int
	losses, reports float64
}

// unknownCountry stands for the country of an address that none is known of.
const unknownCountry = "unknown"

// Room is a room in which something went wrong.
type Room struct {
	Room     string  `json:"room"`
	Sessions int     `json:"sessions"`
	Failed   int     `json:"failed" doc:"Connections that were not made."`
	Refused  int64   `json:"refused" doc:"Joins that failed."`
	Suffered int     `json:"suffered" doc:"How often media of a member began to suffer."`
	Loss     float64 `json:"loss" doc:"Mean share of the packets that did not arrive."`

	losses, reports float64
}

// Line is one connection, or a session without any.
type Line struct {
	App     string    `json:"app"`
	Room    string    `json:"room"`
	User    string    `json:"user"`
	Remote  string    `json:"remote" doc:"Empty where there was no call."`
	Kind    string    `json:"kind" doc:"A, AV, V or NO."`
	Status  string    `json:"status"`
	Way     string    `json:"way" doc:"P2P, relay, bridge or unknown."`
	IP      string    `json:"ip"`
	Country string    `json:"country"`
	ICE     string    `json:"ice"`
	ICEIn   string    `json:"ice_country" doc:"Empty where there was no ICE server."`
	Begun   time.Time `json:"begun"`
	Seconds int64     `json:"seconds"`
	System  string    `json:"system"`

	AudioRate Spread `json:"audio_kbps" doc:"Received."`
	VideoRate Spread `json:"video_kbps"`
	AudioLoss Spread `json:"audio_loss"`
	VideoLoss Spread `json:"video_loss"`
}

// Spread is what several reports say of one thing.
type Spread struct {
	N   int     `json:"reports"`
	Avg float64 `json:"avg"`
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

func (s *Spread) add(v float64) {
	if s.N == 0 || v < s.Min {
		s.Min = v
	}
	if s.N == 0 || v > s.Max {
		s.Max = v
	}
	s.N++
	s.Avg += (v - s.Avg) / float64(s.N)
}

const (
	pageSize  = 1_000   // sessions that are read at once
	mostRead  = 500_000 // sessions of a day that are read
	mostLines = 50_000  // of a report
	mostRooms = 10
)

// Make makes the report of the day that begins then, as far as it has passed.
func Make(ctx context.Context, s Store, from time.Time) (*Day, error) {
	until := from.AddDate(0, 0, 1)
	d := &Day{Date: from.Format(time.DateOnly), Zone: from.Location().String(), From: from, Until: until}
	noted, err := s.TalkDay(ctx, from, until)
	if err != nil {
		return nil, err
	}
	quality := make(map[string][]*store.TalkQuality)
	for i := range noted.Qualities {
		q := &noted.Qualities[i]
		quality[q.Sub] = append(quality[q.Sub], q)
	}
	c := &counting{Day: d, rooms: make(map[string]*Room), spans: make(map[string][]span), quality: quality, owners: make(map[string]string), places: make(map[string]*Place)}
	q := store.TalkQuery{From: from, Until: until, Limit: pageSize}
	for n := 0; n < mostRead; n += pageSize {
		list, err := s.TalkSessions(ctx, q)
		if err != nil {
			return nil, err
		}
		var ids []string
		for i := range list {
			ids = append(ids, list[i].ID)
		}
		subs, err := s.TalkSubs(ctx, ids)
		if err != nil {
			return nil, err
		}
		of := make(map[string][]store.TalkSub)
		for _, p := range subs {
			of[p.Session] = append(of[p.Session], p)
		}
		for i := range list {
			c.session(&list[i], of[list[i].ID])
		}
		if len(list) < pageSize {
			break
		}
		q.Before = list[len(list)-1].ID
	}
	c.notes(&noted)
	c.finish()
	return d, nil
}

// counting is a report that is being made.
type counting struct {
	*Day
	rooms   map[string]*Room
	spans   map[string][]span // of members in rooms
	quality map[string][]*store.TalkQuality
	owners  map[string]string // rooms of sessions
	places  map[string]*Place

	seconds, joins []int64
}

type span struct{ from, until time.Time }

func (c *counting) room(name string) *Room {
	r := c.rooms[name]
	if r == nil {
		r = &Room{Room: name}
		c.rooms[name] = r
	}
	return r
}

func (c *counting) place(country string) *Place {
	p := c.places[country]
	if p == nil {
		p = &Place{Country: country}
		c.places[country] = p
	}
	return p
}

func (c *counting) session(s *store.TalkSession, subs []store.TalkSub) {
	r := c.room(s.Room)
	c.owners[s.ID] = s.Room
	in := span{s.Joined, s.Left}
	if in.from.Before(c.From) {
		in.from = c.From
	}
	if in.until.IsZero() || in.until.After(c.Until) {
		in.until = c.Until
		if now := time.Now(); now.Before(c.Until) {
			in.until = now
		}
	}
	if in.until.After(in.from) {
		c.spans[s.Room] = append(c.spans[s.Room], in)
		c.MemberSeconds += int64(in.until.Sub(in.from) / time.Second)
	}
	if s.Joined.Before(c.From) {
		return // it is in the report of the day before
	}
	c.Sessions++
	r.Sessions++
	home := c.place(cmp.Or(s.Country, unknownCountry))
	home.Sessions++
	line := Line{App: s.App, Room: s.Room, User: cmp.Or(s.Name, s.User), Kind: kinds[min(max(s.Talk, 0), 3)], IP: s.IP, Country: home.Country, Begun: s.Joined, System: s.OS + ":" + s.Browser, Status: "no call", Way: "unknown"}
	if len(subs) == 0 {
		if s.Left.After(s.Joined) {
			line.Seconds = int64(s.Left.Sub(s.Joined) / time.Second)
		}
		c.add(line)
	}
	for i := range subs {
		c.sub(r, home, line, &subs[i])
	}
}

var kinds = [...]string{"A", "AV", "V", "NO"}

var statuses = map[int]string{store.SubOpen: "open", store.SubTalked: "ok", store.SubTalkedTill: "timeout", store.SubNever: "not connected", store.SubNeverTimeout: "not connected, timeout"}

func (c *counting) sub(r *Room, home *Place, line Line, p *store.TalkSub) {
	line.Remote, line.ICE, line.Seconds, line.Status = cmp.Or(p.RemoteName, p.RemoteUser), p.ICE, p.Seconds, statuses[p.Status]
	if !p.Begun.IsZero() {
		line.Begun = p.Begun
	}
	if p.ICE != "" {
		line.ICEIn = cmp.Or(p.ICEIn, unknownCountry)
	}
	switch {
	case !p.Connected.IsZero():
		c.Connected++
		home.Connected++
		home.Seconds += p.Seconds
		c.Total += p.Seconds
		c.Cents += p.Cost
		c.seconds = append(c.seconds, p.Seconds)
		if !p.Begun.IsZero() && !p.Connected.Before(p.Begun) {
			c.joins = append(c.joins, p.Connected.Sub(p.Begun).Milliseconds())
		}
		switch p.Connect {
		case "STUN":
			c.Ways.Direct++
			line.Way = "P2P"
		case "TURN":
			c.Ways.Relayed++
			home.relayed++
			line.Way = "relay"
		case "SFU":
			c.Ways.Bridged++
			line.Way = "bridge"
		default:
			c.Ways.Unknown++
		}
	case p.Status != store.SubOpen:
		c.Failed++
		r.Failed++
		home.Failed++
	}
	if p.Status == store.SubTalkedTill || p.Status == store.SubNeverTimeout {
		c.TimedOut++
		home.TimedOut++
	}
	for _, q := range c.quality[p.ID] {
		for _, v := range []struct {
			to  *Spread
			was *int64
		}{{&line.AudioRate, q.AudRecvRate}, {&line.VideoRate, q.VidRecvRate}} {
			if v.was != nil {
				v.to.add(float64(*v.was))
			}
		}
		for _, v := range []struct {
			to  *Spread
			was *float64
		}{{&line.AudioLoss, q.AudRecvLost}, {&line.VideoLoss, q.VidRecvLost}} {
			if v.was != nil {
				v.to.add(*v.was)
				r.losses, r.reports = r.losses+*v.was, r.reports+1
				home.losses, home.reports = home.losses+*v.was, home.reports+1
			}
		}
	}
	c.add(line)
}

func (c *counting) add(l Line) {
	if len(c.Lines) >= mostLines {
		c.Cut++
		return
	}
	c.Lines = append(c.Lines, l)
}

// notes counts what failed, and what the bridge has found.
func (c *counting) notes(r *store.TalkRecords) {
	causes := make(map[Cause]int64)
	for i := range r.Notes {
		n := &r.Notes[i]
		if n.Cause == "" {
			continue
		}
		causes[Cause{Door: n.Door, Cause: n.Cause}] += n.Count
		if n.Room != "" {
			c.room(n.Room).Refused += n.Count
		}
	}
	for k, n := range causes {
		k.Count = n
		c.FailedJoins = append(c.FailedJoins, k)
	}
	for i := range r.Verdicts {
		if v := &r.Verdicts[i]; v.Part != "" && c.owners[v.Session] != "" {
			c.room(c.owners[v.Session]).Suffered++
		}
	}
}

// finish makes what can be said when everything is counted.
func (c *counting) finish() {
	if c.Connected > 0 {
		c.Relayed = float64(c.Ways.Relayed) / float64(c.Connected)
	}
	c.Median, c.JoinP50, c.JoinP95 = quantile(c.seconds, 50), quantile(c.joins, 50), quantile(c.joins, 95)
	c.peaks()
	c.settlePlaces()
	slices.SortFunc(c.Lines, func(a, b Line) int {
		return cmp.Or(a.Begun.Compare(b.Begun), cmp.Compare(a.Room, b.Room), cmp.Compare(a.User, b.User), cmp.Compare(a.Remote, b.Remote))
	})
	slices.SortFunc(c.FailedJoins, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Door, b.Door), cmp.Compare(a.Cause, b.Cause))
	})
	for _, r := range c.rooms {
		if r.reports > 0 {
			r.Loss = r.losses / r.reports
		}
		if r.Failed+r.Suffered > 0 || r.Refused > 0 || r.Loss >= 0.01 {
			c.WorstRooms = append(c.WorstRooms, *r)
		}
	}
	slices.SortFunc(c.WorstRooms, func(a, b Room) int {
		trouble := func(r Room) float64 { return float64(r.Failed+r.Suffered) + float64(r.Refused) + 100*r.Loss }
		return cmp.Or(cmp.Compare(trouble(b), trouble(a)), cmp.Compare(a.Room, b.Room))
	})
	c.WorstRooms = c.WorstRooms[:min(len(c.WorstRooms), mostRooms)]
}

// settlePlaces makes the list of countries, those with the most sessions first.
func (c *counting) settlePlaces() {
	for _, p := range c.places {
		if p.Connected > 0 {
			p.Relayed = float64(p.relayed) / float64(p.Connected)
		}
		if p.reports > 0 {
			p.Loss = p.losses / p.reports
		}
		c.Countries = append(c.Countries, *p)
	}
	slices.SortFunc(c.Countries, func(a, b Place) int {
		return cmp.Or(cmp.Compare(b.Sessions, a.Sessions), cmp.Compare(a.Country, b.Country))
	})
}

// quantile is the value that so many percent of the values do not exceed, 0 of none.
func quantile(values []int64, percent int) int64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[max((len(values)*percent+99)/100, 1)-1]
}

// turn is somebody's coming or going.
type turn struct {
	at   time.Time
	step int
}

// sweep counts how many are there over time; at one moment who goes goes first.
func sweep(turns []turn, each func(at time.Time, before, after int)) {
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.step, b.step)) })
	n := 0
	for _, t := range turns {
		each(t.at, n, n+t.step)
		n += t.step
	}
}

func (c *counting) peaks() {
	var members, calls []turn
	for _, room := range slices.Sorted(maps.Keys(c.spans)) {
		var turns []turn
		for _, s := range c.spans[room] {
			turns = append(turns, turn{s.from, 1}, turn{s.until, -1})
		}
		members = append(members, turns...)
		var begun time.Time
		sweep(turns, func(at time.Time, before, after int) {
			switch {
			case before < 2 && after >= 2:
				begun = at
			case before >= 2 && after < 2 && at.After(begun):
				if begun.After(c.From) {
					c.Calls++ // else it is a call of the day before
				}
				c.CallSeconds += int64(at.Sub(begun) / time.Second)
				calls = append(calls, turn{begun, 1}, turn{at, -1})
			}
		})
	}
	sweep(members, func(at time.Time, _, after int) {
		if after > c.PeakMembers {
			c.PeakMembers, c.PeakMembersAt = after, at
		}
	})
	sweep(calls, func(_ time.Time, _, after int) { c.PeakCalls = max(c.PeakCalls, after) })
}

package store

import (
	"context"
	"time"
)

// TalkSession is a member of a room from its joining to its leaving, by whatever door. Times are to the millisecond, zero for what
// has not been yet.
type TalkSession struct {
	ID       string // a ULID, unique
	Subs     string // ids of its sub-sessions, oldest first, with commas
	App      string
	User     string // by its protocol: uid, nickname, ...
	Name     string
	Account  string // bare address of the account that it surely is, "" without one
	Room     string // bare address
	Talk     int    // 0 audio, 1 audio and video, 2 video, 3 none
	IP       string // address of the client, "" if it is not known
	Country  string // of that address (ISO 3166-1, two letters), "" if it is not known
	TimeOut  bool   // removed, because nothing came of it any more
	Created  time.Time
	Joined   time.Time
	Left     time.Time
	OS       string
	Browser  string
	SDK      string
	Protocol string // the door: jitsi, xmpp, roomserver, ...
	Node     string // the server that has it
	Gate     int    // the highest that the room had meanwhile: 0 p2p, 1 sfu, 2 mcu
	ClientAt time.Time
}

// What became of a sub-session.
const (
	SubOpen         = -1
	SubTalked       = 0
	SubTalkedTill   = 1 // talked, ended by timeout
	SubNever        = 2 // never connected
	SubNeverTimeout = 3 // never connected, ended by timeout
)

// TalkSub is what a session has with one other member, in one direction: a pair of members has two.
type TalkSub struct {
	ID         string // a ULID, unique
	Session    string // whose it is
	Status     int
	RemoteUser string
	RemoteName string
	RemoteIP   string
	RemoteIn   string // country of that address
	ICE        string // address of the assigned ICE server
	ICEIn      string // country of that address
	Connect    string // TURN, STUN, Unknown, SFU; "" until it is connected
	Claimed    string // what the client says instead
	Begun      time.Time
	Connected  time.Time
	Finished   time.Time
	Seconds    int64 // from Connected to Finished
	Cost       int64 // cents
}

// TalkQuality is one report on the quality of a sub-session. Nil is what was not said. Bit rates are in kbit/s, losses shares.
type TalkQuality struct {
	ID     string // a ULID, unique
	Sub    string
	Remote string
	At     time.Time

	AudSendLost, AudRecvLost, VidSendLost, VidRecvLost *float64
	AudSendRate, AudRecvRate, VidSendRate, VidRecvRate *int64
	SendWidth, SendHeight, SendFPS, RecvFPS            *int64
	RecvWidth, RecvHeight                              *int64
	SendCodec, RecvCodec                               string
}

// TalkVerdict is what the bridge finds of a session's way: the part that is to blame from then on, "" if none is any more.
type TalkVerdict struct {
	ID      string // a ULID, unique
	Session string
	At      time.Time
	Part    string
	Loss    float64 // share of the packets
	Delay   int64   // ms that packets wait
	Rate    int64   // bit/s that the way carries
}

// TalkNote is something that a client has reported of itself, or how often joins have failed for one reason.
type TalkNote struct {
	ID      string // a ULID, unique
	At      time.Time
	Session string // "" for joins that failed
	Room    string
	Door    string
	Cause   string // of a failed join; "" for a report
	Count   int64
	Result  int64  // of a report
	Data    string // of a report: JSON
}

// TalkRecords are records to be kept.
type TalkRecords struct {
	Sessions  []TalkSession
	Subs      []TalkSub
	Qualities []TalkQuality
	Verdicts  []TalkVerdict
	Notes     []TalkNote
}

// Len is how many there are.
func (r *TalkRecords) Len() int {
	return len(r.Sessions) + len(r.Subs) + len(r.Qualities) + len(r.Verdicts) + len(r.Notes)
}

// TalkQuery chooses sessions. Empty fields choose all.
type TalkQuery struct {
	Account string
	Room    string
	From    time.Time // inside the room at that time or later
	Until   time.Time // and before that time
	Before  string    // sessions whose ids are before that one
	Limit   int
}

// Talks keeps records of calls.
type Talks interface {
	// KeepTalks commits records, all or none of them. What has an id that is there already replaces it, so that the same can be
	// kept twice; of several with one id the last counts. What belongs to a session that is not kept is left out. ErrInvalid says that one of them never will be stored.
	KeepTalks(ctx context.Context, r TalkRecords) error
	// TalkSessions returns sessions, the latest first.
	TalkSessions(ctx context.Context, q TalkQuery) ([]TalkSession, error)
	// TalkSubs returns the sub-sessions of sessions, in the order of their ids.
	TalkSubs(ctx context.Context, sessions []string) ([]TalkSub, error)
	// TalkDay returns what was noted in a time: reports on quality, verdicts and notes.
	TalkDay(ctx context.Context, from, until time.Time) (TalkRecords, error)
	// OpenTalks returns the sessions of a node that have not ended, with their sub-sessions.
	OpenTalks(ctx context.Context, node string) (TalkRecords, error)
	// ForgetTalks removes the sessions that were created before a time, with all that belongs to them, at most limit of them, and
	// says how many it has removed.
	ForgetTalks(ctx context.Context, before time.Time, limit int) (int, error)

	// LeaseReport gives the right to mail a day's report to one asker at a time, until then; false: somebody has it, or the report is mailed.
	LeaseReport(ctx context.Context, day, owner string, now, until time.Time) (bool, error)
	// ReportKnown reports that the report of another day was ever somebody's to mail: that there was a server before.
	ReportKnown(ctx context.Context, day string) (bool, error)
	// ReportMailed says that the asker who has the lease has mailed the report, which nobody does again.
	ReportMailed(ctx context.Context, day, owner string, now time.Time) error
}

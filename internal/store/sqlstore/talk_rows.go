package sqlstore

import (
	"database/sql"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"parley/internal/store"
)

// The tables of calls are read by other programs too, so that PostgreSQL has its own types of times and addresses there.

// when is a time as it is stored; the zero time is none.
func (s *db) when(t time.Time) any {
	switch {
	case t.IsZero():
		return nil
	case s.clocked:
		return t.UTC().Truncate(time.Millisecond)
	}
	return millis(t)
}

// moment scans what when has stored.
type moment struct{ time.Time }

// Scan implements sql.Scanner.
func (m *moment) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		m.Time = time.Time{}
	case int64:
		m.Time = fromMillis(v)
	case time.Time:
		m.Time = v.UTC()
	default:
		return fmt.Errorf("%T is no time", v)
	}
	return nil
}

// host is an address as it is stored; "" is none.
func host(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// isHost reports that text is an address, or "".
func isHost(text string) bool {
	a, err := netip.ParseAddr(text)
	return text == "" || err == nil && a.Zone() == ""
}

// isCountry reports that text is the code of a country, or "".
func isCountry(text string) bool {
	return text == "" || len(text) == 2 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// word scans a text that may be none.
type word struct{ to *string }

// Scan implements sql.Scanner.
func (w word) Scan(v any) error {
	var s sql.NullString
	err := s.Scan(v)
	*w.to = s.String
	return err
}

// flag is a truth as the protocol has it.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

const sessionColumns = `session_id, sub_session_ids, app_id, user_id, user_name, account, room_id, talk_type, user_ip, time_out,
	create_time, join_time, leave_time, duration, os_name, browser, sdk_info, protocol, node, gate_max, client_time, user_country`

func (s *db) sessionRow(t *store.TalkSession) ([]any, error) {
	for _, text := range []string{t.Subs, t.App, t.User, t.Name, t.Room, t.OS, t.Browser, t.SDK, t.Protocol, t.Node} {
		if !isText(text) {
			return nil, store.ErrInvalid
		}
	}
	if !isKey(t.ID) || len(t.Account) > keyLimit || len(t.Room) > keyLimit || !isText(t.Account) || !isHost(t.IP) || !isCountry(t.Country) || t.Created.IsZero() || t.Joined.IsZero() {
		return nil, store.ErrInvalid
	}
	seconds := int64(0)
	if t.Left.After(t.Joined) {
		seconds = int64(t.Left.Sub(t.Joined) / time.Second)
	}
	return []any{t.ID, t.Subs, t.App, t.User, t.Name, t.Account, t.Room, t.Talk, host(t.IP), flag(t.TimeOut),
		s.when(t.Created), s.when(t.Joined), s.when(t.Left), seconds, t.OS, t.Browser, t.SDK, t.Protocol, t.Node, t.Gate, s.when(t.ClientAt), t.Country}, nil
}

func scanSession(rows *sql.Rows) (t store.TalkSession, err error) {
	var created, joined, left, client moment
	var out, seconds int64
	err = rows.Scan(&t.ID, &t.Subs, &t.App, &t.User, &t.Name, &t.Account, &t.Room, &t.Talk, word{&t.IP}, &out,
		&created, &joined, &left, &seconds, &t.OS, &t.Browser, &t.SDK, &t.Protocol, &t.Node, &t.Gate, &client, &t.Country)
	t.TimeOut, t.Created, t.Joined, t.Left, t.ClientAt = out != 0, created.Time, joined.Time, left.Time, client.Time
	return t, err
}

const subColumns = `sub_session_id, session_id, status, remote_user_id, remote_user_name, remote_user_ip, ice_ip,
	connect_type, client_connect_type, begin_time, connect_time, finish_time, duration, cost, remote_user_country, ice_country`

func (s *db) subRow(t *store.TalkSub) ([]any, error) {
	for _, text := range []string{t.RemoteUser, t.RemoteName, t.Connect, t.Claimed} {
		if !isText(text) {
			return nil, store.ErrInvalid
		}
	}
	if !isKey(t.ID) || !isKey(t.Session) || !isHost(t.RemoteIP) || !isHost(t.ICE) || !isCountry(t.RemoteIn) || !isCountry(t.ICEIn) || t.Status < store.SubOpen || t.Status > store.SubNeverTimeout || t.Cost < 0 || t.Cost > math.MaxInt32 {
		return nil, store.ErrInvalid
	}
	return []any{t.ID, t.Session, t.Status, t.RemoteUser, t.RemoteName, host(t.RemoteIP), host(t.ICE),
		t.Connect, t.Claimed, s.when(t.Begun), s.when(t.Connected), s.when(t.Finished), t.Seconds, t.Cost, t.RemoteIn, t.ICEIn}, nil
}

func scanSub(rows *sql.Rows) (t store.TalkSub, err error) {
	var begun, connected, finished moment
	err = rows.Scan(&t.ID, &t.Session, &t.Status, &t.RemoteUser, &t.RemoteName, word{&t.RemoteIP}, word{&t.ICE},
		&t.Connect, &t.Claimed, &begun, &connected, &finished, &t.Seconds, &t.Cost, &t.RemoteIn, &t.ICEIn)
	t.Begun, t.Connected, t.Finished = begun.Time, connected.Time, finished.Time
	return t, err
}

const qualityColumns = `stats_id, remote_user_id, sub_session_id, create_time,
	aud_send_lost_rate, aud_rcv_lost_rate, vid_send_lost_rate, vid_rcv_lost_rate,
	aud_send_bitrate, aud_rcv_bitrate, vid_send_bitrate, vid_rcv_bitrate,
	send_width, send_height, send_framerate_sent, recv_framerate_recv, recv_width, recv_height, send_codec, recv_codec`

func (s *db) qualityRow(q *store.TalkQuality) ([]any, error) {
	if !isKey(q.ID) || !isKey(q.Sub) || !isText(q.Remote) || !isText(q.SendCodec) || !isText(q.RecvCodec) || q.At.IsZero() {
		return nil, store.ErrInvalid
	}
	row := []any{q.ID, q.Remote, q.Sub, s.when(q.At)}
	for _, share := range []*float64{q.AudSendLost, q.AudRecvLost, q.VidSendLost, q.VidRecvLost} {
		if share != nil && !(*share >= 0 && *share <= 1) {
			return nil, store.ErrInvalid
		}
		row = append(row, optional(share))
	}
	for _, n := range []*int64{q.AudSendRate, q.AudRecvRate, q.VidSendRate, q.VidRecvRate, q.SendWidth, q.SendHeight, q.SendFPS, q.RecvFPS, q.RecvWidth, q.RecvHeight} {
		if n != nil && (*n < 0 || *n > math.MaxInt32) {
			return nil, store.ErrInvalid
		}
		row = append(row, optional(n))
	}
	return append(row, q.SendCodec, q.RecvCodec), nil
}

func optional[T any](v *T) any {
	if v == nil {
		return nil
	}
	return *v
}

func scanQuality(rows *sql.Rows) (q store.TalkQuality, err error) {
	var at moment
	err = rows.Scan(&q.ID, &q.Remote, &q.Sub, &at, &q.AudSendLost, &q.AudRecvLost, &q.VidSendLost, &q.VidRecvLost,
		&q.AudSendRate, &q.AudRecvRate, &q.VidSendRate, &q.VidRecvRate, &q.SendWidth, &q.SendHeight, &q.SendFPS, &q.RecvFPS,
		&q.RecvWidth, &q.RecvHeight, &q.SendCodec, &q.RecvCodec)
	q.At = at.Time
	return q, err
}

const verdictColumns = `verdict_id, session_id, create_time, part, lost_rate, delay, bitrate`

func (s *db) verdictRow(v *store.TalkVerdict) ([]any, error) {
	if !isKey(v.ID) || !isKey(v.Session) || !isText(v.Part) || v.At.IsZero() || !(v.Loss >= 0 && v.Loss <= 1) {
		return nil, store.ErrInvalid
	}
	return []any{v.ID, v.Session, s.when(v.At), v.Part, v.Loss, v.Delay, v.Rate}, nil
}

func scanVerdict(rows *sql.Rows) (v store.TalkVerdict, err error) {
	var at moment
	err = rows.Scan(&v.ID, &v.Session, &at, &v.Part, &v.Loss, &v.Delay, &v.Rate)
	v.At = at.Time
	return v, err
}

const noteColumns = `note_id, create_time, session_id, room_id, protocol, cause, count, result, data`

func (s *db) noteRow(n *store.TalkNote) ([]any, error) {
	if !isKey(n.ID) || !isText(n.Session) || !isText(n.Room) || !isText(n.Door) || !isText(n.Cause) || !isText(n.Data) || n.At.IsZero() {
		return nil, store.ErrInvalid
	}
	return []any{n.ID, s.when(n.At), n.Session, n.Room, n.Door, n.Cause, n.Count, n.Result, n.Data}, nil
}

func scanNote(rows *sql.Rows) (n store.TalkNote, err error) {
	var at moment
	err = rows.Scan(&n.ID, &at, &n.Session, &n.Room, &n.Door, &n.Cause, &n.Count, &n.Result, &n.Data)
	n.At = at.Time
	return n, err
}

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/internal/store"
	"parley/portal/report"
	"parley/xmpp/wire"
)

// Calls are the records of calls.
type Calls interface {
	TalkSessions(ctx context.Context, q store.TalkQuery) ([]store.TalkSession, error)
	TalkSubs(ctx context.Context, sessions []string) ([]store.TalkSub, error)
	// Day makes the report of a day; store.ErrInvalid: that is none, store.ErrNotFound: it has not come yet.
	Day(ctx context.Context, day string) (*report.Day, error)
}

// noRecords answers where none are kept.
var noRecords = problem(http.StatusNotFound, "records.off", "this server keeps no records of calls")

type (
	callView struct {
		ID      string     `json:"id"`
		Room    string     `json:"room" doc:"Its address."`
		Door    string     `json:"door" doc:"By which protocol: jitsi, xmpp, roomserver, ..."`
		App     string     `json:"app,omitempty"`
		User    string     `json:"user"`
		Name    string     `json:"name"`
		Account string     `json:"account,omitempty"`
		Talk    string     `json:"talk" doc:"audio, both, video or none."`
		IP      string     `json:"ip,omitempty"`
		Country string     `json:"country,omitempty" doc:"Of that address (ISO 3166-1), where it is known."`
		System  string     `json:"system,omitempty"`
		Browser string     `json:"browser,omitempty"`
		Client  string     `json:"client,omitempty"`
		Gate    int        `json:"gate" doc:"The highest that the room had meanwhile: 0 from member to member, 1 forwarded, 2 mixed."`
		Joined  time.Time  `json:"joined"`
		Left    *time.Time `json:"left,omitempty" doc:"Missing while it goes on."`
		Seconds int64      `json:"seconds"`
		TimeOut bool       `json:"timed_out" doc:"Removed, because nothing came any more."`
		With    []withView `json:"with"`
	}
	withView struct {
		ID        string     `json:"id"`
		User      string     `json:"user"`
		Name      string     `json:"name"`
		IP        string     `json:"ip,omitempty" doc:"For administrators."`
		Country   string     `json:"country,omitempty" doc:"For administrators: of that address, where it is known."`
		ICE       string     `json:"ice,omitempty" doc:"For administrators: the ICE server of the two."`
		ICEIn     string     `json:"ice_country,omitempty" doc:"For administrators: where that is."`
		Status    string     `json:"status" doc:"open, talked, talked-timeout, never or never-timeout."`
		Way       string     `json:"way,omitempty" doc:"TURN, STUN, SFU or Unknown."`
		Claimed   string     `json:"claimed,omitempty" doc:"What the client says instead."`
		Begun     *time.Time `json:"begun,omitempty"`
		Connected *time.Time `json:"connected,omitempty"`
		Finished  *time.Time `json:"finished,omitempty"`
		Seconds   int64      `json:"seconds" doc:"From connected to finished."`
		Cents     int64      `json:"cents"`
	}
	callsOutput struct{ Body []callView }

	// Earlier names a part of a list.
	Earlier struct {
		Before string `query:"before" pattern:"^[0-9A-HJKMNP-TV-Z]{26}$" doc:"Calls earlier than this one, the last of the list before."`
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many, at most."`
	}
	callsInput struct {
		Earlier
		Account string `query:"account" maxLength:"1023" doc:"Of this account alone." example:"ann"`
		Room    string `query:"room" maxLength:"1023" doc:"In this room alone: its name." example:"standup"`
	}
	// ReportPath names the report of a day.
	ReportPath struct {
		Day string `path:"day" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" doc:"The day, in the zone that the configuration names." example:"2026-08-01"`
	}
	reportForm struct {
		ReportPath
		Form string `path:"form" enum:"html,text,csv,countries" doc:"countries is the table of countries, as CSV."`
	}
	reportOutput struct{ Body *report.Day }
	formOutput   struct {
		Type   string `header:"Content-Type"`
		Policy string `header:"Content-Security-Policy"`
		Body   []byte
	}
)

var (
	talkNames  = [...]string{"audio", "both", "video", "none"}
	subsStatus = map[int]string{store.SubOpen: "open", store.SubTalked: "talked", store.SubTalkedTill: "talked-timeout", store.SubNever: "never", store.SubNeverTimeout: "never-timeout"}
)

func (a *API) addRecords() {
	tags := []string{"calls"}
	operation(a, app.Self, huma.Operation{
		OperationID: "my-calls", Method: http.MethodGet, Path: "/me/calls", Tags: tags, Summary: "List one's own calls", Errors: []int{404},
		Description: "Of the account that asks, the latest first, with everybody who was met.",
	}, func(ctx context.Context, in *Earlier) (*callsOutput, error) {
		return a.calls(ctx, store.TalkQuery{Account: asker(ctx).account(), Before: in.Before, Limit: in.Limit}, false)
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "list-calls", Method: http.MethodGet, Path: "/calls", Tags: tags, Summary: "List calls", Errors: []int{404, 422},
		Description: "Of everybody, the latest first: one for each member of a room, from joining to leaving.",
	}, func(ctx context.Context, in *callsInput) (*callsOutput, error) {
		q := store.TalkQuery{Before: in.Before, Limit: in.Limit}
		if in.Account != "" {
			addr, err := a.own(in.Account)
			if err != nil {
				return nil, err
			}
			q.Account = string(addr)
		}
		if in.Room != "" {
			addr, err := wire.ParseAddr(in.Room + "@" + a.parts.RoomsAt)
			if err != nil || !tame(in.Room) {
				return nil, invalid("the name of a room, such as standup, is needed")
			}
			q.Room = string(addr)
		}
		return a.calls(ctx, q, true)
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "get-report", Method: http.MethodGet, Path: "/reports/{day}", Tags: tags, Summary: "Show the report of a day", Errors: []int{404, 422},
		Description: "Of the present day, as far as it has passed.",
	}, func(ctx context.Context, in *ReportPath) (*reportOutput, error) {
		d, err := a.report(ctx, in.Day)
		return &reportOutput{d}, err
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "get-report-as", Method: http.MethodGet, Path: "/reports/{day}/{form}", Tags: tags, Summary: "Show the report of a day as a page, text or CSV", Errors: []int{404, 422},
		Responses: map[string]*huma.Response{"200": {Description: "The report.", Content: map[string]*huma.MediaType{"text/html": {}, "text/plain": {}, "text/csv": {}}}},
	}, func(ctx context.Context, in *reportForm) (*formOutput, error) {
		d, err := a.report(ctx, in.Day)
		if err != nil {
			return nil, err
		}
		out := &formOutput{Policy: "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
		switch in.Form {
		case "html":
			out.Type = "text/html; charset=utf-8"
			out.Body, err = d.HTML()
		case "countries":
			out.Type, out.Body = "text/csv; charset=utf-8; header=present", d.CountriesCSV()
		case "text":
			out.Type, out.Body = "text/plain; charset=utf-8", d.Text()
		default:
			out.Type, out.Body = "text/csv; charset=utf-8; header=present", d.CSV()
		}
		return out, err
	})
}

// report makes a report. Its lists are there, if empty.
func (a *API) report(ctx context.Context, day string) (*report.Day, error) {
	if a.parts.Calls == nil {
		return nil, noRecords
	}
	d, err := a.parts.Calls.Day(ctx, day)
	if err != nil {
		return nil, err
	}
	d.FailedJoins, d.WorstRooms = append([]report.Cause{}, d.FailedJoins...), append([]report.Room{}, d.WorstRooms...)
	d.Countries, d.Lines = append([]report.Place{}, d.Countries...), append([]report.Line{}, d.Lines...)
	return d, nil
}

func (a *API) calls(ctx context.Context, q store.TalkQuery, admin bool) (*callsOutput, error) {
	if a.parts.Calls == nil {
		return nil, noRecords
	}
	list, err := a.parts.Calls.TalkSessions(ctx, q)
	if err != nil {
		return nil, err
	}
	var ids []string
	for i := range list {
		ids = append(ids, list[i].ID)
	}
	subs, err := a.parts.Calls.TalkSubs(ctx, ids)
	if err != nil {
		return nil, err
	}
	with := make(map[string][]withView)
	for i := range subs {
		p := &subs[i]
		v := withView{ID: p.ID, User: p.RemoteUser, Name: p.RemoteName, IP: p.RemoteIP, Country: p.RemoteIn, ICE: p.ICE, ICEIn: p.ICEIn, Status: subsStatus[p.Status], Way: p.Connect, Claimed: p.Claimed,
			Begun: known(p.Begun), Connected: known(p.Connected), Finished: known(p.Finished), Seconds: p.Seconds, Cents: p.Cost}
		if !admin { // where others are is not for everybody who has met them
			v.IP, v.Country, v.ICE, v.ICEIn = "", "", "", ""
		}
		with[p.Session] = append(with[p.Session], v)
	}
	out := &callsOutput{[]callView{}}
	for i := range list {
		s := &list[i]
		v := callView{ID: s.ID, Room: s.Room, Door: s.Protocol, App: s.App, User: s.User, Name: s.Name, Account: s.Account, Talk: talkNames[min(max(s.Talk, 0), 3)], IP: s.IP, Country: s.Country, System: s.OS, Browser: s.Browser, Client: s.SDK,
			Gate: s.Gate, Joined: s.Joined, Left: known(s.Left), TimeOut: s.TimeOut, With: with[s.ID]}
		if v.Left != nil {
			v.Seconds = max(int64(s.Left.Sub(s.Joined)/time.Second), 0)
		}
		if v.With == nil {
			v.With = []withView{}
		}
		out.Body = append(out.Body, v)
	}
	return out, nil
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

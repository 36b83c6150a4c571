package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/xmpp/wire"
)

// Live is what the server is doing, beside its rooms.
type Live struct {
	// Media are the figures of those in a room whose media the bridge carries, by their real addresses; an error if it cannot be asked.
	Media  func(ctx context.Context, room wire.Addr) (map[wire.Addr]Media, error)
	Online func() []Presence // accounts that are here, without guests
	Relays func() []Relay    // STUN and TURN servers that clients are given
	Health func() Health     // how the server is
}

// Media are counts of a member's media since its transport is there. Who asks twice knows what was between.
type Media struct {
	In      Flow   `json:"in" doc:"From the member to the server."`
	Out     Flow   `json:"out" doc:"From the server to the member; of packets, those whose fate the member has told."`
	Rate    int64  `json:"rate" doc:"Bits a second that the way to the member is taken for; 0: no limit is known."`
	RTT     int64  `json:"rtt" doc:"Microseconds of a round trip; 0: not known."`
	Trouble string `json:"trouble,omitempty" doc:"The part of the way at which media suffer: uplink, downlink, relay or bridge."`
}

// Flow counts what went one way.
type Flow struct {
	Bytes   int64 `json:"bytes"`
	Packets int64 `json:"packets" doc:"That should have come."`
	Lost    int64 `json:"lost" doc:"Of them."`
}

// Presence is a session of an account.
type Presence struct {
	Address string `json:"address" doc:"Of the session." example:"ann@meet.example/phone"`
	IP      string `json:"ip,omitempty"`
}

// Relay is a STUN or TURN server that clients are given.
type Relay struct {
	URLs     []string   `json:"urls" nullable:"false"`
	Doors    string     `json:"doors" enum:"all,roomserver" doc:"By which protocols it is given out."`
	Region   string     `json:"region,omitempty"`
	Rate     int        `json:"rate" doc:"kbit/s that it carries, as far as it is known."`
	Capacity int        `json:"capacity" doc:"kbit/s that it can carry; 0: without end, or not known."`
	Members  int        `json:"members" doc:"How many were given it, of those doors that count."`
	Expires  *time.Time `json:"expires,omitempty" doc:"When its registration ends, if nothing comes from it."`
}

// Health says how the server is.
type Health struct {
	Ready   bool           `json:"ready" doc:"New clients may be sent here."`
	Reason  string         `json:"reason,omitempty" doc:"Why not."`
	Version string         `json:"version"`
	Domain  string         `json:"domain"`
	Node    string         `json:"node,omitempty"`
	Started time.Time      `json:"started"`
	Now     time.Time      `json:"now" doc:"By the server's clock."`
	Parts   map[string]any `json:"parts" doc:"What each part says of itself."`
}

type memberMedia struct {
	Nick string `json:"nick"`
	Media
}

type (
	mediaOutput struct {
		Body struct {
			At      time.Time     `json:"at" doc:"When it was counted."`
			Members []memberMedia `json:"members" nullable:"false" doc:"Those whose media go through the server."`
		}
	}
	onlineOutput struct{ Body []Presence }
	relaysOutput struct{ Body []Relay }
	healthOutput struct{ Body Health }
)

func (a *API) addLive() {
	live, tags := &a.parts.Live, []string{"live"}
	if a.parts.Rooms != nil && live.Media != nil {
		operation(a, app.ReadRooms, huma.Operation{
			OperationID: "get-room-media", Method: http.MethodGet, Path: "/rooms/{room}/media", Tags: []string{"rooms"}, Summary: "Show what the media in a room are like", Errors: []int{404},
			Description: "Counts of bytes, packets and losses for each member whose media go through the server.",
		}, a.media)
	}
	if live.Online != nil {
		operation(a, app.Admin, huma.Operation{OperationID: "list-online", Method: http.MethodGet, Path: "/online", Tags: tags, Summary: "List who is online"},
			func(context.Context, *struct{}) (*onlineOutput, error) {
				return &onlineOutput{append([]Presence{}, live.Online()...)}, nil
			})
	}
	if live.Relays != nil {
		operation(a, app.Admin, huma.Operation{OperationID: "list-ice-servers", Method: http.MethodGet, Path: "/ice", Tags: tags, Summary: "List the STUN and TURN servers that clients are given"},
			func(context.Context, *struct{}) (*relaysOutput, error) {
				return &relaysOutput{append([]Relay{}, live.Relays()...)}, nil
			})
	}
	if live.Health != nil {
		operation(a, app.Admin, huma.Operation{
			OperationID: "get-health", Method: http.MethodGet, Path: "/health", Tags: tags, Summary: "Say how the server is", Description: "It answers also where the server is not ready.",
		}, func(context.Context, *struct{}) (*healthOutput, error) {
			h := live.Health()
			h.Now = time.Now().UTC()
			return &healthOutput{h}, nil
		})
	}
}

func (a *API) media(ctx context.Context, in *RoomPath) (*mediaOutput, error) {
	addr, err := a.roomOf(in.Room)
	if err != nil {
		return nil, err
	}
	v, err := a.parts.Rooms.View(ctx, addr)
	if err != nil {
		return nil, ofRoom(err)
	}
	of, err := a.parts.Live.Media(ctx, addr)
	if err != nil {
		a.parts.Recorder.Hurt("api.bridge", in.Room, "err", err.Error())
		return nil, away
	}
	out := new(mediaOutput)
	out.Body.At, out.Body.Members = time.Now().UTC(), []memberMedia{}
	for i := range v.Occupants {
		if m, ok := of[v.Occupants[i].Addr]; ok {
			out.Body.Members = append(out.Body.Members, memberMedia{v.Occupants[i].Nick, m})
		}
	}
	return out, nil
}

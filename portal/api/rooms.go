package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/muc"
	"parley/xmpp/wire"
)

// Rooms are the rooms in use; muc.Service is.
type Rooms interface {
	InUse(after wire.Addr, limit int) []wire.Addr
	View(ctx context.Context, room wire.Addr) (muc.View, error)
	Expel(ctx context.Context, room wire.Addr, nick, reason string) error
	End(ctx context.Context, room wire.Addr, reason string) error
}

// Call is the conference in a room.
type Call struct {
	Gate    string // how its media travel: closed, p2p, sfu, mcu
	Members int
}

// RoomView is what a room is. Types that are embedded are exported: the library reads no others.
type RoomView struct {
	Room        string    `json:"room" doc:"Its name." example:"standup"`
	Address     string    `json:"address" doc:"Its address in XMPP." example:"standup@muc.meet.example"`
	Title       string    `json:"title,omitempty"`
	Subject     string    `json:"subject,omitempty"`
	Created     time.Time `json:"created"`
	Persistent  bool      `json:"persistent" doc:"It stays when nobody is in it."`
	MembersOnly bool      `json:"members_only"`
	Password    bool      `json:"password" doc:"It has one."`
	Members     int       `json:"members" doc:"How many are in it."`
	Gate        string    `json:"gate" enum:"none,closed,p2p,sfu,mcu" doc:"How media travel: between two members, by the bridge, mixed; closed while there are fewer than two, none without a call."`
	Callers     int       `json:"callers" doc:"How many take part in the call."`
}

type roomMember struct {
	Nick        string    `json:"nick"`
	ID          string    `json:"id" doc:"It stays the same for a person in a room, whatever the nickname."`
	Address     string    `json:"address" doc:"The real address of the session."`
	Door        string    `json:"door" doc:"By which protocol they are in: jitsi, xmpp, call, roomserver." example:"jitsi"`
	Affiliation string    `json:"affiliation"`
	Role        string    `json:"role"`
	Guest       bool      `json:"guest" doc:"Without an account."`
	Bot         bool      `json:"bot"`
	Joined      time.Time `json:"joined"`
}

type roomDetail struct {
	RoomView
	List []roomMember `json:"list" nullable:"false" doc:"Who is in it."`
}

type (
	roomsOutput struct{ Body []RoomView }
	roomOutput  struct{ Body roomDetail }
	// RoomPath names a room.
	RoomPath struct {
		Room string `path:"room" maxLength:"1023" doc:"Name of the room." example:"standup"`
	}
	endRoom struct {
		RoomPath
		Body struct {
			Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why; those in the room are told."`
		}
	}
	expelMember struct {
		RoomPath
		Body struct {
			Nick   string `json:"nick" minLength:"1" maxLength:"1023" doc:"Nickname of who is thrown out."`
			Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why; those in the room are told."`
		}
	}
)

func (in *RoomPath) about() string    { return in.Room }
func (in *expelMember) about() string { return in.Room + " " + in.Body.Nick }

func (a *API) addRooms() {
	if a.parts.Rooms == nil {
		return
	}
	tags := []string{"rooms"}
	operation(a, app.ReadRooms, huma.Operation{OperationID: "list-rooms", Method: http.MethodGet, Path: "/rooms", Tags: tags, Summary: "List the rooms in use"}, a.rooms)
	operation(a, app.ReadRooms, huma.Operation{
		OperationID: "get-room", Method: http.MethodGet, Path: "/rooms/{room}", Tags: tags, Summary: "Show a room and who is in it", Errors: []int{404},
	}, func(ctx context.Context, in *RoomPath) (*roomOutput, error) {
		addr, err := a.roomOf(in.Room)
		if err != nil {
			return nil, err
		}
		v, err := a.parts.Rooms.View(ctx, addr)
		if err != nil {
			return nil, ofRoom(err)
		}
		return &roomOutput{a.detailOf(v)}, nil
	})
	operation(a, app.WriteRooms, huma.Operation{
		OperationID: "end-room", Method: http.MethodPost, Path: "/rooms/{room}/end", Tags: tags, Summary: "End a room", DefaultStatus: 204, Errors: []int{404},
		Description: "Everybody in it leaves, the tokens they came with are revoked, and what is stored of it is removed.",
	}, func(ctx context.Context, in *endRoom) (*struct{}, error) {
		addr, err := a.roomOf(in.Room)
		if err != nil {
			return nil, err
		}
		if !plain(in.Body.Reason) {
			return nil, invalid("a text holds control characters")
		}
		return nil, ofRoom(a.parts.Rooms.End(ctx, addr, in.Body.Reason))
	})
	operation(a, app.WriteRooms, huma.Operation{
		OperationID: "expel-member", Method: http.MethodPost, Path: "/rooms/{room}/expel", Tags: tags, Summary: "Throw somebody out of a room", DefaultStatus: 204, Errors: []int{404},
		Description: "The token they came with is revoked. Who is in with an account may come again.",
	}, func(ctx context.Context, in *expelMember) (*struct{}, error) {
		addr, err := a.roomOf(in.Room)
		if err != nil {
			return nil, err
		}
		if !plain(in.Body.Nick) || !plain(in.Body.Reason) {
			return nil, invalid("a text holds control characters")
		}
		return nil, ofRoom(a.parts.Rooms.Expel(ctx, addr, in.Body.Nick, in.Body.Reason))
	})
}

// roomOf returns the address of a room by its name.
func (a *API) roomOf(name string) (wire.Addr, error) {
	addr, err := wire.ParseAddr(name + "@" + a.parts.RoomsAt)
	if err != nil || !addr.IsBare() || addr.Domain() != a.parts.RoomsAt || addr.Local() == "" || strings.ContainsAny(name, "@/") {
		return "", notFound
	}
	return addr, nil
}

// ofRoom says what became of something that was asked of a room.
func ofRoom(err error) error {
	switch {
	case errors.Is(err, muc.ErrNoRoom), errors.Is(err, muc.ErrNoOccupant):
		return notFound
	case errors.Is(err, muc.ErrBusy):
		return away
	}
	return err
}

func (a *API) rooms(ctx context.Context, in *page) (*roomsOutput, error) {
	out := &roomsOutput{[]RoomView{}}
	after := wire.Addr("")
	if in.After != "" {
		after = wire.Addr(in.After + "@" + a.parts.RoomsAt) // compared, and nothing else
	}
	for len(out.Body) < in.Limit {
		list := a.parts.Rooms.InUse(after, in.Limit-len(out.Body))
		if len(list) == 0 {
			break
		}
		for _, addr := range list {
			v, err := a.parts.Rooms.View(ctx, addr)
			switch {
			case err == nil:
				out.Body = append(out.Body, a.viewOfRoom(v))
			case ctx.Err() != nil:
				return nil, ctx.Err()
			}
		}
		after = list[len(list)-1]
	}
	return out, nil
}

func (a *API) viewOfRoom(v muc.View) RoomView {
	call := Call{Gate: "none"}
	if a.parts.Call != nil {
		if c, ok := a.parts.Call(v.Room); ok {
			call = c
		}
	}
	return RoomView{
		Room: v.Room.Local(), Address: string(v.Room), Title: v.Title, Subject: v.Subject, Created: v.Created.UTC(), Persistent: v.Persistent, MembersOnly: v.MembersOnly,
		Password: v.Password, Members: len(v.Occupants), Gate: call.Gate, Callers: call.Members,
	}
}

func (a *API) detailOf(v muc.View) roomDetail {
	d := roomDetail{a.viewOfRoom(v), []roomMember{}}
	for i := range v.Occupants {
		o := &v.Occupants[i]
		d.List = append(d.List, roomMember{
			Nick: o.Nick, ID: o.ID, Address: string(o.Addr), Door: a.parts.Door(o), Affiliation: o.Affiliation.String(), Role: o.Role.String(), Guest: o.Guest, Bot: o.Bot, Joined: o.Joined.UTC(),
		})
	}
	return d
}

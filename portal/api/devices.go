package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/xmpp/wire"
)

// Device is a client of an account, as far as the server knows which it is.
type Device struct {
	ID        string      // 26 letters and digits of base32; the same as long as it is the same client
	Client    string      // stands for the installation, "" if it has not said which it is
	Address   wire.Addr   // of its session, or of the last that is known; "": none
	Sessions  []wire.Addr // that it has, connected or waiting for it
	Connected bool
	Source    netip.Addr // whence it was connected last; invalid without a session
	Until     time.Time  // until when it can log in without a password; zero: it cannot
	Pushes    []wire.Addr
}

// Devices knows them.
type Devices interface {
	Devices(ctx context.Context, account wire.Addr) ([]Device, error)
	// EndDevice ends all that a device has.
	EndDevice(ctx context.Context, account wire.Addr, d Device) error
}

type (
	deviceView struct {
		ID        string     `json:"id"`
		Address   string     `json:"address,omitempty" doc:"Of its session, or of the last one that is known."`
		State     string     `json:"state" enum:"connected,waiting,away" doc:"waiting: its session is kept until it comes back. away: it has none."`
		IP        string     `json:"ip,omitempty" doc:"Whence it was connected last."`
		Remembers *time.Time `json:"remembers_until,omitempty" doc:"Until when it can log in without a password; missing: it cannot."`
		Pushes    int        `json:"pushes" doc:"App servers that are told what waits for it."`
	}
	devicesOutput struct{ Body []deviceView }
	devicePath    struct {
		ID string `path:"device" pattern:"^[A-Z2-7]{26}$" doc:"Of the list of devices."`
	}
)

func (in *devicePath) about() string { return in.ID }

func (a *API) addDevices() {
	if a.parts.Devices == nil {
		return
	}
	tags := []string{"devices"}
	operation(a, app.Self, huma.Operation{
		OperationID: "list-devices", Method: http.MethodGet, Path: "/me/devices", Tags: tags, Summary: "List the XMPP clients of this account",
		Description: "With their sessions, and what they log in or are woken up with. Logins to this API are in another list.",
	}, func(ctx context.Context, _ *struct{}) (*devicesOutput, error) {
		list, err := a.parts.Devices.Devices(ctx, wire.Addr(asker(ctx).account()))
		out := &devicesOutput{[]deviceView{}}
		for i := range list {
			out.Body = append(out.Body, viewOfDevice(&list[i], time.Now()))
		}
		return out, err
	})
	operation(a, app.Self, huma.Operation{
		OperationID: "end-device", Method: http.MethodDelete, Path: "/me/devices/{device}", Tags: tags, Summary: "Log an XMPP client out", DefaultStatus: 204, Errors: []int{404},
		Description: "Its session ends, it is told of nothing any more, and needs the password to come back. Who fears that somebody else has that changes it.",
	}, func(ctx context.Context, in *devicePath) (*struct{}, error) {
		own := wire.Addr(asker(ctx).account())
		list, err := a.parts.Devices.Devices(ctx, own)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(d Device) bool { return d.ID == in.ID })
		if i < 0 {
			return nil, notFound
		}
		return nil, a.parts.Devices.EndDevice(ctx, own, list[i])
	})
}

func viewOfDevice(d *Device, now time.Time) deviceView {
	v := deviceView{ID: d.ID, Address: string(d.Address), State: "away", Pushes: len(d.Pushes)}
	switch {
	case d.Connected:
		v.State = "connected"
	case len(d.Sessions) > 0:
		v.State = "waiting"
	}
	if d.Source.IsValid() {
		v.IP = d.Source.String()
	}
	if now.Before(d.Until) {
		v.Remembers = &d.Until
	}
	return v
}

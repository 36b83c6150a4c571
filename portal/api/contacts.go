package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/internal/store"
	"parley/xmpp/wire"
)

// Rosters are the contacts of accounts, as XMPP clients have them: what is changed here is seen there at once.
type Rosters interface {
	Roster(ctx context.Context, account wire.Addr) ([]store.Contact, error)
	// SetContact adds or changes a contact; ask asks them for their presence.
	SetContact(ctx context.Context, account wire.Addr, c store.Contact, ask bool) (store.Contact, error)
	RemoveContact(ctx context.Context, account, contact wire.Addr) error
}

type (
	contactView struct {
		Address      string   `json:"address"`
		Name         string   `json:"name,omitempty"`
		Groups       []string `json:"groups" nullable:"false"`
		Subscription string   `json:"subscription" doc:"Who sees whose presence: none, to (one sees theirs), from (they see one's own) or both."`
		Asked        bool     `json:"asked" doc:"They were asked for theirs, and have not answered."`
	}
	contactOutput  struct{ Body contactView }
	contactsOutput struct{ Body []contactView }
	// ContactPath names a contact.
	ContactPath struct {
		Contact string `path:"contact" maxLength:"2047" doc:"Address of the contact." example:"carl@example.org"`
	}
	contactInput struct {
		ContactPath
		Body struct {
			Name   string   `json:"name,omitempty" maxLength:"256" doc:"What one calls them."`
			Groups []string `json:"groups,omitempty" maxItems:"50" doc:"Groups that they are in."`
			Ask    bool     `json:"ask,omitempty" doc:"Ask them to let one see their presence."`
		}
	}
)

func (in *ContactPath) about() string { return in.Contact }

func (a *API) addContacts() {
	if a.parts.Rosters == nil {
		return
	}
	tags := []string{"contacts"}
	operation(a, app.Self, huma.Operation{
		OperationID: "list-contacts", Method: http.MethodGet, Path: "/me/contacts", Tags: tags, Summary: "List one's contacts",
	}, func(ctx context.Context, _ *struct{}) (*contactsOutput, error) {
		list, err := a.parts.Rosters.Roster(ctx, wire.Addr(asker(ctx).account()))
		out := &contactsOutput{[]contactView{}}
		for i := range list {
			out.Body = append(out.Body, viewOfContact(&list[i]))
		}
		return out, err
	})
	operation(a, app.Self, huma.Operation{
		OperationID: "set-contact", Method: http.MethodPut, Path: "/me/contacts/{contact}", Tags: tags, Summary: "Add or change a contact", Errors: []int{404, 409, 422},
		Description: "Clients that are connected see it at once.",
	}, func(ctx context.Context, in *contactInput) (*contactOutput, error) {
		who, err := contact(in.Contact)
		if err != nil {
			return nil, err
		}
		texts := append([]string{in.Body.Name}, in.Body.Groups...)
		for _, text := range texts {
			if !plain(text) {
				return nil, invalid("a text holds control characters")
			}
		}
		c, err := a.parts.Rosters.SetContact(ctx, wire.Addr(asker(ctx).account()), store.Contact{Addr: string(who), Name: in.Body.Name, Groups: in.Body.Groups}, in.Body.Ask)
		if err != nil {
			return nil, err
		}
		return &contactOutput{viewOfContact(&c)}, nil
	})
	operation(a, app.Self, huma.Operation{
		OperationID: "remove-contact", Method: http.MethodDelete, Path: "/me/contacts/{contact}", Tags: tags, Summary: "Remove a contact", DefaultStatus: 204, Errors: []int{404, 422},
		Description: "The two do not see one another any more.",
	}, func(ctx context.Context, in *ContactPath) (*struct{}, error) {
		who, err := contact(in.Contact)
		if err != nil {
			return nil, err
		}
		return nil, a.parts.Rosters.RemoveContact(ctx, wire.Addr(asker(ctx).account()), who)
	})
}

// contact reads the bare address of somebody, here or elsewhere.
func contact(text string) (wire.Addr, error) {
	addr, err := wire.ParseAddr(text)
	if err != nil || !addr.IsBare() || !tame(addr.Domain()) || addr.Local() == "" || !tame(addr.Local()) {
		return "", invalid("an address such as carl@example.org is needed")
	}
	return addr, nil
}

func viewOfContact(c *store.Contact) contactView {
	v := contactView{Address: c.Addr, Name: c.Name, Groups: append([]string{}, c.Groups...), Asked: c.Asked, Subscription: "none"}
	switch {
	case c.To && c.From:
		v.Subscription = "both"
	case c.To:
		v.Subscription = "to"
	case c.From:
		v.Subscription = "from"
	}
	return v
}

package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/internal/opaque"
	"parley/internal/token"
)

type person struct {
	ID     string `json:"id,omitempty" maxLength:"256" doc:"Who it is, in the application's words. A guest has it in rooms; it is no account."`
	Name   string `json:"name,omitempty" maxLength:"256" doc:"Name that the others see."`
	Email  string `json:"email,omitempty" maxLength:"320"`
	Avatar string `json:"avatar,omitempty" maxLength:"2048" doc:"Address of a picture, https or http."`
}

type roomTokenInput struct {
	Body struct {
		Room      string          `json:"room" minLength:"1" maxLength:"1023" doc:"Name of the room that it opens; * is all rooms." example:"standup"`
		Tenant    string          `json:"tenant,omitempty" maxLength:"1023" doc:"Tenant of the room; without, it is a room of the domain."`
		User      person          `json:"user,omitempty" doc:"For whom it is. Who has logged in makes tokens for themselves only, and leaves it out."`
		Moderator bool            `json:"moderator,omitempty" doc:"They enter as owner of the room. Only applications may say so."`
		Door      string          `json:"door,omitempty" enum:"xmpp,roomserver,apprtc,mqtt,whip" doc:"The one protocol that it is good for; without, all."`
		Once      bool            `json:"once,omitempty" doc:"It may be used once: who comes back without a session to take up needs another one."`
		Group     string          `json:"group,omitempty" maxLength:"256"`
		Features  map[string]bool `json:"features,omitempty" maxProperties:"64" doc:"What they may use, in Jitsi's words."`
		Seconds   int             `json:"expires_in,omitempty" minimum:"1" doc:"Seconds until which it has to be used; without, and at most, as long as the configuration says."`
	}
}

func (in *roomTokenInput) about() string { return in.Body.Room }

type roomToken struct {
	Token   string    `json:"token" doc:"JSON Web Token, as Jitsi expects it, for every door."`
	ID      string    `json:"id" doc:"The claim jti."`
	Expires time.Time `json:"expires"`
}

type roomTokenOutput struct{ Body roomToken }

type explainInput struct {
	Body struct {
		Token  string `json:"token" maxLength:"16384" doc:"The token."`
		Room   string `json:"room,omitempty" maxLength:"1023" doc:"The room that it is to open."`
		Tenant string `json:"tenant,omitempty" maxLength:"1023" doc:"The room's tenant."`
		Door   string `json:"door,omitempty" enum:"xmpp,roomserver,apprtc,mqtt,whip" doc:"The protocol that it is to be used with."`
	}
}

type revokeInput struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"8192" doc:"The token, which must be good still."`
	}
}

type finding struct {
	Check string `json:"check" doc:"The claim, or form, header, signature."`
	OK    bool   `json:"ok"`
	Says  string `json:"says,omitempty" doc:"What the token says there."`
	Code  string `json:"code,omitempty" doc:"Why it is refused, for programs." example:"token.expired"`
	Text  string `json:"text,omitempty" doc:"Why it is refused, for people."`
}

type explanation struct {
	OK       bool      `json:"ok" doc:"The token would be accepted."`
	Findings []finding `json:"findings"`
}

type explainOutput struct{ Body explanation }

func (a *API) addTokens() {
	if a.parts.Signer != nil {
		operation(a, app.IssueTokens, huma.Operation{
			OperationID: "make-room-token", Method: http.MethodPost, Path: "/tokens/room", Tags: []string{"tokens"}, Summary: "Make a token that opens a room",
			DefaultStatus: http.StatusCreated,
		}, a.makeToken)
	}
	operation(a, app.IssueTokens, huma.Operation{
		OperationID: "revoke-token", Method: http.MethodPost, Path: "/tokens/revoke", Tags: []string{"tokens"}, Summary: "End a token", DefaultStatus: 204,
		Description: "Nobody comes in with it any more. Who has come in already stays, and cannot enter the room again.",
	}, a.revokeToken)
	operation(a, app.IssueTokens, huma.Operation{
		OperationID: "explain-token", Method: http.MethodPost, Path: "/tokens/explain", Tags: []string{"tokens"}, Summary: "Say what a token is good for",
		Description: "Every check that a door makes, with its outcome. The codes are those that the doors answer with.",
	}, func(ctx context.Context, in *explainInput) (*explainOutput, error) {
		b := &in.Body
		if !(b.Room == "" || tame(b.Room)) || !(b.Tenant == "" || tame(b.Tenant)) {
			return nil, invalid("room and tenant are names")
		}
		out := &explainOutput{explanation{OK: true}}
		for _, f := range a.parts.Tokens.Explain(ctx, b.Token, token.Want{Room: b.Room, Tenant: b.Tenant, Door: b.Door}) {
			out.Body.OK = out.Body.OK && f.OK
			out.Body.Findings = append(out.Body.Findings, finding(f))
		}
		return out, nil
	})
}

// revokeToken ends a token. Who may make one for a person may end it: an application those of everybody, a person their own.
func (a *API) revokeToken(ctx context.Context, in *revokeInput) (*struct{}, error) {
	who := asker(ctx)
	claims, err := a.parts.Tokens.Check(ctx, in.Body.Token, who.from.String())
	if e := (*token.Error)(nil); errors.As(err, &e) {
		return nil, problem(http.StatusUnprocessableEntity, e.Code, e.Text)
	}
	if err != nil {
		return nil, err
	}
	local, _, _ := strings.Cut(who.account(), "@")
	if who.app == nil && (claims.Issuer != a.parts.Issuer || claims.User.ID != local) {
		return nil, badScope
	}
	if claims.ID == "" {
		return nil, invalid("the token has no id by which it could be known again")
	}
	a.parts.Tokens.Revoke(&claims)
	return nil, nil
}

func (a *API) makeToken(ctx context.Context, in *roomTokenInput) (*roomTokenOutput, error) {
	b := &in.Body
	who := asker(ctx)
	switch {
	case b.Room != token.Any && !tame(b.Room) || b.Tenant != "" && !tame(b.Tenant):
		return nil, invalid("room and tenant are names of letters, digits and -._~+!")
	case !plain(b.User.ID) || !plain(b.User.Name) || !plain(b.User.Email) || !plain(b.Group):
		return nil, invalid("a text holds control characters")
	case b.User.Avatar != "" && !isPicture(b.User.Avatar):
		return nil, invalid("the avatar is no address of a picture")
	}
	for name := range b.Features {
		if len(name) > 64 || !tame(name) {
			return nil, invalid("features have names such as recording")
		}
	}
	life := a.cfg.TokenLife
	if b.Seconds > 0 {
		life = min(life, time.Duration(min(b.Seconds, 1<<20))*time.Second)
	}
	c := token.Claims{
		Issuer: a.parts.Issuer, Audience: a.parts.Audience, ID: opaque.NewID(), Expires: time.Now().Add(life), Room: b.Room, Tenant: b.Tenant, Door: b.Door,
		User: token.User{ID: b.User.ID, Name: b.User.Name, Email: b.User.Email, Avatar: b.User.Avatar}, Group: b.Group, Moderator: b.Moderator, Once: b.Once, Features: b.Features,
	}
	if who.app == nil {
		if b.User != (person{}) || b.Moderator || b.Group != "" || len(b.Features) > 0 || b.Room == token.Any {
			return nil, badScope // who they are comes from their login, and not more than they are
		}
		local, _, _ := strings.Cut(who.account(), "@")
		c.User = token.User{ID: local, Name: local}
	}
	raw, err := a.parts.Signer.Sign(c)
	if err != nil {
		return nil, err
	}
	return &roomTokenOutput{roomToken{raw, c.ID, c.Expires.UTC().Truncate(time.Second)}}, nil
}

// isPicture reports that a text is an address that a picture may have.
func isPicture(s string) bool {
	return plain(s) && (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")) && !strings.ContainsAny(s, " \"'<>\\`{}|^")
}

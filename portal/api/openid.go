package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/internal/opaque"
	"parley/internal/store"
	"parley/portal/oidc"
)

// OpenID asks a provider who somebody is.
type OpenID interface {
	Begin(ctx context.Context, redirect string) (oidc.Begun, error)
	Finish(ctx context.Context, a oidc.Answer) (oidc.Identity, error)
}

// mostIdentities of one account.
const mostIdentities = 10

type (
	openIDInput struct {
		Body struct {
			Redirect string `json:"redirect_uri,omitempty" maxLength:"1024" doc:"Page to come back to, one of those in the configuration; without, the first of them."`
		}
	}
	openIDBegun struct {
		URL     string `json:"url" doc:"Where the browser goes. It comes back with code and state, and with iss where the provider has it."`
		Session string `json:"session" doc:"A secret of the client, which ends the login with it. It is good once."`
		Seconds int    `json:"expires_in" doc:"Seconds that the login may take."`
	}
	openIDOutput struct{ Body openIDBegun }

	// OpenIDAnswer is what a browser was sent back with.
	OpenIDAnswer struct {
		Session string `json:"session" maxLength:"2048" doc:"Of the beginning."`
		Code    string `json:"code" minLength:"1" maxLength:"4096" doc:"As the provider has sent it."`
		State   string `json:"state" maxLength:"512" doc:"As the provider has sent it."`
		Issuer  string `json:"iss,omitempty" maxLength:"2048" doc:"As the provider has sent it, if it has (RFC 9207)."`
	}
	openIDLogin struct {
		Body struct {
			OpenIDAnswer
			Label string `json:"label,omitempty" maxLength:"100" doc:"What the client calls itself, for the list of logins."`
		}
	}
	openIDLink struct{ Body OpenIDAnswer }

	identityView struct {
		ID      string    `json:"id"`
		Issuer  string    `json:"issuer" doc:"The provider."`
		Subject string    `json:"subject" doc:"Who it is there."`
		Linked  time.Time `json:"linked"`
	}
	identityOutput   struct{ Body identityView }
	identitiesOutput struct{ Body []identityView }
	identityPath     struct {
		ID string `path:"identity" pattern:"^[A-Z2-7]{26}$" doc:"Of the list of identities."`
	}
)

func (in *identityPath) about() string { return in.ID }

var (
	badRedirect  = problem(http.StatusUnprocessableEntity, "oidc.redirect", "the provider may not send anybody to that page")
	badSession   = problem(http.StatusUnauthorized, "oidc.session", "the login has not begun here, is over, or took too long: begin again")
	notVouched   = problem(http.StatusUnauthorized, "oidc.refused", "the provider does not vouch for this login")
	providerAway = later(problem(http.StatusServiceUnavailable, "oidc.away", "the provider cannot be asked now"), 30)
	noAccount    = problem(http.StatusForbidden, "oidc.account", "this identity has no account here: log in with a password, and link it")
	badClaim     = problem(http.StatusForbidden, "oidc.name", "the provider names somebody whose name cannot be that of an account here")
	takenName    = problem(http.StatusForbidden, "oidc.taken", "the account of that name is not linked to this identity: log in with its password, and link it")
)

func (a *API) addOpenID() {
	if a.parts.OpenID == nil {
		return
	}
	tags := []string{"logins"}
	operation(a, open, huma.Operation{
		OperationID: "begin-openid", Method: http.MethodPost, Path: "/auth/oidc/begin", Tags: tags, Summary: "Begin to log in by an OpenID provider",
		Description: "The client keeps the session, and has the browser go to the address.",
	}, a.beginOpenID)
	operation(a, open, huma.Operation{
		OperationID: "finish-openid", Method: http.MethodPost, Path: "/auth/oidc/finish", Tags: tags, Summary: "Log in by an OpenID provider", Errors: []int{401, 403, 422},
		Description: "With what the provider has sent the browser back with. It is the same login as one with a password.",
	}, a.finishOpenID)
	operation(a, app.Self, huma.Operation{
		OperationID: "list-identities", Method: http.MethodGet, Path: "/me/identities", Tags: tags, Summary: "List by whom one may log in",
	}, func(ctx context.Context, _ *struct{}) (*identitiesOutput, error) {
		list, err := a.parts.Store.ListIdentities(ctx, asker(ctx).account())
		out := &identitiesOutput{[]identityView{}}
		for _, i := range list {
			out.Body = append(out.Body, identityView{i.ID, i.Issuer, i.Subject, i.Linked})
		}
		return out, err
	})
	operation(a, app.Self, huma.Operation{
		OperationID: "link-identity", Method: http.MethodPost, Path: "/me/identities", Tags: tags, Summary: "Link who one is at the provider", DefaultStatus: http.StatusCreated, Errors: []int{409, 422},
		Description: "Begun like a login. From then on that is a way to log in.",
	}, a.linkIdentity)
	operation(a, app.Self, huma.Operation{
		OperationID: "unlink-identity", Method: http.MethodDelete, Path: "/me/identities/{identity}", Tags: tags, Summary: "Take a way to log in away", DefaultStatus: 204, Errors: []int{404},
	}, func(ctx context.Context, in *identityPath) (*struct{}, error) {
		return nil, a.parts.Store.UnlinkIdentity(ctx, asker(ctx).account(), in.ID)
	})
}

func (a *API) beginOpenID(ctx context.Context, in *openIDInput) (*openIDOutput, error) {
	b, err := a.parts.OpenID.Begin(ctx, in.Body.Redirect)
	if err != nil {
		return nil, a.openIDProblem(ctx, err)
	}
	return &openIDOutput{openIDBegun{b.URL, b.Session, int(oidc.Life / time.Second)}}, nil
}

// openIDProblem says why a login does not go on, and counts it. What the provider says is for our log alone.
func (a *API) openIDProblem(ctx context.Context, err error) error {
	from := asker(ctx).from.String()
	switch {
	case errors.Is(err, oidc.ErrRedirect):
		return badRedirect
	case errors.Is(err, oidc.ErrAway):
		a.parts.Recorder.Hurt("oidc.away", "", "err", err.Error())
		return providerAway
	case errors.Is(err, oidc.ErrSession):
		a.parts.Recorder.Reject("oidc.session", from, "err", err.Error())
		return badSession
	case errors.Is(err, oidc.ErrRefused):
		a.parts.Recorder.Reject("oidc.refused", from, "err", err.Error())
		return notVouched
	}
	return err
}

func (a *API) finishOpenID(ctx context.Context, in *openIDLogin) (*tokensOutput, error) {
	if !plain(in.Body.Label) {
		return nil, invalid("the label holds control characters")
	}
	who, err := a.identity(ctx, &in.Body.OpenIDAnswer)
	if err != nil {
		return nil, err
	}
	addr, err := a.accountOf(ctx, who)
	if p := (*Problem)(nil); errors.As(err, &p) {
		a.parts.Recorder.Reject("oidc.account", asker(ctx).from.String(), "code", p.Code, "subject", who.Subject)
	}
	if err != nil {
		return nil, err
	}
	switch known, err := a.parts.Store.Account(ctx, addr); {
	case errors.Is(err, store.ErrNotFound):
		return nil, noAccount
	case err != nil:
		return nil, err
	case known.Disabled:
		return nil, disabled
	}
	now := time.Now()
	l := store.Login{ID: opaque.NewID(), Addr: addr, Label: in.Body.Label, Created: now}
	out := a.renew(&l, now)
	if err := a.parts.Store.AddLogin(ctx, l, a.cfg.Logins); errors.Is(err, store.ErrNotFound) {
		return nil, noAccount // deleted or disabled meanwhile
	} else if err != nil {
		return nil, err
	}
	return out, nil
}

func (a *API) identity(ctx context.Context, in *OpenIDAnswer) (oidc.Identity, error) {
	who, err := a.parts.OpenID.Finish(ctx, oidc.Answer{Session: in.Session, Code: in.Code, State: in.State, Issuer: in.Issuer})
	if err != nil {
		return who, a.openIDProblem(ctx, err)
	}
	return who, nil
}

// accountOf finds or makes the account of somebody whom the provider knows. A link decides; only where there is none the name does,
// as far as the configuration allows it.
func (a *API) accountOf(ctx context.Context, who oidc.Identity) (string, error) {
	linked, err := a.parts.Store.Identity(ctx, who.ID())
	if !errors.Is(err, store.ErrNotFound) {
		return linked.Addr, err
	}
	if !a.parts.MakeAccounts && !a.parts.AdoptAccounts {
		return "", noAccount
	}
	addr, err := a.own(who.Name)
	if err != nil {
		return "", badClaim
	}
	if slices.Contains(a.parts.Admins, string(addr)) {
		return "", takenName // whoever can choose a name would administer the server
	}
	link := store.Identity{ID: who.ID(), Addr: string(addr), Issuer: who.Issuer, Subject: who.Subject, Linked: time.Now()}
	switch _, err := a.parts.Store.Account(ctx, string(addr)); {
	case err == nil && !a.parts.AdoptAccounts:
		return "", takenName
	case err == nil:
		err = a.parts.Store.LinkIdentity(ctx, link, 1) // who has one is somebody else
		if errors.Is(err, store.ErrQuota) {
			return "", takenName
		}
		return string(addr), err
	case !errors.Is(err, store.ErrNotFound):
		return "", err
	case !a.parts.MakeAccounts:
		return "", noAccount
	}
	if a.parts.Reserved != nil {
		if kept, err := a.parts.Reserved(ctx, string(addr), time.Now()); err != nil {
			return "", err
		} else if kept {
			return "", takenName
		}
	}
	err = a.parts.Store.RegisterIdentity(ctx, store.Account{Addr: string(addr), Created: time.Now()}, link)
	if errors.Is(err, store.ErrExists) { // at the same time by somebody: perhaps by themselves
		if linked, err := a.parts.Store.Identity(ctx, who.ID()); err == nil {
			return linked.Addr, nil
		}
		return "", takenName
	}
	return string(addr), err
}

func (a *API) linkIdentity(ctx context.Context, in *openIDLink) (*identityOutput, error) {
	who, err := a.identity(ctx, &in.Body)
	if err != nil {
		return nil, err
	}
	i := store.Identity{ID: who.ID(), Addr: asker(ctx).account(), Issuer: who.Issuer, Subject: who.Subject, Linked: time.Now().UTC().Truncate(time.Millisecond)}
	if err := a.parts.Store.LinkIdentity(ctx, i, mostIdentities); err != nil {
		return nil, err
	}
	return &identityOutput{identityView{i.ID, i.Issuer, i.Subject, i.Linked}}, nil
}

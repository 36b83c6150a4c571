// Package api is the server's HTTP API for programs: JSON below /api/v1, described by OpenAPI 3.1 that is made from the code, with
// a page for people. It makes tokens of rooms and credentials of the relay, logs people in, and administers accounts and
// applications.
//
// Who asks is an application with a key, or somebody who has logged in with the account that they have in XMPP too. Each
// operation names the one scope that allows it, and door.go is the one place that looks at it: what names none is refused. Errors
// are problem details (RFC 9457) with a code for programs.
//
// Nothing is taken from cookies, so that no page can ask in the name of its visitor. Pages of other origins may ask at all only
// with the key of an application that is bound to their domain, or where the configuration names their origin.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"parley/internal/app"
	"parley/internal/event"
	"parley/internal/limit"
	"parley/internal/store"
	"parley/internal/token"
	"parley/muc"
	"parley/portal/hook"
	"parley/portal/report"
	"parley/turn"
	"parley/xmpp/wire"
)

// Prefix is where the API is.
const Prefix = "/api/v1"

// Config is what an administrator may set.
type Config struct {
	AccessLife  time.Duration `help:"how long the access token of somebody who has logged in is good"`
	RefreshLife time.Duration `help:"how long a login lasts that is not used"`
	TokenLife   time.Duration `help:"how long a token of a room may be good that the API makes: until then it has to be used, a call that it opened goes on"`
	Logins      int           `help:"logins of one account at a time; the one used longest ago ends"`
	Rate        limit.Rate    `help:"requests of one account, and of one application that has no rate of its own"`
	MailRate    limit.Rate    `help:"invitations that one account or application may have mailed"`
	StrangeRate limit.Rate    `help:"requests of one source without a key or token that is good, logins among them"`
}

// Defaults are those of the specification.
func Defaults() Config {
	return Config{
		AccessLife: 15 * time.Minute, RefreshLife: 30 * 24 * time.Hour, TokenLife: 5 * time.Minute, Logins: 20,
		Rate: limit.Rate{PerSecond: 20, Burst: 100}, StrangeRate: limit.Rate{PerSecond: 2, Burst: 30},
		MailRate: limit.Rate{PerSecond: 0.01, Burst: 50},
	}
}

// Store is what the API keeps.
type Store interface {
	store.Accounts
	store.Apps
	store.Logins
	store.Hooks
	store.Meetings
	store.Identities
}

// Parts is what the operations need of the server.
type Parts struct {
	Domain  string
	Admins  []string // addresses of accounts that may do everything
	Origins []string // of foreign pages that may ask
	Store   Store
	// Password checks a password (auth.Server.Password).
	Password func(ctx context.Context, source netip.Addr, name, password string) (wire.Addr, error)
	// Confidential reports that nobody else reads a request.
	Confidential func(*http.Request) bool
	// Revoke ends the sessions of an account that was changed (hardening HA8).
	Revoke func(account wire.Addr)

	// OpenID is the provider by which people may log in too; nil: there is none. MakeAccounts and AdoptAccounts say what becomes of
	// those who have no account yet, and Reserved which names are kept for others.
	OpenID        OpenID
	MakeAccounts  bool
	AdoptAccounts bool
	Reserved      func(ctx context.Context, addr string, now time.Time) (bool, error)

	Tokens   *token.Checker
	Signer   *token.Signer // nil: no tokens are made here
	Issuer   string        // of the tokens that Signer makes
	Audience []string

	// Rooms are those in use, at the domain RoomsAt; nil: the API shows none. Door is by which protocol somebody is in a room, and
	// Call the conference in a room, if there is one.
	Rooms   Rooms
	RoomsAt string
	Door    func(*muc.Occupant) string
	Call    func(room wire.Addr) (Call, bool)

	Hooks *hook.Service // nil: there are no webhooks

	// Services are STUN and TURN with credentials for a user of the relay, and EndRelay ends what that user has there.
	Services func(user string) []turn.Service
	EndRelay func(user string)

	Rosters Rosters // nil: nobody has contacts
	Devices Devices // nil: none is shown

	// Link is the address of the page that takes an invitation to a room, and Mail hands a letter to the mail server; nil: there is none.
	Link func(room, invitation string) string
	Mail func(context.Context, report.Letter) error

	Calls Calls // nil: no records of calls are kept

	Live Live // where a function is nil, that is not shown

	Recorder *event.Recorder
	Log      *slog.Logger // of what was changed, and by whom; nil: nothing is logged
}

// API answers the requests below Prefix.
type API struct {
	cfg    Config
	parts  Parts
	rates  rates
	huma   huma.API
	router chi.Router
}

// New returns the API.
func New(cfg Config, parts Parts) *API {
	a := &API{cfg: cfg, parts: parts, rates: newRates(cfg)}
	a.router = chi.NewRouter()
	a.router.Use(a.allowPages)
	a.router.NotFound(func(w http.ResponseWriter, r *http.Request) { notFound.write(w) })
	a.router.MethodNotAllowed(a.wrongMethod)
	description := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Parley", Version: "1",
				Description: "Tokens of rooms, credentials of the relay, rooms in use, meetings, logins, accounts and applications of " + parts.Domain + ".",
			},
			Servers: []*huma.Server{{URL: Prefix}},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					byKey:   {Type: "apiKey", In: "header", Name: keyHeader, Description: "Key of an application, which is also taken as a bearer token."},
					byToken: {Type: "http", Scheme: "bearer", Description: "Access token of somebody who has logged in."},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat: "application/json", RejectUnknownQueryParameters: true,
	}
	a.router.Route(Prefix, func(r chi.Router) {
		a.huma = humachi.New(r, description)
		a.huma.UseMiddleware(a.door)
		a.addLogins()
		a.addOpenID()
		a.addContacts()
		a.addDevices()
		a.addTokens()
		a.addRelay()
		a.addRooms()
		a.addMeetings()
		a.addApps()
		a.addHooks()
		a.addAccounts()
		a.addRecords()
		a.addLive()
		a.addDescription(r)
	})
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // answers hold secrets
	a.router.ServeHTTP(w, r)
}

// operation adds one that needs the scope. The errors of its function are turned into problems.
func operation[I, O any](a *API, scope app.Scope, op huma.Operation, do func(context.Context, *I) (*O, error)) {
	op.Metadata = map[string]any{scopeOf: scope}
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	if scope != open {
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
		op.Security = []map[string][]string{{byToken: {string(scope)}}}
		if scope != app.Self {
			op.Security = append(op.Security, map[string][]string{byKey: {string(scope)}})
		}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, op.OperationID, err)
		}
		if op.Method != http.MethodGet && a.parts.Log != nil {
			a.parts.Log.Info("api", "operation", op.OperationID, "by", asker(ctx).String(), "input", nameOf(in))
		}
		return out, nil
	})
}

// named is an input that says what it is about, for the log.
type named interface{ about() string }

func nameOf(in any) string {
	if n, ok := in.(named); ok {
		return n.about()
	}
	return ""
}

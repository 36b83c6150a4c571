package pubsub

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley/internal/event"
	"parley/internal/store"
	"parley/xmpp/im"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Accounts is what the service needs of the accounts of its domain; *im.Host is one.
type Accounts interface {
	// Do runs work in the account's goroutine, where it may wait; false: too much waits already.
	Do(account wire.Addr, work func(b *wire.Batch)) bool
	Exists(ctx context.Context, account wire.Addr) (bool, error)
	Standing(ctx context.Context, account, contact wire.Addr) (im.Standing, error)
	// Subscribers are the bare addresses that see the account's presence.
	Subscribers(ctx context.Context, account wire.Addr) ([]wire.Addr, error)
	// Resources are the account's available sessions.
	Resources(account wire.Addr) []im.Resource
	// Send routes a stanza that is written in the name of from.
	Send(b *wire.Batch, from, to wire.Addr, st wire.Stanza)
}

// Limits bound what one account can cost.
type Limits struct {
	Nodes    int `help:"nodes of an account"`
	Items    int `help:"items of a node, what \"max\" means"`
	AllItems int `help:"items of all nodes of an account"`
	Bytes    int `help:"bytes of payloads, ids and configurations of an account"`
	Payload  int `help:"bytes of one payload"`
	Peers    int `help:"affiliations and subscriptions of all nodes of an account"`
	Answer   int `help:"bytes of payload in one answer; there may be one item more"`
}

// Check says which limit would let nothing be published.
func (l Limits) Check() error {
	if min(l.Nodes, l.Items, l.AllItems, l.Bytes, l.Payload, l.Peers, l.Answer) < 1 {
		return errors.New("the limits of pubsub must be at least 1")
	}
	return nil
}

// DefaultLimits allow avatars of the size that a stanza allows, and clients that keep a node per device (XEP-0384).
var DefaultLimits = Limits{Nodes: 512, Items: 1000, AllItems: 10_000, Bytes: 16 << 20, Payload: 256 << 10, Peers: 2000, Answer: 128 << 10}

func (l Limits) quota() store.NodeQuota {
	return store.NodeQuota{Nodes: l.Nodes, Items: l.AllItems, Bytes: l.Bytes, Peers: l.Peers}
}

// Service answers for the nodes of all accounts of a domain. It is safe for concurrent use.
type Service struct {
	domain   string
	accounts Accounts
	store    store.Nodes
	limits   Limits
	rec      *event.Recorder

	mu        sync.Mutex // guards what follows
	sights    map[wire.Addr]map[wire.Addr]*sight
	caps      cache
	lasts     memory
	questions map[capsKey]*question
	asked     map[string]*question // by the id of the request
	photos    map[wire.Addr]*photo
}

// New returns the service of a domain. The recorder may be nil.
func New(domain string, accounts Accounts, s store.Nodes, limits Limits, rec *event.Recorder) *Service {
	return &Service{
		domain: domain, accounts: accounts, store: s, limits: limits, rec: rec,
		sights: make(map[wire.Addr]map[wire.Addr]*sight), questions: make(map[capsKey]*question),
		asked: make(map[string]*question), photos: make(map[wire.Addr]*photo),
	}
}

// patience is how long a request may wait for the store.
const patience = 20 * time.Second

// request is one that came to the bare address of an account. It is worked off in the account's goroutine.
type request struct {
	*Service
	ctx     context.Context
	b       *wire.Batch
	account wire.Addr // whose nodes
	from    wire.Addr // full
	own     bool      // from is the account
	p       *wire.Packet
}

// Own takes a request that a session sends to its own account, with an address or without. It is an im.Handler for every
// name in Requests.
func (s *Service) Own(b *wire.Batch, from route.Sender, p *wire.Packet) {
	if p.HasTo() && from.Addr().Bare() != bare(p) || from.Guest() {
		route.Refuse(b, from, p, bare(p), errUnavailable) // the server itself has no nodes, nor have guests
		return
	}
	s.Contact(b, from, from.Addr().Bare(), p)
}

// bare is the address that a packet is for, "" if it names none.
func bare(p *wire.Packet) wire.Addr {
	to, _ := wire.ParseRawAddr(p.To())
	return to
}

// Requests are the payloads that Own and Contact answer.
var Requests = []struct{ Local, NS string }{{"pubsub", NS}, {"pubsub", NSOwner}, {"vCard", NSVCard}}

// Contact takes a request that somebody sends to the bare address of an account. It is an im.ContactHandler for every name
// in Requests.
func (s *Service) Contact(b *wire.Batch, from route.Sender, account wire.Addr, p *wire.Packet) {
	handle := handlerOf(p)
	if handle == nil {
		route.Refuse(b, from, p, bare(p), unsupportedBy(p))
		return
	}
	s.later(b, from, account, p, handle)
}

// later works a request off in the account's goroutine. What changes something is acknowledged when that is done.
func (s *Service) later(b *wire.Batch, from route.Sender, account wire.Addr, p *wire.Packet, handle func(*request) error) {
	r := &request{Service: s, account: account, from: from.Addr(), own: from.Addr().Bare() == account, p: p.Clone()}
	release := func() {}
	if string(p.Type()) == "set" {
		release = from.Hold()
	}
	if !s.accounts.Do(account, func(b *wire.Batch) {
		defer release()
		ctx, done := context.WithTimeout(context.Background(), patience)
		defer done()
		r.ctx, r.b = ctx, b
		if err := handle(r); err != nil {
			r.refuse(err)
		}
	}) {
		release()
		route.Refuse(b, from, p, bare(p), errBusy)
	}
}

// reply answers a request; payload is complete XML and may be empty.
func (r *request) reply(payload []byte) {
	r.accounts.Send(r.b, r.account, r.from, r.p.Result(bare(r.p), payload))
}

// refuse answers a request with an error: a *wire.Error as it is, one of the store as what it means.
func (r *request) refuse(err error) {
	e, ok := errors.AsType[*wire.Error](err)
	switch {
	case ok:
	case errors.Is(err, store.ErrQuota):
		r.rec.Reject("limit.pubsub", string(r.account))
		e = errQuota
	case errors.Is(err, store.ErrNotFound):
		e = errNotFound
	case errors.Is(err, store.ErrInvalid):
		e = errAcceptable
	default:
		r.rec.Hurt("pubsub.store", string(r.account), "err", err.Error())
		e = errInternal
	}
	r.accounts.Send(r.b, r.account, r.from, e.ErrorTo(r.p, bare(r.p)))
}

// change commits changes to nodes of the account.
func (r *request) change(changes ...store.NodeChange) error {
	creates := false
	for i := range changes {
		changes[i].Owner = string(r.account)
		creates = creates || changes[i].Create
	}
	err := r.store.ChangeNodes(r.ctx, r.limits.quota(), changes...)
	r.Forget(r.account)
	if creates && errors.Is(err, store.ErrNotFound) {
		return errUnavailable // somebody who logged in without an account that is kept, by a token
	}
	return err
}

// action is the first child of a request, for instance <publish/>.
func (r *request) action() wire.Elem { return r.p.Elem().First().First() }

// actions are the requests by what stands in them: type, "owner " for the owner's namespace, name of the element.
var actions = map[string]func(*request) error{
	"set publish":             (*request).publish,
	"set retract":             (*request).retract,
	"get items":               (*request).items,
	"set subscribe":           (*request).subscribe,
	"set unsubscribe":         (*request).unsubscribe,
	"get subscriptions":       (*request).subscriptions,
	"get affiliations":        (*request).affiliations,
	"set create":              (*request).create,
	"get owner default":       (*request).defaultForm,
	"get owner configure":     (*request).configuration,
	"set owner configure":     (*request).configure,
	"set owner delete":        (*request).remove,
	"set owner purge":         (*request).purge,
	"get owner affiliations":  (*request).allAffiliations,
	"set owner affiliations":  (*request).setAffiliations,
	"get owner subscriptions": (*request).allSubscriptions,
	"set owner subscriptions": (*request).setSubscriptions,
}

// handlerOf finds who answers a request, nil if nobody does.
func handlerOf(p *wire.Packet) func(*request) error {
	e := p.Elem().First()
	key := string(p.Type()) + " "
	switch string(e.NS()) {
	case NSVCard:
		if string(p.Type()) == "set" {
			return (*request).setCard
		}
		return (*request).card
	case NSOwner:
		key += "owner "
	}
	if action := e.First(); string(action.NS()) == string(e.NS()) {
		return actions[key+string(action.Local())]
	}
	return nil
}

// features of XEP-0060 §10 that are not here, by the name of the element that asks for them.
var missing = map[string]string{
	"options": "subscription-options", "default": "retrieve-default-sub", "collection": "collections", "configure": "config-node",
}

func unsupportedBy(p *wire.Packet) *wire.Error {
	if f := missing[string(p.Elem().First().First().Local())]; f != "" {
		return unsupported(f)
	}
	return &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest}
}

package im

import (
	"context"
	"errors"
	"strconv"
	"time"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Stream features that say what rosters can (RFC 6121 §2.6.1, §3.4.1).
const (
	featureVersions = "<ver xmlns='urn:xmpp:features:rosterver'/>"
	featureApproval = "<sub xmlns='urn:xmpp:features:pre-approval'/>"
)

// Bounds of a roster item, in bytes (RFC 6121 §2.3.3 leaves them to the server).
const (
	longestName  = 1023
	longestGroup = 1023
)

var (
	errItems  = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "a roster set has one item"}
	errGroups = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "a group is named twice"}
	errItem   = &wire.Error{Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: "a name or group is too long or empty, or there are too many groups"}
	errNoItem = &wire.Error{Type: mstanza.Modify, Condition: mstanza.ItemNotFound}
	errJID    = &wire.Error{Type: mstanza.Modify, Condition: mstanza.JIDMalformed}
	errSelf   = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.NotAllowed, Text: "you are not in your own roster"}
)

// roster answers requests about the sender's roster (RFC 6121 §2).
func (h *Host) roster(b *wire.Batch, s route.Sender, p *wire.Packet) {
	own := s.Addr().Bare()
	e := &errand{s: s, to: own, p: p}
	if string(p.Type()) == "get" {
		h.visit(b, own, e, stores, h.rosterGet)
		return
	}
	if h.store == nil || s.Guest() {
		Fail(b, s, p, errNotKept)
		return
	}
	h.visit(b, own, e, stores, h.rosterSet)
}

// rosterGet is §2.1.3, and §2.6 for a client that has a version of the roster already: it is sent nothing if that is the
// last one, and all if not. It runs in the account's goroutine, so that no push goes before it that is newer.
func (h *Host) rosterGet(b *wire.Batch, e *errand, k *book) {
	h.mu.Lock()
	if r := h.find(e.s.Addr()); r != nil && !r.interested {
		r.interested = true
		h.noteWishes(r)
	}
	h.mu.Unlock()
	have, versions := e.p.Elem().First().Attr("ver")
	ver := versionOf(k.version)
	if versions && string(have) == ver && k.version != 0 {
		Reply(b, e.s, e.p, nil)
		return
	}
	out := []byte("<query xmlns='" + NSRoster + "'")
	if versions {
		out = wire.AppendAttr(out, "ver", ver)
	}
	out = append(out, '>')
	for _, a := range k.those(func(c *store.Contact) bool { return c.Listed }) {
		out = append(out, item(k.contacts[a])...)
	}
	Reply(b, e.s, e.p, append(out, "</query>"...))
}

func versionOf(v int64) string { return strconv.FormatInt(v, 36) }

// item is a contact as clients see it (§2.1.2).
func item(c *store.Contact) []byte {
	out := wire.AppendAttr([]byte("<item"), "jid", c.Addr)
	if c.Name != "" {
		out = wire.AppendAttr(out, "name", c.Name)
	}
	out = wire.AppendAttr(out, "subscription", subscription(c))
	if c.Asked {
		out = append(out, " ask='subscribe'"...)
	}
	if c.Approved {
		out = append(out, " approved='true'"...)
	}
	if len(c.Groups) == 0 {
		return append(out, "/>"...)
	}
	out = append(out, '>')
	for _, g := range c.Groups {
		out = wire.AppendElem(out, "group", g)
	}
	return append(out, "</item>"...)
}

func removedItem(addr string) []byte {
	return append(wire.AppendAttr([]byte("<item"), "jid", addr), " subscription='remove'/>"...)
}

// push tells the interested sessions of a change (§2.1.6).
func (h *Host) push(b *wire.Batch, a *account, item []byte, version int64) {
	out := wire.AppendAttr([]byte("<query xmlns='"+NSRoster+"'"), "ver", versionOf(version))
	out = append(append(append(out, '>'), item...), "</query>"...)
	h.pushTo(b, a, out, func(r *resource) bool { return r.interested })
}

// pushTo sends an IQ set in the account's name to those of its sessions for which wanted holds.
func (h *Host) pushTo(b *wire.Batch, a *account, payload []byte, wanted func(*resource) bool) {
	var list []*resource
	h.mu.Lock()
	for _, r := range a.sessions {
		if wanted(r) {
			list = append(list, r)
		}
	}
	h.mu.Unlock()
	for _, r := range list {
		tail := wire.AppendAttr(wire.AppendAttr(nil, "from", string(a.addr)), "id", "push-"+strconv.FormatUint(h.pushes.Add(1), 36))
		tail = append(append(append(tail, " type='set'>"...), payload...), "</iq>"...)
		r.Deliver(b, "", wire.Stanza{Kind: wire.IQ, Tail: tail})
	}
}

// commit stores a change of what the account keeps and has the account remember it. It sets the versions of the change. It
// runs in the account's goroutine.
func (h *Host) commit(a *account, k *book, c *store.RosterChange) *wire.Error {
	c.Was, c.Version = k.version, k.version
	if len(c.Put)+len(c.Remove) > 0 || c.Version == 0 {
		c.Version = max(k.version+1, time.Now().UnixMilli())
	}
	err := within(func(ctx context.Context) error { return h.store.ChangeRoster(ctx, string(a.addr), *c) })
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		a.book = k.with(*c)
	case errors.Is(err, store.ErrInvalid):
	default: // it may have been committed, or somebody else changed it: look again
		a.book, a.last = nil, k
	}
	h.heed(a)
	if err != nil && !errors.Is(err, store.ErrInvalid) {
		h.rec.Count("roster.fail")
	}
	return kept(err)
}

// edit is a roster set as it came in.
type edit struct {
	addr   wire.Addr
	name   string
	groups []string
	remove bool
}

// readRosterSet reads the payload of a roster set (§2.1.5, §2.3.3, §2.4.3).
func readRosterSet(query wire.Elem, maxGroups int) (d edit, _ *wire.Error) {
	var it wire.Elem
	for c := query.Children(); c.Next(); {
		if !c.Elem.Is("item", NSRoster) {
			continue
		}
		if it.Ok() {
			return d, errItems
		}
		it = c.Elem
	}
	if !it.Ok() {
		return d, errItems
	}
	raw, ok := it.Attr("jid")
	if !ok {
		return d, errItems
	}
	var err error
	if d.addr, err = wire.ParseRawAddr(raw); err != nil {
		return d, errJID
	}
	d.name = it.AttrString("name")
	d.remove = it.AttrString("subscription") == "remove"
	if len(d.name) > longestName {
		return d, errItem
	}
	for c := it.Children(); c.Next(); {
		if !c.Elem.Is("group", NSRoster) {
			continue
		}
		g := c.Elem.Text()
		if g == "" || len(g) > longestGroup || len(d.groups) >= maxGroups {
			return d, errItem
		}
		for _, other := range d.groups {
			if g == other {
				return d, errGroups
			}
		}
		d.groups = append(d.groups, g)
	}
	return d, nil
}

// rosterSet is §2.3, §2.4 and §2.5. It runs in the account's goroutine.
func (h *Host) rosterSet(b *wire.Batch, e *errand, k *book) {
	d, bad := readRosterSet(e.p.Elem().First(), h.limits.Groups)
	if bad == nil && d.addr == e.to {
		bad = errSelf
	}
	if bad == nil && !k.exists {
		bad = errNotKept
	}
	was := k.contact(d.addr)
	now := was
	switch {
	case bad != nil:
	case d.remove && !was.Listed:
		bad = errNoItem
	case d.remove:
		now = store.Contact{Addr: was.Addr}
	default:
		if !was.Listed && h.tooManyContacts(k) {
			h.rec.Count("limit.roster")
			bad = errTooMuch
		}
		now.Listed, now.Name, now.Groups = true, d.name, d.groups
	}
	if bad == nil {
		bad = h.change(b, e.at, k, was, now)
	}
	if bad != nil {
		h.fail(b, e, bad)
		return
	}
	Reply(b, e.s, e.p, nil)
	if d.remove {
		h.cancel(b, e, was)
	}
}

func (h *Host) tooManyContacts(k *book) bool {
	if len(k.contacts) < h.limits.Contacts {
		return false
	}
	n := 0
	for _, c := range k.contacts {
		if c.Listed {
			n++
		}
	}
	return n >= h.limits.Contacts
}

// fail answers a request to the sender's own account.
func (h *Host) fail(b *wire.Batch, e *errand, err *wire.Error) { Fail(b, e.s, e.p, err) }

// cancel ends the subscriptions with a contact that was removed (§2.5.2).
func (h *Host) cancel(b *wire.Batch, e *errand, was store.Contact) {
	own, to := e.to, wire.Addr(was.Addr)
	if was.From {
		h.presentAll(b, own, to, false)
	}
	if was.To || was.Asked {
		h.answerPresence(b, own, to, "unsubscribe")
	}
	if was.From || was.Request != nil {
		h.answerPresence(b, own, to, "unsubscribed")
	}
}

package im

import (
	"context"
	"strconv"
	"time"

	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Namespaces of what is asked of the host.
const (
	NSActivity = "jabber:iq:last"
	NSTime     = "urn:xmpp:time"
	NSVersion  = "jabber:iq:version"
)

// longestStatus bounds the last status that is kept, in bytes.
const longestStatus = 1024

// Version names the program's version (XEP-0092). It is called before the first session.
func (h *Host) Version(v string) { h.version = v }

// registerActivity serves XEP-0012, XEP-0092 and XEP-0202.
func (h *Host) registerActivity() {
	h.started = time.Now().Unix()
	h.Announce([]string{NSActivity, NSTime, NSVersion})
	h.HandleIQ("time", NSTime, h.ofServer(func() []byte {
		now := time.Now()
		out := wire.AppendElem([]byte("<time xmlns='"+NSTime+"'>"), "tzo", now.Format("-07:00"))
		out = wire.AppendElem(out, "utc", now.UTC().Format("2006-01-02T15:04:05.000Z"))
		return append(out, "</time>"...)
	}))
	h.HandleIQ("query", NSVersion, h.ofServer(func() []byte {
		out := wire.AppendElem([]byte("<query xmlns='"+NSVersion+"'>"), "name", "Parley")
		return append(wire.AppendElem(out, "version", h.version), "</query>"...)
	}))
	uptime := h.ofServer(func() []byte { return lastQuery(time.Now().Unix()-h.started, "") })
	h.HandleIQ("query", NSActivity, func(b *wire.Batch, s route.Sender, p *wire.Packet) {
		if own := s.Addr().Bare(); h.toAccount(p) && !s.Guest() && h.store != nil {
			h.visit(b, own, &errand{s: s, to: own, p: p}, stores, h.lastActivity)
			return
		}
		uptime(b, s, p)
	})
	h.HandleContactIQ("query", NSActivity, func(b *wire.Batch, s route.Sender, account wire.Addr, p *wire.Packet) {
		h.visit(b, account, &errand{s: s, to: account, p: p}, stores, h.lastActivity)
	})
}

// toAccount reports that a request is to the sender's own account and not to the server.
func (h *Host) toAccount(p *wire.Packet) bool {
	if !p.HasTo() {
		return true
	}
	to, err := wire.ParseRawAddr(p.To())
	return err == nil && to.Local() != ""
}

// ofServer answers a get to the server.
func (h *Host) ofServer(payload func() []byte) Handler {
	return func(b *wire.Batch, s route.Sender, p *wire.Packet) {
		switch {
		case h.toAccount(p):
			Fail(b, s, p, errUnavailable)
		case string(p.Type()) != "get":
			Fail(b, s, p, errBad)
		default:
			Reply(b, s, p, payload())
		}
	}
}

func lastQuery(seconds int64, status string) []byte {
	out := wire.AppendAttr([]byte("<query xmlns='"+NSActivity+"'"), "seconds", strconv.FormatInt(max(seconds, 0), 10))
	if status == "" {
		return append(out, "/>"...)
	}
	return append(wire.AppendEscaped(append(out, '>'), status), "</query>"...)
}

// lastActivity says since when an account is away, to those who may see its presence (XEP-0012 §4). It runs in the account's
// goroutine.
func (h *Host) lastActivity(b *wire.Batch, e *errand, k *book) {
	own := e.to.Bare()
	if string(e.p.Type()) != "get" {
		h.fail(b, e, errBad)
		return
	}
	if who := e.s.Addr().Bare(); who != own && !k.contact(who).From {
		h.fail(b, e, errNotYours)
		return
	}
	h.mu.Lock()
	there := len(h.available(own, -128)) > 0
	h.mu.Unlock()
	if there {
		Reply(b, e.s, e.p, lastQuery(0, ""))
		return
	}
	var at time.Time
	var status string
	err := within(func(ctx context.Context) (err error) {
		at, status, err = h.store.LastActivity(ctx, string(own))
		return err
	})
	switch {
	case err != nil:
		h.fail(b, e, errStore)
	case at.IsZero():
		h.fail(b, e, errUnavailable)
	default:
		Reply(b, e.s, e.p, lastQuery(int64(time.Since(at)/time.Second), status))
	}
}

// noteLast stores that an account is away from now on, if somebody may ask. It runs in the account's goroutine.
func (h *Host) noteLast(a *account, st wire.Stanza) {
	k, err := h.read(a)
	if err != nil || !k.exists {
		return
	}
	status := ""
	if p := reparse("", st); p != nil {
		if e := p.Elem().Child("status", ""); e.Ok() && len(e.Inner()) <= longestStatus {
			status = e.Text()
		}
	}
	if err := within(func(ctx context.Context) error {
		return h.store.SetLastActivity(ctx, string(a.addr), time.Now(), status)
	}); err != nil {
		h.rec.Count("activity.fail")
	}
}

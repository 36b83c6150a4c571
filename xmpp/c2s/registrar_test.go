package c2s

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// registrar says yes to everybody, while it is open.
type registrar struct{ open, invites bool }

func (r *registrar) Open() bool { return r.open }

func (r *registrar) Invites() bool { return r.invites }

func (r *registrar) Preauth(_ context.Context, _ netip.Addr, p *wire.Packet) (wire.Stanza, *store.Invite) {
	if p.Elem().First().AttrString("token") != "good" {
		return p.Result("", []byte("<no xmlns='t'/>")), nil
	}
	return p.Result("", nil), &store.Invite{Name: "yours"}
}

func (r *registrar) Register(_ context.Context, _ netip.Addr, i *store.Invite, p *wire.Packet) wire.Stanza {
	if i != nil {
		return p.Result("", []byte("<invited xmlns='t'>"+i.Name+"</invited>"))
	}
	return p.Result("x.net", []byte("<yes xmlns='urn:test'/>"))
}

func TestRegistrationComesBeforeTheLogin(t *testing.T) {
	const ask = "<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:register'/></iq>"
	r := &registrar{open: true}
	w := newWorld(t, nil, func(w *world) { w.srv.Register(r) })
	p := w.dial(w.plain)
	if f := p.Open(); !strings.Contains(f, "<register xmlns='http://jabber.org/features/iq-register'/>") {
		t.Errorf("not offered: %s", f)
	}
	p.Send(ask)
	p.Expect("<iq ", "id='r'", "<yes ")
	p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	p.Expect("<success")
	if f := p.Open(); strings.Contains(f, "iq-register") {
		t.Errorf("offered to somebody who is logged in: %s", f)
	}
	p.Send(ask)
	p.ExpectEnd("not-authorized")

	r.open = false
	p = w.dial(w.plain)
	if f := p.Open(); strings.Contains(f, "iq-register") {
		t.Errorf("offered: %s", f)
	}
	p.Send(ask)
	p.ExpectEnd("not-authorized")

	r.open = true
	strict := newWorld(t, func(c *Config) { c.Insecure = false }, func(w *world) { w.srv.Register(r) })
	p = strict.dial(strict.plain)
	if f := p.Open(); strings.Contains(f, "iq-register") {
		t.Errorf("offered before TLS: %s", f)
	}
	p.Send(ask)
	p.ExpectEnd("policy-violation")
}

// An invitation comes before the registration that it allows (XEP-0445), and counts for its stream only.
func TestInvitation(t *testing.T) {
	const ask = "<iq xmlns='jabber:client' type='set' id='r'><query xmlns='jabber:iq:register'/></iq>"
	token := func(t string) string {
		return "<iq xmlns='jabber:client' type='set' id='t'><preauth xmlns='urn:xmpp:pars:0' token='" + t + "'/></iq>"
	}
	r := &registrar{invites: true}
	w := newWorld(t, nil, func(w *world) { w.srv.Register(r) })
	p := w.dial(w.plain)
	if f := p.Open(); !strings.Contains(f, "<register xmlns='urn:xmpp:ibr-token:0'/><register xmlns='urn:xmpp:invite'/><register xmlns='http://jabber.org/features/iq-register'/>") {
		t.Errorf("not offered: %s", f)
	}
	p.Send(token("bad"))
	p.Expect("id='t'", "<no ")
	p.Send(ask)
	p.Expect("id='r'", "<yes ")
	p.Send(token("good"))
	p.Expect("id='t'", "type='result'/>")
	p.Send(token("bad"))
	p.Expect("id='t'", "<no ")
	p.Send(ask)
	p.Expect("id='r'", "<invited xmlns='t'>yours<")
	other := w.dial(w.plain)
	other.Open()
	other.Send(ask)
	other.Expect("id='r'", "<yes ")

	r.invites, r.open = false, true
	p = w.dial(w.plain)
	if f := p.Open(); strings.Contains(f, "ibr-token") {
		t.Errorf("offered: %s", f)
	}
	p.Send(token("good"))
	p.ExpectEnd("not-authorized")
}

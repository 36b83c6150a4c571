package api

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/opaque"
	"parley/internal/store"
	"parley/xmpp/wire"
)

// crowd has the contacts and devices of accounts.
type crowd struct {
	mu       sync.Mutex // guards what follows
	contacts map[wire.Addr][]store.Contact
	devices  map[wire.Addr][]Device
	ended    []Device
	asked    int
}

func newCrowd() *crowd {
	return &crowd{contacts: make(map[wire.Addr][]store.Contact), devices: make(map[wire.Addr][]Device)}
}

func (c *crowd) Roster(_ context.Context, account wire.Addr) ([]store.Contact, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.contacts[account]), nil
}

func (c *crowd) SetContact(_ context.Context, account wire.Addr, one store.Contact, ask bool) (store.Contact, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(one.Addr, string(account)) {
		return one, store.ErrInvalid
	}
	if one.Asked = ask; ask {
		c.asked++
	}
	list := slices.DeleteFunc(c.contacts[account], func(other store.Contact) bool { return other.Addr == one.Addr })
	c.contacts[account] = append(list, one)
	return one, nil
}

func (c *crowd) RemoveContact(_ context.Context, account, contact wire.Addr) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.contacts[account], func(one store.Contact) bool { return one.Addr == string(contact) })
	if i < 0 {
		return store.ErrNotFound
	}
	c.contacts[account] = slices.Delete(c.contacts[account], i, i+1)
	return nil
}

// connect gives an account a device and returns its id.
func (c *crowd) connect(account wire.Addr) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := Device{ID: opaque.NewID(), Address: account + "/phone", Sessions: []wire.Addr{account + "/phone"}, Source: netip.MustParseAddr("192.0.2.1"), Until: time.Now().Add(time.Hour)}
	c.devices[account] = append(c.devices[account], d)
	return d.ID
}

func (c *crowd) Devices(_ context.Context, account wire.Addr) ([]Device, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.devices[account]), nil
}

func (c *crowd) EndDevice(_ context.Context, account wire.Addr, d Device) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, d)
	c.devices[account] = slices.DeleteFunc(c.devices[account], func(other Device) bool { return other.ID == d.ID })
	return nil
}

func TestContactsOfAnAccount(t *testing.T) {
	w := newWorld(t, nil)
	bob, _ := w.login("bob")
	ann, _ := w.login("ann")
	a := w.want(200, "", "PUT", "/me/contacts/Carl@Example.org", bob, `{"name":"Carl","groups":["Friends"],"ask":true}`)
	if a.body["address"] != "carl@example.org" || a.body["asked"] != true || a.body["subscription"] != "none" || w.crowd.asked != 1 {
		t.Error(a.text)
	}
	if a := w.want(200, "", "GET", "/me/contacts", bob, ""); !strings.Contains(a.text, `"groups":["Friends"]`) {
		t.Error(a.text)
	}
	if a := w.want(200, "", "GET", "/me/contacts", ann, ""); strings.TrimSpace(a.text) != "[]" {
		t.Error(a.text)
	}
	w.want(404, "not-found", "DELETE", "/me/contacts/carl@example.org", ann, "")
	w.want(404, "not-found", "PUT", "/me/contacts/carl@example.org/phone", bob, `{}`)
	w.want(422, "invalid", "PUT", "/me/contacts/example.org", bob, `{}`)
	w.want(422, "invalid", "PUT", "/me/contacts/bob@"+domain, bob, `{}`)
	w.want(422, "invalid", "PUT", "/me/contacts/carl@example.org", bob, `{"name":"a\u0001"}`)
	w.want(422, "invalid", "PUT", "/me/contacts/carl@example.org", bob, `{"groups":["a\u202e"]}`)
	w.want(204, "", "DELETE", "/me/contacts/carl@example.org", bob, "")
	for c, want := range map[*store.Contact]string{{}: "none", {To: true}: "to", {From: true}: "from", {To: true, From: true}: "both"} {
		if got := viewOfContact(c).Subscription; got != want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestDevicesOfAnAccount(t *testing.T) {
	w := newWorld(t, nil)
	bob, _ := w.login("bob")
	ann, _ := w.login("ann")
	id := w.crowd.connect("bob@" + domain)
	if a := w.want(200, "", "GET", "/me/devices", bob, ""); !strings.Contains(a.text, id) || !strings.Contains(a.text, `"state":"waiting"`) || !strings.Contains(a.text, `"remembers_until"`) {
		t.Error(a.text)
	}
	w.want(404, "not-found", "DELETE", "/me/devices/"+id, ann, "")
	w.want(204, "", "DELETE", "/me/devices/"+id, bob, "")
	w.want(404, "not-found", "DELETE", "/me/devices/"+id, bob, "")
	if len(w.crowd.ended) != 1 || w.crowd.ended[0].ID != id {
		t.Errorf("%+v", w.crowd.ended)
	}
}

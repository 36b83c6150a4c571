package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"net/netip"
	"slices"

	"parley/portal/api"
	"parley/xmpp/wire"
)

// devices are the clients of accounts: their sessions, what they log in with, and where they are to be told that something waits.
type devices struct{ *server }

// Devices implements api.Devices. A client that says which installation it is (XEP-0388 §2.3) is one device with all of these; of
// others each full address is one.
func (d devices) Devices(ctx context.Context, account wire.Addr) ([]api.Device, error) {
	found := make(map[string]*api.Device)
	get := func(client string, addr wire.Addr) *api.Device {
		key := "client " + client
		if client == "" {
			key = "address " + string(addr)
			for _, other := range found { // the session of a client that said who it is, heard of by its address alone
				if addr != "" && other.Address == addr {
					return other
				}
			}
		}
		if found[key] == nil {
			sum := sha256.Sum256([]byte(string(account) + " " + key))
			found[key] = &api.Device{ID: base32.StdEncoding.EncodeToString(sum[:])[:26], Client: client, Address: addr}
		}
		return found[key]
	}
	for _, s := range d.host.Sessions(account) {
		who, ok := s.(interface {
			Device() string
			Away() bool
			Source() netip.Addr
		})
		if !ok {
			continue
		}
		one := get(who.Device(), s.Addr())
		if one.Address = s.Addr(); !slices.Contains(one.Sessions, s.Addr()) {
			one.Sessions = append(one.Sessions, s.Addr())
		}
		one.Connected, one.Source = one.Connected || !who.Away(), who.Source()
	}
	tokens, err := d.store.FastClients(ctx, string(account))
	if err != nil {
		return nil, err
	}
	for _, t := range tokens {
		if one := get(t.Client, ""); t.Expires.After(one.Until) {
			one.Until = t.Expires
		}
	}
	if d.pushes != nil {
		for _, p := range d.pushes.Of(account) {
			one := get("", wire.Addr(p.Session))
			one.Pushes = append(one.Pushes, wire.Addr(p.Session))
		}
	}
	var list []api.Device
	for _, one := range found {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b api.Device) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// EndDevice implements api.Devices. What it could come back with goes first.
func (d devices) EndDevice(ctx context.Context, account wire.Addr, one api.Device) error {
	if one.Client != "" {
		if err := d.store.DropFastTokens(ctx, string(account), one.Client); err != nil {
			return err
		}
	}
	if d.pushes != nil {
		for _, session := range one.Pushes {
			if err := d.pushes.Disable(session); err != nil {
				return err
			}
		}
	}
	for _, session := range one.Sessions {
		d.clients.End(session)
	}
	return nil
}

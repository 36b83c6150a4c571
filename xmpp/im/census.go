package im

import (
	"slices"
	"strings"

	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Sessions returns the sessions of an account, or of all accounts for "", by address; those of guests are not among them. Whether
// they are available does not matter.
func (h *Host) Sessions(of wire.Addr) []route.Sender {
	h.mu.Lock()
	var list []route.Sender
	add := func(a *account) {
		for _, r := range a.sessions {
			if !r.Guest() {
				list = append(list, r.Sender)
			}
		}
	}
	if of != "" {
		if a := h.users[of.Bare()]; a != nil {
			add(a)
		}
	} else {
		for _, a := range h.users {
			add(a)
		}
	}
	h.mu.Unlock()
	slices.SortFunc(list, func(a, b route.Sender) int {
		if n := strings.Compare(string(a.Addr().Bare()), string(b.Addr().Bare())); n != 0 {
			return n
		}
		return strings.Compare(string(a.Addr()), string(b.Addr()))
	})
	return list
}

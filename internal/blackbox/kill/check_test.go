package kill

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// check compares rooms with what was acknowledged.
func (w *world) check(rooms ...string) {
	w.T.Helper()
	c := w.login(w.T, plain, "owner", "check")
	defer c.Conn.Close()
	for _, room := range rooms {
		f := found{lists: make(map[string]string)}
		c.Send(join(room, "checker", 10*history))
		created := false
		if f.messages, f.subject, created = entered(w.T, c, room); created {
			w.T.Errorf("%s is gone", room)
			continue
		}
		for _, list := range []string{"owner", "admin", "member", "outcast"} {
			answer := request(w.T, c, "get", "list", room, "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='"+list+"'/></query>")
			for _, item := range parse(w.T, answer).Items {
				if item.Affiliation != list || f.lists[item.JID] != "" {
					w.T.Errorf("%s: the list of %ss says %+v", room, list, item)
				}
				f.lists[item.JID] = item.Affiliation
			}
		}
		answer := request(w.T, c, "get", "form", room, "<query xmlns='http://jabber.org/protocol/muc#owner'/>")
		for _, field := range parse(w.T, answer).Fields {
			if field.Var == "muc#roomconfig_roomname" {
				f.name = field.Value
			}
		}
		for _, fault := range w.kept.compare(room, f) {
			w.T.Errorf("round %d: %s", w.round, fault)
		}
		c.Send("<presence xmlns='jabber:client' type='unavailable' to='" + room + "/checker'/>")
		c.Await("<presence", "from='"+room+"/checker'", "type='unavailable'")
	}
}

// checkSession lets a speaker of before the restart come back (XEP-0198 §5). The server must not claim to have handled what
// it has not.
func (w *world) checkSession() {
	w.T.Helper()
	s := w.last
	c := w.connect(w.T, s.door)
	defer c.Conn.Close()
	c.Login(s.name, s.name)
	c.Send("<resume xmlns='urn:xmpp:sm:3' previd='" + s.id + "' h='" + strconv.Itoa(s.got) + "'/>")
	answer := c.Read()
	switch {
	case strings.HasPrefix(answer, "<resumed"):
		h, err := strconv.Atoi(peertest.Attr(answer, "h"))
		if err != nil || h < s.acked || h > len(s.sent) {
			w.T.Errorf("round %d: resumed at %q; %d were sent and %d acknowledged", w.round, answer, len(s.sent), s.acked)
			return
		}
		for _, m := range s.sent[:h] {
			if m[1] != "" && !w.kept.has(m[0], m[1]) {
				w.T.Errorf("round %d: resumed at %d, and message %s is not in %s", w.round, h, m[1], m[0])
			}
		}
	default:
		w.T.Errorf("round %d: resuming is answered %q", w.round, answer)
	}
}

// has reports that a message has been seen, or was found after the restart.
func (l *ledger) has(room, id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.room(room).seen[id]
}

// checkAccounts logs in to the accounts of this round, or to all.
func (w *world) checkAccounts(all bool) {
	w.T.Helper()
	w.kept.mu.Lock()
	defer w.kept.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.kept.accounts)) {
		a := w.kept.accounts[name]
		if !all && a.round != w.round {
			continue
		}
		got := w.accepted(name, a)
		if got != a.password && !(a.wish != nil && got == *a.wish) {
			w.T.Errorf("round %d: the account %s has the password %q, %q was acknowledged", w.round, name, got, a.password)
		}
		a.password, a.wish = got, nil
	}
}

// accepted returns the password that opens the account, "" if it has none.
func (w *world) accepted(name string, a *account) string {
	for _, password := range []string{a.password, value(a.wish)} {
		if password != "" && w.opens(name, password) {
			return password
		}
	}
	if list, err := w.server.Command("", "user", "list"); err != nil {
		w.T.Error(err)
	} else if strings.Contains("\n"+list, "\n"+name+"@localhost\n") {
		return fmt.Sprintf("one of its own (%s)", name)
	}
	return ""
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// opens tries to log in.
func (w *world) opens(name, password string) (ok bool) {
	defer func() {
		if e := recover(); e != nil {
			if _, refused := e.(ending); !refused {
				panic(e)
			}
			ok = false
		}
	}()
	var t testing.TB = mortal{w.T}
	c := w.connect(t, direct)
	defer c.Conn.Close()
	c.Login(name, password)
	c.Bind("")
	return true
}

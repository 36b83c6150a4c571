package jingle

import (
	"strconv"

	"parley/xmpp/wire"
)

// Conference says that the sender is the focus of a conference, and who is in it or whose streams the session brings (XEP-0298,
// in the form of XEP-0521).
type Conference struct {
	Focus bool
	Users []User
}

// User is somebody in a conference (RFC 4575 §5.6).
type User struct {
	Entity string // URI: of no scheme in particular
	Name   string // for people, "" for none
}

const maxUsers = 64

func decodeConference(d *decoder, e wire.Elem) *Conference {
	c := &Conference{Focus: d.flag(e, "isfocus")}
	for it := e.Child("users", NSCoin).Children(); it.Next() && d.err == nil; {
		if u := it.Elem; u.Is("user", NSCoin) {
			put(d, &c.Users, maxUsers, "users", User{Entity: u.AttrString("entity"), Name: u.Child("display-text", NSCoin).Text()})
		}
	}
	return c
}

func (c *Conference) check() error {
	if len(c.Users) > maxUsers {
		return tooMany("users")
	}
	for _, u := range c.Users {
		if !isWord(u.Entity, maxAddress) || !isText(u.Name, maxText) {
			return badRequest("bad conference information")
		}
	}
	return nil
}

func (c *Conference) append(w *writer) {
	w.open("conference-info", NSCoin)
	w.attr("isfocus", strconv.FormatBool(c.Focus))
	if len(c.Users) == 0 {
		w.empty()
		return
	}
	w.inner()
	w.open("users", "")
	w.inner()
	for _, u := range c.Users {
		w.open("user", "")
		w.attr("entity", u.Entity)
		if u.Name == "" {
			w.empty()
			continue
		}
		w.inner()
		w.b = wire.AppendElem(w.b, "display-text", u.Name)
		w.end("user")
	}
	w.end("users")
	w.end("conference-info")
}

// Muji says to which chat room's conference a session belongs (XEP-0272 §3).
type Muji struct{ Room string }

func (m *Muji) append(w *writer) {
	w.open("muji", NSMuji)
	w.optional("room", m.Room)
	w.empty()
}

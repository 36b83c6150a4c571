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
	Media  []UserMedia
}

// UserMedia is a stream of somebody in a conference, of the one endpoint that is told of (RFC 4575 §5.8).
type UserMedia struct {
	ID   string // name of the content that brings it
	Name string // for people, "" for none
	Type string // audio or video
}

const (
	maxUsers     = 64
	maxUserMedia = 16
)

func decodeConference(d *decoder, e wire.Elem) *Conference {
	c := &Conference{Focus: d.flag(e, "isfocus")}
	for it := e.Child("users", NSCoin).Children(); it.Next() && d.err == nil; {
		if u := it.Elem; u.Is("user", NSCoin) {
			user := User{Entity: u.AttrString("entity"), Name: u.Child("display-text", NSCoin).Text()}
			for media := u.Child("endpoint", NSCoin).Children(); media.Next() && d.err == nil; {
				if m := media.Elem; m.Is("media", NSCoin) {
					put(d, &user.Media, maxUserMedia, "media of a user", decodeUserMedia(m))
				}
			}
			put(d, &c.Users, maxUsers, "users", user)
		}
	}
	return c
}

// decodeUserMedia goes by the names of what is inside alone: it is too deep for its namespace to be known.
func decodeUserMedia(e wire.Elem) UserMedia {
	m := UserMedia{ID: e.AttrString("id")}
	for it := e.Children(); it.Next(); {
		switch string(it.Elem.Local()) {
		case "display-text":
			m.Name = it.Elem.Text()
		case "type":
			m.Type = it.Elem.Text()
		}
	}
	return m
}

func (c *Conference) check() error {
	if len(c.Users) > maxUsers {
		return tooMany("users")
	}
	for _, u := range c.Users {
		if !isWord(u.Entity, maxAddress) || !isText(u.Name, maxText) {
			return badRequest("bad conference information")
		}
		if len(u.Media) > maxUserMedia {
			return tooMany("media of a user")
		}
		for _, m := range u.Media {
			if m.ID == "" || !isText(m.ID, maxName) || !isText(m.Name, maxText) || !isToken(m.Type) {
				return badRequest("bad conference information")
			}
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
		u.append(w)
	}
	w.end("users")
	w.end("conference-info")
}

// append ends the open start tag of the user, with what is in it.
func (u *User) append(w *writer) {
	if u.Name == "" && len(u.Media) == 0 {
		w.empty()
		return
	}
	w.inner()
	if u.Name != "" {
		w.b = wire.AppendElem(w.b, "display-text", u.Name)
	}
	if len(u.Media) > 0 {
		w.open("endpoint", "")
		w.attr("entity", u.Entity)
		w.inner()
		for _, m := range u.Media {
			w.open("media", "")
			w.attr("id", m.ID)
			w.inner()
			if m.Name != "" {
				w.b = wire.AppendElem(w.b, "display-text", m.Name)
			}
			w.b = wire.AppendElem(w.b, "type", m.Type)
			w.end("media")
		}
		w.end("endpoint")
	}
	w.end("user")
}

// Muji says to which chat room's conference a session belongs (XEP-0272 §3).
type Muji struct{ Room string }

func (m *Muji) append(w *writer) {
	w.open("muji", NSMuji)
	w.optional("room", m.Room)
	w.empty()
}

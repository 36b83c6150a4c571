package muc

import (
	mstanza "mellium.im/xmpp/stanza"

	"parley/internal/token"
	"parley/xmpp/wire"
)

// refusal is a stanza error together with the name under which it is counted ("" is not counted).
type refusal struct {
	wire.Error
	event string
}

func refuse(t mstanza.ErrorType, c mstanza.Condition, text, event string) refusal {
	return refusal{wire.Error{Type: t, Condition: c, Text: text}, event}
}

// The refusals of a room. Texts name no fact that the peer may not know.
var (
	errBadNick       = refuse(mstanza.Modify, mstanza.JIDMalformed, "a nickname is needed", "")
	errNotAddress    = refuse(mstanza.Modify, mstanza.JIDMalformed, "this is no address", "")
	errBadRequest    = refuse(mstanza.Modify, mstanza.BadRequest, "", "")
	errNoRoom        = refuse(mstanza.Cancel, mstanza.ItemNotFound, "", "")
	errNoOccupant    = refuse(mstanza.Cancel, mstanza.ItemNotFound, "nobody of that nickname is here", "")
	errNoMessage     = refuse(mstanza.Cancel, mstanza.ItemNotFound, "there is no such message", "")
	errNoApplication = refuse(mstanza.Cancel, mstanza.ItemNotFound, "nobody waits for that answer", "")
	errLeft          = refuse(mstanza.Wait, mstanza.RecipientUnavailable, "the occupant has left", "")
	errNotInRoom     = refuse(mstanza.Cancel, mstanza.NotAcceptable, "you are not in the room", "")
	errUnknown       = refuse(mstanza.Cancel, mstanza.ServiceUnavailable, "", "")
	errNoNode        = refuse(mstanza.Cancel, mstanza.FeatureNotImplemented, "", "")
	errBanned        = refuse(mstanza.Auth, mstanza.Forbidden, "you are banned from this room", "room.deny")
	errTokenRevoked  = refuse(mstanza.Auth, mstanza.Forbidden, "the token was revoked", token.CodeReplay)
	errPassword      = refuse(mstanza.Auth, mstanza.NotAuthorized, "this room needs its password", "room.deny")
	errMembersOnly   = refuse(mstanza.Auth, mstanza.RegistrationRequired, "this room is for members only", "room.deny")
	errConflict      = refuse(mstanza.Cancel, mstanza.Conflict, "the nickname is taken", "room.deny")
	errFull          = refuse(mstanza.Wait, mstanza.ServiceUnavailable, "the room is full", "room.deny")
	errLocked        = refuse(mstanza.Cancel, mstanza.ItemNotFound, "", "room.deny")
	errMayNotCreate  = refuse(mstanza.Cancel, mstanza.NotAllowed, "Room creation is restricted", "room.deny")
	errNickRule      = refuse(mstanza.Cancel, mstanza.NotAllowed, "the nickname does not follow the rule of conferences", "room.deny")
	errNickFixed     = refuse(mstanza.Cancel, mstanza.NotAllowed, "the nickname is fixed in conferences", "room.deny")
	errNickReserved  = refuse(mstanza.Auth, mstanza.Forbidden, "the nickname belongs to the service", "spoof.service")
	errNickRate      = refuse(mstanza.Cancel, mstanza.NotAcceptable, "the nickname was changed just now", "limit.room")
	errPresenceSize  = refuse(mstanza.Modify, mstanza.PolicyViolation, "the presence is larger than the limit of rooms", "limit.room")
	errBusy          = refuse(mstanza.Wait, mstanza.ResourceConstraint, "the room is busy", "limit.room")
	errTooMany       = refuse(mstanza.Wait, mstanza.ResourceConstraint, "you are in too many rooms", "limit.room")
	errTooManyMade   = refuse(mstanza.Wait, mstanza.ResourceConstraint, "you have created too many rooms", "limit.room")
	errGuesses       = refuse(mstanza.Wait, mstanza.ResourceConstraint, "too many rooms asked for", "room.enum")
	errNoVoice       = refuse(mstanza.Auth, mstanza.Forbidden, "you have no voice in this room", "room.priv")
	errForbidden     = refuse(mstanza.Auth, mstanza.Forbidden, "", "room.priv")
	errNotAllowed    = refuse(mstanza.Cancel, mstanza.NotAllowed, "", "room.priv")
	errOwnRank       = refuse(mstanza.Cancel, mstanza.Conflict, "", "room.priv")
	errConfig        = refuse(mstanza.Modify, mstanza.NotAcceptable, "", "")
	errTooLong       = refuse(mstanza.Cancel, mstanza.NotAcceptable, "the list is full", "limit.room")
	errInviteRate    = refuse(mstanza.Wait, mstanza.ResourceConstraint, "too many invitations", "limit.room")
	errStore         = refuse(mstanza.Wait, mstanza.InternalServerError, "the room could not be saved", "")
	errClosing       = refuse(mstanza.Wait, mstanza.ServiceUnavailable, "the service stops", "")
	errDraining      = refuse(mstanza.Wait, mstanza.ServiceUnavailable, "this server takes no new rooms now", "room.drain")
	errNoPaging      = refuse(mstanza.Cancel, mstanza.FeatureNotImplemented, "pages are asked for by what they are after", "")
	errStale         = refuse(mstanza.Wait, mstanza.ResourceConstraint, "the room is moving", "room.lease")
)

// with returns the refusal with an application-specific condition, complete XML written by us.
func (f refusal) with(app string) refusal {
	f.App = app
	return f
}

// about returns the refusal with a text.
func (f refusal) about(text string) refusal {
	f.Text = text
	return f
}

// echo returns the part of a refused attempt to enter by which clients know that the error is about that (XEP-0045
// §7.2, the examples).
func echo(p *wire.Packet) string {
	if p.Kind == wire.Presence && p.Elem().Child("x", NSMUC).Ok() {
		return "<x xmlns='" + NSMUC + "'/>"
	}
	return ""
}

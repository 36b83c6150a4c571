package pubsub

import (
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Namespaces, most of them names of nodes too.
const (
	NS          = "http://jabber.org/protocol/pubsub"
	NSOwner     = NS + "#owner"
	NSEvent     = NS + "#event"
	NSErrors    = NS + "#errors"
	nsConfig    = NS + "#node_config"
	nsOptions   = NS + "#publish-options"
	nsMeta      = NS + "#meta-data"
	NSData      = "jabber:x:data"
	NSRSM       = "http://jabber.org/protocol/rsm"
	NSDelay     = "urn:xmpp:delay"
	NSInfo      = "http://jabber.org/protocol/disco#info"
	NSItems     = "http://jabber.org/protocol/disco#items"
	NSCaps      = "http://jabber.org/protocol/caps"
	NSBookmarks = "urn:xmpp:bookmarks:1"
	NSStorage   = "storage:bookmarks"
	NSAvatar    = "urn:xmpp:avatar:data"
	NSMetadata  = "urn:xmpp:avatar:metadata"
	NSVCard     = "vcard-temp"
	NSUpdate    = "vcard-temp:x:update"
)

// notify at the end of a feature says that events about a node are wanted (XEP-0060 §9.2).
const notify = "+notify"

// Errors of XEP-0060; app is its condition, "" if there is none.
func refusal(typ mstanza.ErrorType, condition mstanza.Condition, app string) *wire.Error {
	e := &wire.Error{Type: typ, Condition: condition}
	if app != "" {
		e.App = "<" + app + " xmlns='" + NSErrors + "'/>"
	}
	return e
}

var (
	errNode        = refusal(mstanza.Modify, mstanza.BadRequest, "nodeid-required")
	errItem        = refusal(mstanza.Modify, mstanza.BadRequest, "item-required")
	errPayload     = refusal(mstanza.Modify, mstanza.BadRequest, "payload-required")
	errBadPayload  = refusal(mstanza.Modify, mstanza.BadRequest, "invalid-payload")
	errOptions     = refusal(mstanza.Modify, mstanza.BadRequest, "invalid-options")
	errJID         = refusal(mstanza.Modify, mstanza.BadRequest, "invalid-jid")
	errBad         = refusal(mstanza.Modify, mstanza.BadRequest, "")
	errTooBig      = refusal(mstanza.Modify, mstanza.NotAcceptable, "payload-too-big")
	errManyItems   = refusal(mstanza.Modify, mstanza.BadRequest, "max-items-exceeded")
	errAcceptable  = refusal(mstanza.Modify, mstanza.NotAcceptable, "")
	errModel       = refusal(mstanza.Modify, mstanza.NotAcceptable, "unsupported-access-model")
	errNotFound    = refusal(mstanza.Cancel, mstanza.ItemNotFound, "")
	errConflict    = refusal(mstanza.Cancel, mstanza.Conflict, "")
	errMismatch    = refusal(mstanza.Cancel, mstanza.Conflict, "precondition-not-met")
	errForbidden   = refusal(mstanza.Auth, mstanza.Forbidden, "")
	errPresence    = refusal(mstanza.Auth, mstanza.NotAuthorized, "presence-subscription-required")
	errGroup       = refusal(mstanza.Auth, mstanza.NotAuthorized, "not-in-roster-group")
	errClosed      = refusal(mstanza.Cancel, mstanza.NotAllowed, "closed-node")
	errNotAllowed  = refusal(mstanza.Cancel, mstanza.NotAllowed, "")
	errPending     = refusal(mstanza.Auth, mstanza.NotAuthorized, "pending-subscription")
	errUnapproved  = refusal(mstanza.Auth, mstanza.NotAuthorized, "not-subscribed")
	errNoSubscr    = refusal(mstanza.Cancel, mstanza.UnexpectedRequest, "not-subscribed")
	errManySubscr  = refusal(mstanza.Wait, mstanza.PolicyViolation, "too-many-subscriptions")
	errQuota       = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "the account holds as much as it may"}
	errBusy        = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too many requests to this account wait already"}
	errInternal    = &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError}
	errUnavailable = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}
)

// unsupported says which feature of XEP-0060 §10 is not here.
func unsupported(feature string) *wire.Error {
	e := refusal(mstanza.Cancel, mstanza.FeatureNotImplemented, "")
	e.App = "<unsupported xmlns='" + NSErrors + "' feature='" + feature + "'/>"
	return e
}

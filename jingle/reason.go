package jingle

import (
	mstanza "mellium.im/xmpp/stanza"

	"parley/xmpp/wire"
)

// Condition is why a session or content ended (XEP-0166 §7.4).
type Condition string

// The conditions of XEP-0166 §7.4.
const (
	AlternativeSession      Condition = "alternative-session"
	Busy                    Condition = "busy"
	Cancel                  Condition = "cancel"
	ConnectivityError       Condition = "connectivity-error"
	Decline                 Condition = "decline"
	Expired                 Condition = "expired"
	FailedApplication       Condition = "failed-application"
	FailedTransport         Condition = "failed-transport"
	GeneralError            Condition = "general-error"
	Gone                    Condition = "gone"
	IncompatibleParameters  Condition = "incompatible-parameters"
	MediaError              Condition = "media-error"
	SecurityError           Condition = "security-error"
	Success                 Condition = "success"
	Timeout                 Condition = "timeout"
	UnsupportedApplications Condition = "unsupported-applications"
	UnsupportedTransports   Condition = "unsupported-transports"
)

func (c Condition) known() bool {
	switch c {
	case AlternativeSession, Busy, Cancel, ConnectivityError, Decline, Expired, FailedApplication, FailedTransport, GeneralError,
		Gone, IncompatibleParameters, MediaError, SecurityError, Success, Timeout, UnsupportedApplications, UnsupportedTransports:
		return true
	}
	return false
}

// Reason is a <reason/> element. A condition that XEP-0166 does not list is read as GeneralError.
type Reason struct {
	Condition Condition
	SID       string // of the other session, with AlternativeSession
	Text      string
}

// Answers to what a peer does wrong with sessions (XEP-0166 §10).
var (
	ErrOutOfOrder      = jingleError(mstanza.Wait, mstanza.UnexpectedRequest, "out-of-order", "the request makes no sense at this point of the session")
	ErrTieBreak        = jingleError(mstanza.Cancel, mstanza.Conflict, "tie-break", "the same request is under way from the other side")
	ErrUnknownSession  = jingleError(mstanza.Cancel, mstanza.ItemNotFound, "unknown-session", "no such session")
	ErrUnsupportedInfo = jingleError(mstanza.Modify, mstanza.FeatureNotImplemented, "unsupported-info", "this session information is not understood")
)

func jingleError(typ mstanza.ErrorType, condition mstanza.Condition, app, text string) *wire.Error {
	return &wire.Error{Type: typ, Condition: condition, Text: text, App: "<" + app + " xmlns='" + NSErrors + "'/>"}
}

// badRequest is the answer to values that break a rule; the text quotes nothing of the peer's.
func badRequest(text string) *wire.Error {
	return &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: text}
}

// tooMany is the answer to values over a limit.
func tooMany(what string) *wire.Error {
	return &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too many " + what}
}

// notAcceptable is the answer to values that are right but that cannot be expressed or served.
func notAcceptable(text string) *wire.Error {
	return &wire.Error{Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: text}
}

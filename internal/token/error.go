package token

import "fmt"

// Codes of refusals. They are shown to people and programs at the doors.
const (
	CodeExpired = "token.expired" // not valid at this time
	CodeAlg     = "token.alg"     // signed with an algorithm that the issuer's keys do not allow
	CodeKid     = "token.kid"     // names a key that the issuer does not have, or brings its own
	CodeScope   = "token.scope"   // for another issuer, audience, tenant, room or door
	CodeSize    = "token.size"    // too long, too deep, or a member twice
	CodeReject  = "token.reject"  // anything else: malformed, bad signature, claim of the wrong type
	CodeReplay  = "token.replay"  // used before, or revoked
	CodeLater   = "token.later"   // whether it was used before cannot be found out now
)

// Error is a refusal. Code and Text are safe to show to whoever brought the token; Error adds the cause for our log,
// which never holds the token or a part of it that could be a secret.
type Error struct {
	Code  string
	Text  string
	cause string
}

func (e *Error) Error() string {
	if e.cause == "" {
		return e.Code + ": " + e.Text
	}
	return e.Code + ": " + e.Text + ": " + e.cause
}

// Event is the name under which the refusal is counted.
func (e *Error) Event() string {
	if e.Code == CodeExpired || e.Code == CodeAlg {
		return CodeReject
	}
	return e.Code
}

func refuse(code, text string) *Error { return &Error{Code: code, Text: text} }

// because keeps what is only for the log.
func (e *Error) because(format string, args ...any) *Error {
	return &Error{Code: e.Code, Text: e.Text, cause: fmt.Sprintf(format, args...)}
}

var (
	errSize      = refuse(CodeSize, "the token is too large")
	errShape     = refuse(CodeSize, "the token is not well-formed")
	errHeader    = refuse(CodeReject, "the token's header is not accepted")
	errAlg       = refuse(CodeAlg, "the token is signed with an algorithm that is not accepted")
	errKid       = refuse(CodeKid, "the token names a key that is not known")
	errSignature = refuse(CodeReject, "the token's signature is not valid")
	errClaim     = refuse(CodeReject, "a claim of the token is not acceptable")
	errNoExpiry  = refuse(CodeExpired, "the token has no time of expiry")
	errExpired   = refuse(CodeExpired, "the token has expired")
	errEarly     = refuse(CodeExpired, "the token is not valid yet")
	errFar       = refuse(CodeExpired, "the token is valid for longer than is accepted")
	errIssuer    = refuse(CodeScope, "the token's issuer is not accepted")
	errAudience  = refuse(CodeScope, "the token is for another audience")
	errTenant    = refuse(CodeScope, "the token is for another tenant")
	errRoom      = refuse(CodeScope, "the token is for another room")
	errDoor      = refuse(CodeScope, "the token is for another way in")
	errReplay    = refuse(CodeReplay, "the token has been used already, or was revoked")
	errLater     = refuse(CodeLater, "the token cannot be checked now")
	errNoID      = refuse(CodeReject, "the token has no id")
	errFull      = refuse(CodeReject, "too many tokens are in use")
)

package auth

import (
	"errors"
	"time"
)

// Failure is why an exchange ended without login. All errors of Begin and Step are of this type, and are recorded
// already.
type Failure struct {
	Condition string // of <failure/>, RFC 6120 §6.5; "not-allowed" for a token out of band, which Jitsi clients show
	Text      string // safe to show to the peer
	Code      string // token.… where a token was refused
	Event     string // under which it was counted

	// Delay is how long to wait before the answer is sent. The peer must not be able to shorten it by trying in another
	// stream: it cannot, the tries of all streams are counted together.
	Delay time.Duration
	// Close says that the stream ends behind <failure/>, with the stream error policy-violation (RFC 6120 §6.4.5).
	Close bool

	cause    error
	user     string // hashed, for the log
	recorded bool
}

func (f *Failure) Error() string {
	s := "auth: " + f.Condition + ": " + f.Text
	if f.cause != nil {
		s += ": " + f.cause.Error()
	}
	return s
}

func (f *Failure) Unwrap() error { return f.cause }

func failure(condition, event, text string) *Failure {
	return &Failure{Condition: condition, Event: event, Text: text}
}

// of copies the failure for one user and cause.
func (f Failure) of(user string, cause error) *Failure {
	f.user, f.cause = user, cause
	return &f
}

func malformed(text string) *Failure { return failure("malformed-request", "auth.malformed", text) }

// The refusals. They are templates: Exchange.fail copies before it fills in anything.
var (
	errCredentials = failure("not-authorized", "auth.fail", "wrong user name or password")
	errDisabled    = failure("account-disabled", "auth.disabled", "the account is disabled")
	errTooMany     = failure("temporary-auth-failure", "auth.brute", "too many tries, wait a while")
	errStore       = failure("temporary-auth-failure", "auth.store", "accounts cannot be checked now")
	errAuthzid     = failure("invalid-authzid", "auth.authzid", "only the own address may be asked for")
	errBinding     = failure("not-authorized", "auth.downgrade", "channel binding does not match")
	errBindingType = failure("not-authorized", "auth.downgrade", "channel binding type was not offered")
	errDowngrade   = failure("not-authorized", "auth.downgrade", "channel binding was offered and not seen")
	errNonce       = failure("not-authorized", "auth.replay", "nonce does not match")
	errMechanism   = failure("invalid-mechanism", "auth.mechanism", "mechanism was not offered")
	errPlain       = failure("encryption-required", "auth.plain", "this mechanism needs TLS")
	errStreamTries = failure("not-authorized", "auth.brute", "too many tries in one stream")
	errTwice       = failure("not-authorized", "auth.repeated", "the stream is authenticated already")
	errNoExchange  = malformed("no exchange is under way")
	errTooLong     = malformed("response is too long")
	errAborted     = failure("aborted", "auth.aborted", "")
	errExpired     = failure("credentials-expired", "auth.expired", "the token has expired")
	errReplay      = failure("not-authorized", "auth.replay", "the token was used up")
	errToken       = failure("not-authorized", "token.reject", "the token is not accepted")
	errNeedsToken  = failure("not-allowed", "auth.token", "a token is needed")
	errOutOfBand   = failure("not-allowed", "token.reject", "the token is not accepted")

	errEncoding = failure("incorrect-encoding", "auth.malformed", "data is not base64")
)

func asFailure(err error) *Failure {
	if f := (*Failure)(nil); errors.As(err, &f) {
		c := *f
		return &c
	}
	return errStore.of("", err)
}

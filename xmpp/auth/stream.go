package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"

	"parley/internal/token"
)

// Stream is one XMPP stream before it is authenticated. It is not safe for concurrent use.
type Stream struct {
	server     *Server
	channel    Channel
	mechanisms []string
	withTLS    []string // would be offered if the stream were confidential
	from       string   // whom the header names as the client, see Claims
	tries      int
	unbound    int // tries that were refused for what they said of channel binding
	current    *Exchange
	done       bool
}

// Stream begins with a stream's header. The channel must not change afterwards.
func (s *Server) Stream(ch Channel) *Stream {
	st := &Stream{server: s, channel: ch}
	if s.accounts != nil {
		if len(ch.Bindings) > 0 {
			for _, h := range s.hashes {
				st.mechanisms = append(st.mechanisms, h.name+"-PLUS")
			}
		}
		for _, h := range s.hashes {
			st.mechanisms = append(st.mechanisms, h.name)
		}
	}
	if s.tokens.Accepts() {
		st.withTLS = append(st.withTLS, "OAUTHBEARER")
	}
	if s.accounts != nil && s.cfg.Plain {
		st.withTLS = append(st.withTLS, "PLAIN")
	}
	if st.confidential() {
		st.mechanisms, st.withTLS = append(st.mechanisms, st.withTLS...), nil
	}
	if s.cfg.Guests || s.tokens.Accepts() {
		st.mechanisms = append(st.mechanisms, "ANONYMOUS")
	}
	return st
}

// confidential reports that a secret may be sent as it is.
func (st *Stream) confidential() bool {
	return st.channel.Secure || st.server.cfg.PlainInsecure && st.channel.Source.Unmap().IsLoopback()
}

// Mechanisms is what the stream's features must offer, no more and no less: the list is hashed into SCRAM.
func (st *Stream) Mechanisms() []string { return slices.Clone(st.mechanisms) }

// ChannelBindings is what the stream's features must offer as types of channel binding (XEP-0440), if there are any.
func (st *Stream) ChannelBindings() []string {
	var types []string
	if st.server.accounts != nil {
		for _, b := range st.channel.Bindings {
			types = append(types, b.Type)
		}
	}
	return types
}

// next ends the exchange before and returns one for the next try.
func (st *Stream) next(mechanism string) (*Exchange, error) {
	x := &Exchange{stream: st, mechanism: mechanism}
	if st.done {
		f := x.fail(errTwice)
		f.Close = true
		return nil, f
	}
	st.current = nil
	st.tries++
	if st.server.cfg.Tries > 0 && st.tries > st.server.cfg.Tries {
		return nil, x.fail(errStreamTries)
	}
	return x, nil
}

// Begin begins an exchange and ends the one before it. It counts as a try.
func (st *Stream) Begin(mechanism string) (*Exchange, error) {
	x, err := st.next(mechanism)
	switch {
	case err != nil:
		return nil, err
	case slices.Contains(st.withTLS, mechanism):
		return nil, x.fail(errPlain)
	case !slices.Contains(st.mechanisms, mechanism):
		return nil, x.fail(errMechanism)
	}
	st.current = x
	switch mechanism {
	case "PLAIN":
		x.steps = &plain{x: x}
	case "OAUTHBEARER":
		x.steps = &bearer{x: x}
	case "ANONYMOUS":
		x.steps = &anonymous{x: x}
	default:
		x.steps = newScram(x)
	}
	return x, nil
}

// Exchange is one run of a mechanism. It belongs to its stream.
type Exchange struct {
	stream    *Stream
	mechanism string
	steps     steps
	begun     bool
	renews    bool // the token that it was done with is due for a new one
	identity  Identity
}

// steps is a mechanism on its way. Response is never nil.
type steps interface {
	step(ctx context.Context, response []byte) (challenge []byte, done bool, err error)
}

// longestResponse leaves room for a token of 8 KiB.
const longestResponse = 10 << 10 // bytes

// Step takes the client's next response, first the initial one: nil if the client sent none. It returns the challenge to
// send, which may be empty; or done, with the data that goes into <success/>, nil if there is none; or a *Failure, and
// the exchange is over. It may wait for the store and, with a token, for keys; ctx ends that.
func (x *Exchange) Step(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	if x.stream.current != x || x.stream.done {
		return nil, false, x.fail(errNoExchange)
	}
	if len(response) > longestResponse {
		return nil, false, x.fail(errTooLong)
	}
	if response == nil && !x.begun && x.mechanism != "ANONYMOUS" {
		x.begun = true
		return []byte{}, false, nil // the client speaks first (RFC 4422 §3.3)
	}
	x.begun = true
	if challenge, done, err = x.steps.step(ctx, response); err != nil {
		return nil, false, x.fail(err)
	}
	x.stream.done = done
	return challenge, done, nil
}

// StepText is Step for the text of <auth/> and <response/>, base64 in and out (RFC 6120 §6.4).
func (x *Exchange) StepText(ctx context.Context, text []byte) (reply []byte, done bool, err error) {
	read := DecodeResponse
	if !x.begun {
		read = DecodeInitial
	}
	reply, done, err = x.stepEncoded(ctx, text, read)
	if reply == nil {
		reply = []byte{}
	}
	return reply, done, err
}

// StepData is Step for the data of the extensible profile (XEP-0388 §2.2), base64 in and out. Text is nil where the
// client's element is absent; a nil reply is absent too.
func (x *Exchange) StepData(ctx context.Context, text []byte) (reply []byte, done bool, err error) {
	return x.stepEncoded(ctx, text, func(text []byte) ([]byte, error) {
		if text == nil {
			return nil, nil
		}
		return DecodeResponse(text)
	})
}

func (x *Exchange) stepEncoded(ctx context.Context, text []byte, read func([]byte) ([]byte, error)) (reply []byte, done bool, err error) {
	response, err := read(text)
	if err != nil {
		return nil, false, x.fail(err)
	}
	data, done, err := x.Step(ctx, response)
	if err != nil || data == nil {
		return nil, done, err
	}
	return base64.StdEncoding.AppendEncode([]byte{}, data), done, nil
}

// Abort ends the exchange at the client's wish (RFC 6120 §6.4.4) and returns the failure to answer with.
func (x *Exchange) Abort() *Failure { return x.fail(errAborted) }

// Identity is who logged in. It is zero before Step has returned done.
func (x *Exchange) Identity() Identity {
	if !x.stream.done || x.stream.current != x {
		return Identity{}
	}
	return x.identity
}

// login keeps who it is until Step returns.
func (x *Exchange) login(id Identity) {
	id.Mechanism = x.mechanism
	x.identity = id
}

// fail ends the exchange and records why.
func (x *Exchange) fail(err error) *Failure {
	st := x.stream
	if st.current == x && !st.done {
		st.current = nil
	}
	if (err == errBindingType || err == errDowngrade) && st.unbound < 2*len(hashes) {
		st.unbound++
		st.tries-- // refused before any proof: clients that get the binding wrong go through all of SCRAM before they come to PLAIN
	}
	f := asFailure(err)
	f.Close = f.Close || st.server.cfg.Tries > 0 && st.tries >= st.server.cfg.Tries
	if f.recorded {
		return f
	}
	f.recorded = true
	attrs := []any{"mechanism", x.mechanism}
	if f.user != "" {
		attrs = append(attrs, "user", f.user)
	}
	if f.cause != nil {
		attrs = append(attrs, "err", f.cause.Error())
	}
	rec, source := st.server.rec, st.channel.Source.String()
	switch f.Event {
	case errStore.Event:
		rec.Hurt(f.Event, source, attrs...)
	case errAborted.Event:
		rec.Debug(f.Event, source, attrs...)
	default:
		rec.Reject(f.Event, source, attrs...)
	}
	return f
}

// check checks a token and turns its refusal into ours.
func (x *Exchange) check(ctx context.Context, raw string, as *Failure) (*token.Claims, error) {
	claims, err := x.stream.server.tokens.Check(ctx, raw, x.stream.channel.Source.String())
	checked := err == nil
	if checked {
		err = claims.AllowsDoor("xmpp")
	}
	if err == nil {
		err = x.stream.server.tokens.Spend(ctx, &claims, x.stream.channel.Source.String())
		checked = err == nil
	}
	if err == nil {
		return &claims, nil
	}
	as = as.of("", err)
	as.recorded = !checked // the checker has recorded its own refusal
	if e := (*token.Error)(nil); errors.As(err, &e) {
		as.Code, as.Text, as.Event = e.Code, e.Code+": "+e.Text, e.Event()
	}
	return nil, as
}

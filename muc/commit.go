package muc

import (
	"errors"

	"parley/internal/store"
)

// op is something that is answered when it is committed. Ops are answered in the order in which they began, so that the
// room's words keep their order.
type op struct {
	seq    uint64
	in     *input // whose handling ends with it; nil if nobody's
	done   bool
	err    error
	alone  bool
	finish func(why *refusal, now *input, fx *effects)
}

// commit has the change written and finish called when that is done or has failed; then and not before the room's state
// may change. In a room that is not stored, finish is called at once. It reports that it keeps the input.
func (r *room) commit(in *input, fx *effects, c store.Change, finish func(*refusal, *input, *effects)) (kept bool) {
	return r.submit(&op{in: in, finish: finish}, in, fx, c, r.stored)
}

// commitAlone is commit for changes that decide about other changes: who may do what, how the room is set, whether it
// exists. The next one of these waits (see postponed), so that each is judged by the state that it will change.
func (r *room) commitAlone(in *input, fx *effects, c store.Change, finish func(*refusal, *input, *effects)) (kept bool) {
	return r.submit(&op{in: in, finish: finish, alone: true}, in, fx, c, r.stored)
}

// submit writes the change if it is to be durable. The op's input may be nil: then nothing is kept.
func (r *room) submit(o *op, in *input, fx *effects, c store.Change, durable bool) (kept bool) {
	if !durable {
		o.finish(nil, in, fx)
		return false
	}
	if r.stale {
		o.finish(&errStale, in, fx)
		return false
	}
	r.seq++
	o.seq = r.seq
	c.Room = string(r.addr)
	r.pending = append(r.pending, o)
	r.exclusive = r.exclusive || o.alone
	fx.writes = append(fx.writes, write{o.seq, c})
	return o.in != nil
}

// after says something when everything that began before has been answered, and reports that it keeps the input, which may
// be nil, until then.
func (r *room) after(in *input, fx *effects, speak func(*effects)) (kept bool) {
	if len(r.pending) == 0 {
		speak(fx)
		return false
	}
	r.pending = append(r.pending, &op{in: in, done: true, finish: func(_ *refusal, _ *input, fx *effects) { speak(fx) }})
	return in != nil
}

// answer notes that a write is done and finishes what can be finished in order.
func (r *room) answer(now *input, fx *effects) {
	for _, o := range r.pending {
		if o.seq == now.committed {
			o.done, o.err = true, now.err
			break
		}
	}
	for len(r.pending) > 0 && r.pending[0].done {
		o := r.pending[0]
		r.pending[0] = nil
		r.pending = r.pending[1:]
		if o.alone {
			r.exclusive = false
		}
		var why *refusal
		switch {
		case errors.Is(o.err, store.ErrStale):
			r.stale = true
			why = &errStale
		case o.err != nil:
			why = &errStore
		}
		if o.in != nil {
			o.in.now = now.now
		}
		o.finish(why, now, fx)
		if o.in != nil {
			fx.finish(o.in)
		}
	}
	if len(r.pending) == 0 {
		r.pending = nil
	}
}

// mostDeferred bounds what waits behind a change of who may do what.
const mostDeferred = 64

// postponed reports that the input has to wait until a change of who may do what is committed, or was refused because
// too many wait.
func (r *room) postponed(in *input, fx *effects) bool {
	if !r.exclusive {
		return false
	}
	if len(r.deferred) >= mostDeferred {
		r.refuse(in, fx, errBusy)
		fx.finish(in)
		return true
	}
	r.deferred = append(r.deferred, in)
	return true
}

// resume takes up what waited.
func (r *room) resume(now *input, fx *effects) {
	for !r.exclusive && len(r.deferred) > 0 {
		in := r.deferred[0]
		r.deferred[0] = nil
		r.deferred = r.deferred[1:]
		in.now = now.now
		r.take(in, fx)
	}
}

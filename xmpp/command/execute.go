package command

import (
	"context"
	"time"

	"parley/xmpp/form"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Handle answers the requests with a <command/> to the server (XEP-0050 §3), in the reader's goroutine.
func (s *Service) Handle(b *wire.Batch, from route.Sender, p *wire.Packet) {
	e := p.Elem().Child("command", NS)
	c := s.find(e.AttrString("node"))
	switch {
	case string(p.Type()) != "set":
		s.refuse(b, from, p, errGet)
	case c == nil || !s.toServer(p):
		s.refuse(b, from, p, errNoCommand)
	case !s.may(c, from):
		s.rec.Reject("command.forbidden", string(from.Addr()))
		s.refuse(b, from, p, errForbidden)
	default:
		p := p.Clone()
		if !s.do(from.Addr().Bare(), func(b *wire.Batch) { s.step(b, from, p, c) }) {
			s.refuse(b, from, p, errBusy)
		}
	}
}

// toServer reports that a request is to the domain and not to an account.
func (s *Service) toServer(p *wire.Packet) bool {
	to, err := wire.ParseRawAddr(p.To())
	return err == nil && to == s.domain
}

func (s *Service) refuse(b *wire.Batch, from route.Sender, p *wire.Packet, e *wire.Error) {
	at, _ := wire.ParseRawAddr(p.To())
	route.Refuse(b, from, p, at, e)
}

// step is one request of an execution. It runs in the account's goroutine.
func (s *Service) step(b *wire.Batch, from route.Sender, p *wire.Packet, c *Command) {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	e := p.Elem().Child("command", NS)
	action, id, now := e.AttrString("action"), e.AttrString("sessionid"), time.Now()
	var run *session
	switch {
	case id != "":
		var expired bool
		if run, expired = s.sessions.find(id, from.Addr(), c, now); expired {
			s.refuse(b, from, p, errExpired)
			return
		} else if run == nil {
			s.refuse(b, from, p, errSession)
			return
		}
	case action != "" && action != "execute":
		s.refuse(b, from, p, errNotNow)
		return
	default:
		if run = s.sessions.begin(from.Addr(), c, now); run == nil {
			s.rec.Count("limit.commands")
			s.refuse(b, from, p, errBusy)
			return
		}
		if len(c.Stages) == 0 {
			s.finish(ctx, b, from, p, run)
		} else {
			s.show(ctx, b, from, p, run, 0)
		}
		return
	}
	last := run.stage == len(c.Stages)-1
	if action == "" || action == "execute" { // the default is what <actions/> named (§3.3)
		if action = "next"; last {
			action = "complete"
		}
	}
	switch action {
	case "cancel":
		s.sessions.end(run)
		s.answer(b, from, p, run, "canceled", nil)
	case "prev":
		if run.stage == 0 {
			s.refuse(b, from, p, errNotNow)
			return
		}
		s.show(ctx, b, from, p, run, run.stage-1)
	case "next", "complete":
		if (action == "complete") != last {
			s.refuse(b, from, p, errNotNow)
			return
		}
		if why := s.fill(ctx, from, run, e); why != nil {
			s.refuse(b, from, p, why)
			return
		}
		if last {
			s.finish(ctx, b, from, p, run)
		} else {
			s.show(ctx, b, from, p, run, run.stage+1)
		}
	default:
		s.refuse(b, from, p, errAction)
	}
}

// fill takes what was filled in. Of a wrong form nothing is kept, and it may be sent again.
func (s *Service) fill(ctx context.Context, from route.Sender, run *session, e wire.Elem) *wire.Error {
	stage := run.command.Stages[run.stage]
	x := e.Child("x", form.NS)
	if !x.Ok() || x.AttrString("type") != "submit" {
		return errPayload
	}
	answers, ok := form.Read(x, stage.Type)
	if !ok {
		return errPayload
	}
	if stage.Check != nil {
		if why := stage.Check(ctx, &Execution{from, run.answers(run.stage)}, answers); why != nil {
			return why
		}
	}
	run.filled = append(run.filled[:run.stage], answers)
	return nil
}

// show sends the form of a stage.
func (s *Service) show(ctx context.Context, b *wire.Batch, from route.Sender, p *wire.Packet, run *session, stage int) {
	at := &run.command.Stages[stage]
	f := form.New(nil, "form", at.Type)
	if why := at.Form(ctx, &Execution{from, run.answers(stage)}, f); why != nil {
		s.sessions.end(run)
		s.refuse(b, from, p, why)
		return
	}
	run.stage = stage
	last := stage == len(run.command.Stages)-1
	next := "next"
	if last {
		next = "complete"
	}
	out := wire.AppendAttr([]byte("<actions"), "execute", next)
	out = append(out, '>')
	if stage > 0 {
		out = append(out, "<prev/>"...)
	}
	out = append(append(out, "<"+next+"/></actions>"...), f.End()...)
	s.answer(b, from, p, run, "executing", out)
}

// finish does what the command is for. When that fails with an error of the kind that can be corrected, the last form may be
// filled in again.
func (s *Service) finish(ctx context.Context, b *wire.Batch, from route.Sender, p *wire.Packet, run *session) {
	done, why := run.command.Do(ctx, &Execution{from, run.answers(len(run.command.Stages))})
	if why != nil {
		if why.Type != "modify" || len(run.command.Stages) == 0 {
			s.sessions.end(run)
		}
		s.refuse(b, from, p, why)
		return
	}
	s.sessions.end(run)
	out := done.Form
	if done.Note != "" {
		kind := "info"
		if done.Warn {
			kind = "warn"
		}
		note := append(wire.AppendAttr([]byte("<note"), "type", kind), '>')
		out = append(append(wire.AppendEscaped(note, done.Note), "</note>"...), out...)
	}
	s.answer(b, from, p, run, "completed", out)
	if done.Then != nil {
		done.Then(b)
	}
}

func (s *Service) answer(b *wire.Batch, from route.Sender, p *wire.Packet, run *session, status string, inner []byte) {
	out := wire.AppendAttr([]byte("<command xmlns='"+NS+"'"), "node", run.command.Node)
	out = wire.AppendAttr(out, "sessionid", run.id)
	out = wire.AppendAttr(out, "status", status)
	out = append(append(append(out, '>'), inner...), "</command>"...)
	from.Deliver(b, "", p.Result(s.domain, out))
}

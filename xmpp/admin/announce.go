package admin

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"parley/internal/store"
	"parley/xmpp/command"
	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// longestText bounds what is said to everybody, in bytes.
const longestText = 8 << 10

// announcements are the commands of XEP-0133 §4.23–§4.26.
func (s *Service) announcements() []command.Command {
	text := func(name, label string) func(context.Context, *form.Sheet) *wire.Error {
		return func(_ context.Context, f *form.Sheet) *wire.Error {
			f.Required(name, "text-multi", label)
			return nil
		}
	}
	return []command.Command{
		s.command("announce", "Say something to everybody who is there", text("announcement", "Announcement"),
			func(_ context.Context, a form.Answers) (out command.Outcome, why *wire.Error) {
				body, why := said(a["announcement"])
				if why == nil {
					out.Then = func(b *wire.Batch) { s.tell(b, s.server.Present(""), body) }
				}
				return out, why
			}),
		s.command("set-motd", "Set the message of the day", text("motd", "Message of the day"),
			func(ctx context.Context, a form.Answers) (out command.Outcome, why *wire.Error) {
				body, why := said(a["motd"])
				if why != nil {
					return out, why
				}
				m := store.Announcement{At: time.Now(), Text: body}
				if why := s.setMOTD(ctx, &m); why != nil {
					return out, why
				}
				out.Then = func(b *wire.Batch) { s.spread(b, m) }
				return out, nil
			}),
		s.command("edit-motd", "Edit the message of the day", func(_ context.Context, f *form.Sheet) *wire.Error {
			var lines []string
			if m := s.motd.Load(); m != nil {
				lines = strings.Split(m.Text, "\n")
			}
			f.Required("motd", "text-multi", "Message of the day", lines...)
			return nil
		}, func(ctx context.Context, a form.Answers) (out command.Outcome, why *wire.Error) {
			body, why := said(a["motd"])
			if why != nil {
				return out, why
			}
			m := store.Announcement{At: time.Now(), Text: body}
			if old := s.motd.Load(); old != nil {
				m.At = old.At // who has seen it is not told of the correction
			}
			return out, s.setMOTD(ctx, &m)
		}),
		s.command("delete-motd", "Delete the message of the day", nil,
			func(ctx context.Context, _ form.Answers) (out command.Outcome, why *wire.Error) {
				if s.motd.Load() == nil {
					return out, errNothing
				}
				return out, s.setMOTD(ctx, nil)
			}),
	}
}

// said puts the lines of a field together.
func said(lines []string) (string, *wire.Error) {
	body := strings.Trim(strings.Join(lines, "\n"), "\n")
	switch {
	case body == "":
		return "", command.Bad("there is nothing to say")
	case len(body) > longestText:
		return "", command.Bad("the text is too long")
	}
	return body, nil
}

// tell says something to sessions.
func (s *Service) tell(b *wire.Batch, to []Present, body string) {
	tail := wire.AppendAttr(nil, "from", string(s.domain))
	tail = wire.AppendElem(append(tail, " type='headline'>"...), "body", body)
	st := wire.Stanza{Kind: wire.Message, Tail: append(tail, "</message>"...)}
	for _, p := range to {
		s.server.Send(b, p.Addr, st)
	}
}

// readMOTD reads the message of the day from the store.
func (s *Service) readMOTD(ctx context.Context) error {
	m, err := s.store.Announcement(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	s.motd.Store(&m)
	return nil
}

// setMOTD stores the message of the day; nil is none.
func (s *Service) setMOTD(ctx context.Context, m *store.Announcement) *wire.Error {
	if why := s.failed(s.store.SetAnnouncement(ctx, m)); why != nil {
		return why
	}
	if m != nil {
		m.At = m.At.Truncate(time.Millisecond).UTC() // as the store has it
	}
	s.motd.Store(m)
	return nil
}

// spread tells those who are there of a new message of the day.
func (s *Service) spread(b *wire.Batch, m store.Announcement) {
	ctx, done := context.WithTimeout(context.Background(), spreading)
	defer done()
	list := s.server.Present("")
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].Addr.Bare() == list[0].Addr.Bare() {
			n++
		}
		s.tellOnce(ctx, b, list[:n], m)
		list = list[n:]
	}
}

const (
	spreading = time.Minute      // for all who are there
	greeting  = 10 * time.Second // for one who comes
)

// tellOnce tells an account's sessions if nobody told the account before.
func (s *Service) tellOnce(ctx context.Context, b *wire.Batch, sessions []Present, m store.Announcement) {
	account := sessions[0].Addr.Bare()
	if !s.seen.add(account, m.At) {
		return
	}
	fresh, err := s.store.SeeAnnouncement(ctx, string(account), m.At)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.rec.Count("admin.motd.fail")
		s.seen.remove(account)
		return
	}
	if fresh {
		s.tell(b, sessions, m.Text)
	}
}

// Greet tells a session that has become available of the message of the day, if its account was not told before. It waits for
// the store.
func (s *Service) Greet(b *wire.Batch, session wire.Addr) {
	m := s.motd.Load()
	if m == nil {
		return
	}
	ctx, done := context.WithTimeout(context.Background(), greeting)
	defer done()
	s.tellOnce(ctx, b, []Present{{Addr: session}}, *m)
}

// seen remembers which accounts need not be asked about in the store.
type seen struct {
	mu  sync.Mutex // guards what follows
	at  time.Time  // of the message that all are about
	all map[wire.Addr]struct{}
}

// mostSeen bounds them; the store is asked again when they are forgotten.
const mostSeen = 100_000

// add reports that the account was not there.
func (s *seen) add(account wire.Addr, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.Equal(at) || len(s.all) >= mostSeen {
		s.at, s.all = at, make(map[wire.Addr]struct{})
	}
	if _, known := s.all[account]; known {
		return false
	}
	s.all[account] = struct{}{}
	return true
}

func (s *seen) remove(account wire.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, account)
}

package records

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"parley/internal/event"
	"parley/internal/store"
)

// Store is what records are kept in.
type Store interface {
	KeepTalks(ctx context.Context, r store.TalkRecords) error
	OpenTalks(ctx context.Context, node string) (store.TalkRecords, error)
	ForgetTalks(ctx context.Context, before time.Time, limit int) (int, error)
}

// Options are what New leaves to the caller.
type Options struct {
	Folder    string // of the spool
	Node      string // name of this server
	Store     Store
	Countries Countries // nil: none is known
	Recorder  *event.Recorder
}

// Service is the Book with its way to the store. Calls are told to the Book.
type Service struct {
	*Book
	cfg   Config
	store Store
	rec   *event.Recorder
	spool *spool

	mu    sync.Mutex // guards what follows
	inbox []entry
	over  bool
	news  chan struct{} // of length 1: there is something in the inbox

	written chan struct{} // of length 1: there is something in the spool
	alive   string        // a file that is touched while the process lives
	last    time.Time     // when the process before was last alive
	cancel  context.CancelFunc
	group   sync.WaitGroup
}

const (
	inboxMost  = 20_000                 // records that are not written yet; of minor ones half as many
	atOnce     = 2_000                  // records that are delivered in one transaction
	beat       = 5 * time.Second        // how often the file is touched
	settleTime = time.Minute            // after which who was in a call before the process is gone if nobody has found it again
	gather     = 200 * time.Millisecond // how long a record waits for others
	patience   = 10 * time.Second       // for what the process before has left
	forgetAt   = 1_000                  // sessions that are removed at once
)

// New opens the spool, delivers what is in it, and takes up the calls of the process before. It has to come before the first member.
// A store that does not answer is no error.
func New(cfg Config, o Options) (*Service, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	spool, err := openSpool(o.Folder, cfg.Spool)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, store: o.Store, rec: o.Recorder, spool: spool, alive: filepath.Join(o.Folder, "alive"), last: time.Now(),
		news: make(chan struct{}, 1), written: make(chan struct{}, 1)}
	s.Book = newBook(cfg, o.Node, o.Countries, time.Now, s.take)
	if info, err := os.Stat(s.alive); err == nil {
		s.last = info.ModTime()
	}
	waiting, done := context.WithTimeout(context.Background(), patience)
	defer done()
	err = s.deliver(waiting)
	if err == nil {
		var open store.TalkRecords
		if open, err = o.Store.OpenTalks(waiting, o.Node); err == nil {
			s.resume(open)
		}
	}
	if err != nil {
		s.rec.Hurt("records.resume", "", "err", err.Error())
	}
	s.touch()
	if spool.bytes() > 0 {
		signal(s.written)
	}
	running, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.group.Go(func() { s.write(running) })
	s.group.Go(func() { s.run(running) })
	return s, nil
}

func (s *Service) touch() {
	now := time.Now()
	if os.Chtimes(s.alive, now, now) != nil {
		os.WriteFile(s.alive, nil, 0o600)
	}
}

// take is where the Book's records go. It does not wait.
func (s *Service) take(e entry) {
	s.mu.Lock()
	full := len(s.inbox) >= inboxMost || e.minor() && len(s.inbox) >= inboxMost/2
	over := s.over
	if !full && !over {
		s.inbox = append(s.inbox, e)
	}
	s.mu.Unlock()
	if over {
		return // everything has been ended
	}
	if full {
		s.rec.Hurt("records.drop", "", "text", "they come faster than the disk takes them")
		return
	}
	signal(s.news)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write writes records to the spool.
func (s *Service) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			s.flush()
			return
		case <-s.news:
			s.flush()
		}
	}
}

func (s *Service) flush() {
	s.mu.Lock()
	batch := s.inbox
	s.inbox = nil
	s.mu.Unlock()
	for i := range batch {
		if err := s.spool.add(batch[i].line(), batch[i].minor()); err != nil {
			s.rec.Hurt("records.drop", "", "err", err.Error())
		}
	}
	if len(batch) > 0 {
		signal(s.written)
	}
}

// run delivers what is in the spool, and looks after what has to be done now and then.
func (s *Service) run(ctx context.Context) {
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	born, settled, forgotten := time.Now(), false, time.Time{}
	wait, away := time.Duration(0), (<-chan time.Time)(nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			s.touch()
			s.tick()
			if !settled && time.Since(born) > settleTime {
				settled = true
				s.settle(s.last)
			}
			if time.Since(forgotten) > time.Hour {
				forgotten = time.Now()
				s.forget(ctx)
			}
			continue
		case <-s.written:
			if away == nil {
				away = time.After(gather)
			}
			continue
		case <-away:
		}
		away = nil
		if err := s.deliver(ctx); err != nil && ctx.Err() == nil {
			s.rec.Hurt("records.away", "", "err", err.Error(), "waiting_bytes", s.spool.bytes())
			wait = min(max(2*wait, 500*time.Millisecond), 30*time.Second)
			away = time.After(wait)
		} else {
			wait = 0
		}
	}
}

// deliver brings what is in the spool to the store, the oldest first, and removes it from there.
func (s *Service) deliver(ctx context.Context) error {
	for {
		number, text, ok, err := s.spool.oldest()
		if err != nil || !ok {
			return err
		}
		list, damaged := parse(text)
		if damaged > 0 {
			s.rec.Hurt("records.damaged", "", "lines", damaged)
		}
		for start := 0; start < len(list); start += atOnce {
			if err := s.keep(ctx, list[start:min(start+atOnce, len(list))]); err != nil {
				return err
			}
		}
		if err := s.spool.remove(number); err != nil {
			return err
		}
	}
}

// keep has records committed. What the store refuses for ever is looked for and left out.
func (s *Service) keep(ctx context.Context, list []entry) error {
	var r store.TalkRecords
	for i := range list {
		list[i].add(&r)
	}
	err := s.store.KeepTalks(ctx, r)
	switch {
	case !errors.Is(err, store.ErrInvalid):
		return err
	case len(list) == 1:
		s.rec.Hurt("records.refused", "", "text", "a record cannot be stored")
		return nil
	}
	half := len(list) / 2
	if err := s.keep(ctx, list[:half]); err != nil {
		return err
	}
	return s.keep(ctx, list[half:])
}

// forget removes what is too old.
func (s *Service) forget(ctx context.Context) {
	for s.cfg.Keep > 0 && ctx.Err() == nil {
		n, err := s.store.ForgetTalks(ctx, time.Now().Add(-s.cfg.Keep), forgetAt)
		if err != nil || n < forgetAt {
			return
		}
	}
}

// Waiting is how many bytes wait for the store.
func (s *Service) Waiting() int64 { return s.spool.bytes() }

// Close ends all calls in the book, and brings everything to the store, or leaves it to the next process.
func (s *Service) Close(ctx context.Context) error {
	s.tick()
	s.end()
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.cancel()
	s.group.Wait()
	defer s.spool.close()
	if err := s.deliver(ctx); err != nil {
		s.rec.Hurt("records.away", "", "err", err.Error(), "waiting_bytes", s.spool.bytes())
	}
	s.touch()
	return nil
}

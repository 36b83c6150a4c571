// Package upload lets people with an account upload files and share their addresses (XEP-0363): a service that gives slots out,
// and the HTTP side that takes a file into a slot and gives it to whoever knows its address.
//
// A slot is a row of the store before anything else, and the row goes when the file is gone: so the store alone says which
// files there are, what an account holds, and what is to be removed. A file is written under another name, synced and renamed,
// and only then noted in the store. Of the purposes of later versions of XEP-0363 there is none.
package upload

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/internal/store"
	"parley/xmpp/wire"
)

// NS is the namespace of XEP-0363.
const NS = "urn:xmpp:http:upload:0"

// Path is where the files are on the HTTP side: Path + id + "/" + name.
const Path = "/upload/"

// Config is what an administrator may set.
type Config struct {
	Enabled  bool       `help:"people with an account may upload files, at upload.DOMAIN and below /upload/ of the HTTP listeners (XEP-0363)"`
	URL      string     `help:"where clients reach the HTTP listeners for that, like https://files.example.org; empty: made from the domain and the first of them"`
	Size     int64      `help:"bytes of one file"`
	Quota    int64      `help:"bytes of all files of an account"`
	Files    int        `help:"files of an account"`
	Days     int        `help:"days after which files are removed; 0: when their account is"`
	DiskFree int64      `help:"bytes that uploads leave free on the disk of the data directory"`
	Rate     limit.Rate `help:"files that an account may begin to upload"`
}

// DefaultConfig is 100 MiB a file and 1 GiB an account, for 30 days.
func DefaultConfig() Config {
	return Config{
		Enabled: true, Size: 100 << 20, Quota: 1 << 30, Files: 10_000, Days: 30, DiskFree: 256 << 20,
		Rate: limit.Rate{PerSecond: 0.5, Burst: 100},
	}
}

// Check says what is wrong with a configuration.
func (c *Config) Check() error {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || c.URL != u.Scheme+"://"+u.Host || strings.ToLower(c.URL) != c.URL {
			return fmt.Errorf("upload.url = %q is no origin such as https://files.example.org", c.URL)
		}
	}
	switch {
	case c.Size < 1 || c.Size > 1<<40:
		return errors.New("upload.size must be between 1 and 1099511627776")
	case c.Quota < c.Size:
		return errors.New("upload.quota must be at least upload.size")
	case c.Files < 1:
		return errors.New("upload.files must be at least 1")
	case c.Days < 0 || c.Days > 36_500:
		return errors.New("upload.days must be between 0 and 36500")
	case c.DiskFree < 0:
		return errors.New("upload.disk_free must not be negative")
	}
	return nil
}

// slotTime is how long a slot waits for the upload to begin (XEP-0363 §7).
const slotTime = 5 * time.Minute

// patience bounds how long the store is waited for.
const patience = 10 * time.Second

// Work runs work of an account where it may wait for the store; false: too much waits already.
type Work func(account wire.Addr, work func(b *wire.Batch)) bool

// Parts is what the service is made of.
type Parts struct {
	Domain   wire.Addr // of the accounts that may upload
	Address  wire.Addr // of the service
	Base     string    // scheme and host of the files' addresses
	Folder   string    // where files are kept; it is made if need be
	Secret   []byte    // from which the keys of slots are made
	Store    store.Uploads
	Do       Work
	Recorder *event.Recorder // may be nil
}

// Service gives out slots (it is a route.Service), and takes and gives files (it is an http.Handler). It is safe for concurrent
// use.
type Service struct {
	cfg   Config
	parts Parts
	shelf shelf
	rates *limit.Sources[wire.Addr]
	rec   *event.Recorder
	sweep chan struct{} // holds a token when somebody left files behind
	now   func() time.Time

	mu     sync.Mutex // guards active
	active map[string]*transfer

	stored, bytes, fetched atomic.Int64
}

// New returns the service. What was being uploaded when the last process ended is removed.
func New(cfg Config, parts Parts) (*Service, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	shelf, err := openShelf(parts.Folder)
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	return &Service{
		cfg: cfg, parts: parts, shelf: shelf, rec: parts.Recorder, now: time.Now,
		rates: limit.NewSources[wire.Addr](0, cfg.Rate, 1<<16),
		sweep: make(chan struct{}, 1), active: make(map[string]*transfer),
	}, nil
}

// Stats says how many files were uploaded since the start, of how many bytes, and how many were asked for.
func (s *Service) Stats() (stored, bytes, fetched int64) {
	return s.stored.Load(), s.bytes.Load(), s.fetched.Load()
}

// expired reports that a file has been there for as long as it may.
func (s *Service) expired(u *store.Upload) bool {
	return s.cfg.Days > 0 && s.now().Sub(u.At) >= s.retention()
}

func (s *Service) retention() time.Duration { return time.Duration(s.cfg.Days) * 24 * time.Hour }

// within gives work that waits for the store its time.
func within(ctx context.Context, work func(context.Context) error) error {
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	return work(ctx)
}

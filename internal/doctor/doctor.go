// Package doctor looks for what keeps a server from running well, and says in one line each what is wrong and what to do
// about it. It changes nothing but what opening the store changes.
package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"parley/internal/config"
)

// Levels of findings.
const (
	OK    = "ok"
	Note  = "note"  // worth knowing
	Fault = "fault" // to be put right
)

// Finding is one line.
type Finding struct {
	Level string `json:"level"`
	Check string `json:"check"`
	Text  string `json:"text"`
}

// Patient is the server that is looked at, and the machine that it runs on or will run on.
type Patient struct {
	Config     config.Config
	ConfigErr  error // from reading it
	Data       string
	Store      string       // URL
	Advertised []netip.Addr // addresses that clients are told

	PID    int                         // of the server if it runs
	Bridge int                         // of its bridge, which may be the same, or of the bridge that a killed one has left; 0: none runs
	Health func(context.Context) error // what the server that runs says of itself

	Now       time.Time
	Addresses []netip.Addr // of the interfaces
	Files     uint64       // limit of file descriptors
	Buffers   uint64       // bytes that a socket's buffers may have, the smaller one; 0: not known
	Synced    bool         // the system keeps the clock right
	Free      func(path string) (bytes, inodes uint64, err error)
	Resolve   func(ctx context.Context, host string) ([]netip.Addr, error)
	SRV       func(ctx context.Context, service, domain string) ([]*net.SRV, error)
	Fetch     func(ctx context.Context, url string) ([]byte, error)
	Show      func(ctx context.Context, l config.Listener, domain string) ([]*x509.Certificate, error) // what a listener shows
	Roots     *x509.CertPool                                                                           // authorities that are trusted; nil: the system's
}

// Here returns a patient that is on this machine; the caller fills in the server.
func Here() Patient {
	p := Patient{
		Now:    time.Now(),
		Synced: true,
		Free: func(path string) (uint64, uint64, error) {
			var s syscall.Statfs_t
			err := syscall.Statfs(path, &s)
			if s.Files == 0 { // the file system does not count them
				s.Ffree = math.MaxUint64
			}
			return s.Bavail * uint64(s.Bsize), s.Ffree, err
		},
		Show: Show,
	}
	p.Ask(net.DefaultResolver)
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			p.Addresses = append(p.Addresses, prefix.Addr().Unmap())
		}
	}
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		p.Files = files.Cur
	}
	p.Buffers = min(systemNumber("/proc/sys/net/core/rmem_max"), systemNumber("/proc/sys/net/core/wmem_max"))
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil {
		p.Synced = state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	}
	return p
}

// lookupTime is how long the DNS may take, and a web server that it leads to.
const lookupTime = 5 * time.Second

// Ask has names looked up by a resolver.
func (p *Patient) Ask(r *net.Resolver) {
	p.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupTime)
		defer cancel()
		return r.LookupNetIP(ctx, "ip", host)
	}
	p.SRV = func(ctx context.Context, service, domain string) ([]*net.SRV, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupTime)
		defer cancel()
		_, list, err := r.LookupSRV(ctx, service, "tcp", domain)
		return list, err
	}
	dialer := net.Dialer{Resolver: r}
	client := &http.Client{Timeout: lookupTime, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	p.Fetch = func(ctx context.Context, url string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		res, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s answers %s", url, res.Status)
		}
		return io.ReadAll(io.LimitReader(res.Body, 64<<10))
	}
}

// systemNumber reads a setting of the system; 0 if it is not there.
func systemNumber(name string) (n uint64) {
	text, _ := os.ReadFile(name)
	fmt.Sscan(string(text), &n)
	return n
}

// examination collects findings.
type examination struct {
	Patient
	found []Finding
}

func (e *examination) add(level, check, text string) {
	e.found = append(e.found, Finding{level, check, text})
}

// Examine looks at everything. With a configuration that is bad, at nothing else.
func Examine(ctx context.Context, p Patient) []Finding {
	e := &examination{Patient: p}
	if e.config() {
		e.data()
		e.disk()
		e.clock()
		e.files()
		e.certificate()
		e.ports()
		e.buffers()
		e.addresses()
		e.domain(ctx)
		e.records(ctx)
		e.store(ctx)
		e.health(ctx)
		e.shown(ctx)
		e.web(ctx)
		e.mail(ctx)
	}
	return e.found
}

// Package iceagent runs beside a STUN and TURN server that is not ours, such as coturn, and tells Parley of it: it registers the server,
// reports at an interval what its network interface carries, and takes it back while it does not answer (roomserver protocol, R15).
//
// It asks the server as any client would, by a STUN Binding request, so that one that hangs counts as gone as one that has ended does.
// An agent that is gone itself reports nothing more, by which Parley knows.
package iceagent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Config is what an agent needs to know.
type Config struct {
	Server   string        // address of Parley, such as https://meet.example.org
	Key      string        // the secret (roomserver.ice_secret)
	Insecure bool          // the key may go over plain HTTP to another machine
	Interval time.Duration // of reports
	Iface    string        // name of the interface whose rates are reported; empty: the one that has the IP
	Probe    string        // host and port that is asked by STUN; empty: IP and StunPort, or TurnPort; "off": it is not asked

	IP                 netip.Addr // of the STUN and TURN server, as clients reach it
	TurnPort, StunPort int        // 0: none
	MaxBandwidth       int        // kbit/s
	Username           string
	Credential         string
	Bundle, Policy     string // empty: Parley's defaults
}

// Check reports what cannot be.
func (c *Config) Check() error {
	u, err := url.Parse(c.Server)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "":
		return errors.New("the server is not like https://meet.example.org")
	case u.Scheme == "http" && !c.Insecure && !local(u.Hostname()):
		return errors.New("the key would go over plain HTTP to another machine: use https://, or say that it may")
	case c.Key == "":
		return errors.New("there is no key")
	case c.Interval < 100*time.Millisecond || c.Interval > time.Hour:
		return errors.New("the interval is not between 100ms and 1h")
	case !c.IP.IsValid() || c.IP.IsUnspecified() || c.IP.IsMulticast() || c.IP.Zone() != "":
		return errors.New("the ip is no address at which clients reach a server")
	case c.TurnPort < 0 || c.TurnPort > 65535 || c.StunPort < 0 || c.StunPort > 65535 || c.TurnPort == 0 && c.StunPort == 0:
		return errors.New("a port of TURN or STUN is needed, between 1 and 65535")
	case c.MaxBandwidth < 1 || c.MaxBandwidth > 1<<31-1:
		return errors.New("the bandwidth that the server carries is needed, in kbit/s")
	}
	return nil
}

func local(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// probeTime is how long an answer may take.
const probeTime = 2 * time.Second

// patience is how many times in a row the server may leave the agent without an answer before it counts as gone.
const patience = 3

// Agent is one agent. Run is called once.
type Agent struct {
	cfg    Config
	log    *slog.Logger
	fate   func(up bool, detail string) // told when the server is gone, and when it is back
	client *http.Client
	probe  string
	meter  meter

	registered bool
	misses     int  // answers of the server that did not come, in a row
	gone       bool // the server is
	trouble    string
}

// New returns an agent. Fate is told when the STUN and TURN server is gone and when it is back, from Run's goroutine; it may be nil.
func New(cfg Config, log *slog.Logger, fate func(up bool, detail string)) (*Agent, error) {
	cfg.IP = cfg.IP.Unmap()
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Iface == "" {
		name, err := ifaceOf(cfg.IP)
		if err != nil {
			return nil, err
		}
		cfg.Iface = name
	}
	a := &Agent{cfg: cfg, log: log, fate: fate, meter: meter{read: func() (counters, error) { return readCounters(sysNet, cfg.Iface) }}}
	if _, err := a.meter.read(); err != nil {
		return nil, err
	}
	switch {
	case cfg.Probe == "off":
	case cfg.Probe != "":
		a.probe = cfg.Probe
	case cfg.StunPort != 0:
		a.probe = netip.AddrPortFrom(cfg.IP, uint16(cfg.StunPort)).String()
	default:
		a.probe = netip.AddrPortFrom(cfg.IP, uint16(cfg.TurnPort)).String()
	}
	a.client = &http.Client{
		Timeout:       max(cfg.Interval, 5*time.Second),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key goes nowhere else
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext},
	}
	return a, nil
}

// Run registers and reports until ctx ends; then it deregisters. What goes wrong is logged once, and tried again.
func (a *Agent) Run(ctx context.Context) {
	defer a.client.CloseIdleConnections()
	ticks := time.NewTicker(a.cfg.Interval)
	defer ticks.Stop()
	for {
		a.once(ctx)
		select {
		case <-ctx.Done():
			a.takeBack("the agent ends")
			return
		case <-ticks.C:
		}
	}
}

// once is what is done at each interval.
func (a *Agent) once(ctx context.Context) {
	if !a.answers(ctx) || ctx.Err() != nil {
		return
	}
	rx, tx, err := a.meter.rates(time.Now())
	if err == nil && a.registered {
		a.registered, err = a.report(ctx, rx, tx)
	}
	if err == nil && !a.registered {
		if err = a.register(ctx); err == nil {
			a.registered = true
			a.log.Info("registered", "ip", a.cfg.IP.String(), "server", a.cfg.Server)
			_, err = a.report(ctx, rx, tx)
		}
	}
	text := ""
	if err != nil && ctx.Err() == nil {
		text = err.Error()
	}
	if text != a.trouble && text != "" {
		a.log.Warn("the server is not told", "err", text)
	}
	a.trouble = text
}

// answers reports that the STUN and TURN server is there, and takes it back when it is not any more.
func (a *Agent) answers(ctx context.Context) bool {
	if a.probe == "" {
		return true
	}
	err := ask(ctx, a.probe, probeTime)
	switch {
	case ctx.Err() != nil:
		return false
	case err == nil:
		if a.gone {
			a.log.Info("the STUN server answers again", "addr", a.probe)
			a.tell(true, "it answers again")
		}
		a.misses, a.gone = 0, false
		return true
	}
	if a.misses++; a.misses < patience {
		return a.registered // it may be one packet that was lost
	}
	if !a.gone {
		a.gone = true
		a.log.Error("the STUN server does not answer", "addr", a.probe, "err", err)
		a.takeBack("it does not answer")
		a.tell(false, err.Error())
	}
	return false
}

func (a *Agent) tell(up bool, detail string) {
	if a.fate != nil {
		a.fate(up, detail)
	}
}

// takeBack deregisters, as far as that is possible.
func (a *Agent) takeBack(why string) {
	if !a.registered {
		return
	}
	a.registered = false
	ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	if err := a.deregister(ctx); err != nil {
		a.log.Warn("the server is not told", "err", err.Error())
		return
	}
	a.log.Info("deregistered", "ip", a.cfg.IP.String(), "text", why)
}

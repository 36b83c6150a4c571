package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"parley/bridge/api"
	"parley/bridge/link"
	"parley/internal/acme"
	"parley/internal/config"
	"parley/internal/event"
	"parley/internal/journal"
	"parley/internal/proxied"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/internal/token"
	"parley/jingle/focus"
	"parley/jingle/gateway/apprtc"
	"parley/jingle/gateway/roomserver"
	"parley/muc"
	"parley/portal"
	"parley/portal/alert"
	"parley/portal/hook"
	"parley/portal/page"
	"parley/portal/report"
	"parley/turn"
	"parley/xmpp/archive"
	"parley/xmpp/auth"
	"parley/xmpp/c2s"
	"parley/xmpp/component"
	"parley/xmpp/im"
	"parley/xmpp/invite"
	"parley/xmpp/push"
	"parley/xmpp/register"
	"parley/xmpp/route"
	"parley/xmpp/s2s"
	"parley/xmpp/upload"
	"parley/xmpp/wire"
)

type serveCmd struct {
	common
	Listen   []string `help:"Listen here instead of where the configuration says, such as xmpp://127.0.0.1:5222; can be repeated." placeholder:"URI" sep:"none"`
	Domain   string   `help:"Instead of the configuration's domain."`
	Store    string   `help:"Instead of the configuration's store." placeholder:"URL"`
	Limits   string   `help:"off lifts rates and counts per source and user, for load tests; on loopback only." enum:"on,off" default:"on"`
	LogLevel string   `help:"Instead of the configuration's level." enum:",debug,info,warn,error,critical" default:""`

	Admin []string `help:"Instead of the configuration's admins: the name or address of an account that may administer the server from a client; can be repeated." placeholder:"NAME" sep:"none"`

	DevRegistration bool `help:"Let anyone make an account, and change and remove it, from a client, for tests of other projects; on loopback only."`

	SingleProcess bool `help:"Carry media and relay in this process instead of one of its own, which the death of this one does not touch: for small machines and for debugging."`
}

// load reads the configuration and lays the flags over it.
func (c *serveCmd) load() (config.Config, error) {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return cfg, err
	}
	if len(c.Listen) > 0 {
		cfg.Listen = nil
		for _, uri := range c.Listen {
			l, err := config.ParseListener(uri)
			if err != nil {
				return cfg, err
			}
			cfg.Listen = append(cfg.Listen, l)
		}
	}
	if c.Domain != "" {
		cfg.Domain = c.Domain
	}
	if len(c.Admin) > 0 {
		cfg.Admins = nil
		for _, name := range c.Admin {
			addr, err := accountAddr(name, cfg.Domain)
			if err != nil {
				return cfg, err
			}
			cfg.Admins = append(cfg.Admins, addr)
		}
	}
	if c.Store != "" {
		cfg.Store = c.Store
	}
	if c.LogLevel != "" {
		cfg.Log.Level.UnmarshalText([]byte(c.LogLevel))
	}
	if c.Limits == "off" {
		if !cfg.Development() {
			return cfg, errors.New("--limits off is for load tests: it needs every listener on a loopback address")
		}
		cfg.Unlimited()
	}
	if c.DevRegistration {
		if !cfg.Development() {
			return cfg, errors.New("--dev-registration is for tests: it needs every listener on a loopback address")
		}
		cfg.Register = register.Config{Open: true, Change: true}
	}
	return cfg, cfg.Check()
}

// Run serves until a signal ends it.
func (c *serveCmd) Run() error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	data, err := openData(c.Data)
	for until := time.Now().Add(2 * time.Second); errors.Is(err, errBusy) && !serves(c.Data) && time.Now().Before(until); {
		time.Sleep(20 * time.Millisecond) // a command has it for a moment
		data, err = openData(c.Data)
	}
	if err != nil {
		return err
	}
	defer data.Close()
	manager := newManager()
	log, level := newLogger(os.Stderr, cfg.Log)
	slog.SetDefault(log)

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	s, err := start(cfg, data, log, c.SingleProcess)
	if err != nil {
		return err
	}
	s.greet(os.Stdout, c.common)
	if err := data.announce(s.run); err != nil { // who waits for that file finds the greeting said
		return errors.Join(err, s.stop())
	}
	manager.say("READY=1")
	s.group.Go(func() { manager.watch(s.stopping, s.turns) })
	for {
		select {
		case err = <-s.failed:
			s.fault(err)
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				s.reload(c, level)
				continue
			}
			if sig == syscall.SIGTERM {
				if err = s.empty(manager, signals, func() { s.reload(c, level) }); err != nil {
					s.fault(err)
				}
			}
			log.Info("stopping; a second signal ends at once", "signal", sig.String())
		}
		break
	}
	manager.say("STOPPING=1")
	go func() {
		for sig := range signals {
			if sig != syscall.SIGHUP {
				if bridge := link.Running(c.Data); bridge != 0 {
					syscall.Kill(bridge, syscall.SIGTERM) // it would wait for another server
				}
				s.past.end()
				os.Exit(1)
			}
		}
	}()
	return errors.Join(err, s.stop())
}

// server is everything that runs, in the order of its making.
type server struct {
	cfg  config.Config
	data *dataDir
	log  *slog.Logger
	run  running

	listeners  []*bound
	cert       *certificate
	health     health
	drain      drain
	pulse      pulse
	process    *process
	metrics    *prometheus.Registry
	recorder   *event.Recorder
	past       *past          // how the last process has ended, and this one does
	alerts     *alert.Service // nil: nobody is told
	store      store.Store
	tokens     *token.Checker
	router     *route.Router
	host       *im.Host
	archives   *archive.Service // nil: nothing is archived
	uploads    *upload.Service  // nil: there are none
	pushes     *push.Service    // nil: no app server is told of anything
	invites    *invite.Service
	ice        *ice
	rooms      *muc.Service
	hooks      *hook.Service
	countries  *countries
	roomServer *roomserver.Service // nil: the door for clients of the RoomServer protocol is closed
	records    *attendance         // nil: none are kept
	reporter   *report.Reporter    // nil with them
	appRTC     *apprtc.Service     // nil: the door for AppRTC clients is closed
	media      *media              // nil: there is neither a bridge nor a relay
	clients    *c2s.Server
	components *component.Server // nil: there are none
	federation *s2s.Server       // nil: there are no other servers
	journal    *journal.Journal  // nil: nothing outlives the process
	web        *http.Server
	adminWeb   *http.Server
	control    *http.Server // behind the admin socket

	stopping context.Context
	cancel   context.CancelFunc
	group    sync.WaitGroup
	failed   chan error
}

// faults adds what only a binary for tests has, see fault.go.
var faults = func(*server) {}

// start wires the server and starts it. When it returns an error nothing runs.
func start(cfg config.Config, data *dataDir, log *slog.Logger, single bool) (_ *server, err error) {
	s := &server{cfg: cfg, data: data, log: log, failed: make(chan error, 1)}
	s.stopping, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.listeners, err = listen(ofServer(cfg.Listen)); err != nil {
		return nil, err
	}
	secrets, err := data.secrets()
	if err != nil {
		return nil, err
	}
	if s.cert, err = newCertificate(cfg, data, s.listeners, log); err != nil {
		return nil, err
	}
	s.process = newProcess(cfg.Limits)
	s.metrics = prometheus.NewRegistry()
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.recorder = event.New(log, s.metrics, cfg.Log.Redact)
	s.alerts = alert.New(cfg.Alerts, alert.Options{Domain: cfg.Domain, Mail: cfg.Records.Report, Recorder: s.recorder, Log: log})
	if s.past, err = data.past(s.alerts != nil); err != nil {
		log.Warn("it will not be known whether this process was killed", "err", err)
	}

	for _, l := range s.listeners {
		l.stream = &patient{l.stream, func() { s.recorder.Hurt("limit.process", l.String(), "text", "a connection could not be accepted") }}
		if l.Proxy {
			l.stream = proxied.Listen(l.stream, cfg.Balancers, s.recorder)
		}
	}

	opening, done := context.WithTimeout(context.Background(), 30*time.Second)
	defer done()
	if s.store, err = sqlstore.Open(opening, storeURL(cfg, data), sqlstore.Options{Events: s.recorder}); err != nil {
		return nil, err
	}
	if s.tokens, err = newTokens(cfg, secrets, s.recorder); err != nil {
		return nil, err
	}
	s.tokens.Remember(s.store)
	logins, err := auth.New(cfg.Auth, wire.Addr(cfg.Domain), secrets.Server, s.store, s.tokens, s.recorder)
	if err != nil {
		return nil, err
	}

	logins.Fast(s.store)
	if err := s.offerHashes(opening, logins); err != nil {
		return nil, err
	}

	s.router = route.New(s.recorder)
	s.host = im.New(cfg.Domain, s.router)
	s.host.Keep(s.store, cfg.Accounts, s.recorder)
	s.host.Version(version())
	s.host.Contacts(cfg.Contact)
	addresses := advertised(cfg)
	secret := cfg.TURN.Secret
	if secret == "" {
		secret = secrets.turn()
	}
	wished, err := newSetup(cfg, s.cert, secret)
	if err != nil {
		return nil, err
	}
	if len(wished.listeners()) > 0 {
		if s.media, err = openMedia(wished, data, log, s.recorder, s.bridgeFate, single); err != nil {
			return nil, err
		}
		s.listeners = append(s.listeners, s.media.listeners()...)
		s.metrics.MustRegister(s.media.metrics, s.media.suffer.counts)
	} else if err = endBridge(data, log); err != nil {
		return nil, err
	}
	registry, err := turn.NewRegistry(offers(cfg, s.listeners, secret)...)
	if err != nil {
		return nil, err
	}
	s.ice = newICE(s.host, registry, s.media.relay(), cfg.ICE.TTL)
	if cfg.ICE.Remote {
		s.ice.visitors = newVisitors(cfg.ICE.TTL)
	}
	s.router.SetAccounts(s.ice)

	roomsAt, focusAt := cfg.RoomsDomain(), "focus."+cfg.Domain
	focusAddr := "focus@auth." + cfg.Domain + "/focus"
	limits := cfg.Rooms
	limits.Create = cfg.Creators()
	limits.Revoked = s.tokens.Revoked
	s.rooms, err = muc.New(muc.Config{Domain: roomsAt, Focus: focusAddr, Node: secrets.Node, Limits: limits}, s.router, s.store, s.recorder)
	if err != nil {
		return nil, err
	}
	s.rooms.Observe(s.ice.endRelays)
	s.rooms.Observe(s.endTokens)
	s.countries = openCountries(cfg.Roomserver.GeoIP, log)
	if err = s.keepRecords(secrets.Node); err != nil {
		return nil, err
	}
	s.router.Serve(roomsAt, rooms{s.rooms})
	s.host.AnnounceItem(wire.Addr(roomsAt))
	if err = s.serveArchives(opening); err != nil {
		return nil, err
	}
	s.serveNodes()
	if err = s.serveUploads(secrets.Server); err != nil {
		return nil, err
	}
	if err = s.servePushes(opening); err != nil {
		return nil, err
	}
	calls, err := focus.New(focus.Config{Domain: focusAt, Address: focusAddr, Rooms: roomsAt, Owners: cfg.Focus.Owners, Origins: cfg.HTTP.Origins}, s.rooms, s.media.bridge(), s.tokens, s.recorder)
	if err != nil {
		return nil, err
	}
	if s.records != nil {
		calls.Attend(s.records.attend, s.records.denied)
	}
	s.router.Serve(focusAt, calls)
	s.takeCalls(calls, roomsAt)
	if err := s.serveHooks(opening, calls, secrets.Node); err != nil {
		return nil, err
	}
	faults(s)
	calls.OfferChannels(channelBase(cfg, s.listeners), true)

	s.joinComponents()
	registrar := s.enroll()
	if err := s.serveCommands(opening, registrar); err != nil {
		return nil, err
	}
	clients := cfg.C2S
	clients.Domain, clients.TLS, clients.Insecure = cfg.Domain, s.cert.config(), cfg.PlainClients()
	clients.Origins, clients.Caps = cfg.HTTP.Origins, s.host.Features()
	s.clients = c2s.New(clients, s.router, logins, s.recorder, log, s.process.full.Load)
	s.welcome(registrar)
	s.watchAbsence()
	s.metrics.MustRegister(s.gauges()...)
	if err := s.federate(secrets.Server); err != nil {
		return nil, err
	}
	if err := s.remember(calls); err != nil {
		return nil, err
	}

	parts := portal.Parts{
		Domain: cfg.Domain, Rooms: roomsAt, Focus: focusAt, Addresses: addresses,
		Trusted: cfg.TLS.Certificate != "" || cfg.TLS.ACME, Page: page.Files(), XMPP: s.clients, BOSH: http.HandlerFunc(s.clients.ServeBOSH), BOSHBytes: s.clients.BodyBytes(), Conference: calls, Channel: s.media.channel(), Invitation: s.invites.Page, Ready: s.ready, Opens: s.opens, Recorder: s.recorder,
	}
	s.offerUploads(&parts)
	if err := s.offerAPI(&parts, calls, logins, registry, secrets); err != nil {
		return nil, err
	}
	if err := s.openRoomServer(calls, roomsAt, &parts); err != nil {
		return nil, err
	}
	if err := s.openAppRTC(roomsAt, calls, &parts); err != nil {
		return nil, err
	}
	public, err := portal.New(cfg.HTTP, parts)
	if err != nil {
		return nil, err
	}
	if err := s.serveHTTP(public); err != nil {
		return nil, err
	}
	if err := s.serveControl(); err != nil {
		return nil, err
	}
	for _, l := range s.listeners {
		switch l.Scheme {
		case "xmpp", "xmpps":
			s.serve(l.String(), func() error { return s.clients.Serve(l.stream, l.TLS()) })
		case "agent":
			s.serve(l.String(), func() error { return s.serveAgent(l.stream) })
		}
	}
	s.serveFederation()
	s.runPushes()
	s.group.Go(func() { s.hooks.Run(s.stopping) })
	s.serveComponents()
	s.group.Go(func() { s.clients.Run(s.stopping) })
	s.media.run(func(e api.Event) {
		calls.BridgeEvent(e)
		if s.records != nil {
			s.records.bridge(e)
		}
	}, s.fail)
	s.group.Go(func() { s.process.run(s.stopping) })
	s.group.Go(func() { s.pulse.run(s.stopping, s.turns) })
	s.group.Go(func() { s.ice.run(s.stopping) })
	s.group.Go(func() { s.cert.watch(s.stopping) })
	s.group.Go(func() { watchClock(s.stopping, s.recorder, log) })
	if s.cert.authority != nil {
		if err := s.cert.authority.Manage(s.stopping); err != nil {
			return nil, err
		}
	}
	s.runAlerts()
	s.run = s.describe()
	s.past.started()
	return s, nil
}

// remember takes up what the last process left, should it have been killed, and has everything kept that the next one is to
// find. It comes before the first client.
func (s *server) remember(calls *focus.Focus) (err error) {
	if s.journal, err = journal.Open(s.data.file("journal"), journal.Options{Events: s.recorder, Log: s.log}); err != nil {
		s.log.Warn("sessions and rooms end with this process", "err", err)
	}
	s.clients.Journal(s.journal)
	if s.federation != nil {
		s.federation.Journal(s.journal.Flush)
	}
	s.host.Journal(s.journal)
	lives := func(a wire.Addr) bool { return s.router.Find(a) != nil }
	s.ice.keep(s.journal, lives)
	if s.journal != nil {
		calls.Journal(s.journal.Part("focus/1", calls))
		s.rooms.Journal(share{s.journal.Part("rooms/1", s.rooms), s.journal}, s.occupant)
	}
	return s.journal.Start()
}

// serve runs an accept loop until the server stops; should it end before, the server does.
func (s *server) serve(what string, accept func() error) {
	s.group.Go(func() {
		if err := accept(); s.stopping.Err() == nil {
			s.fail(fmt.Errorf("%s: %w", what, err))
		}
	})
}

// fail ends the server, for the first reason that is given.
func (s *server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// fault notes why the server ends by itself.
func (s *server) fault(err error) {
	s.past.fault = err
	s.log.Log(context.Background(), event.LevelCritical, "the server cannot go on", "err", err)
}

// serveHTTP starts the public and the administrator's HTTP servers.
func (s *server) serveHTTP(public *portal.Portal) error {
	web, limited := public.Server(s.log)
	s.web = web
	if s.cert.authority != nil {
		web.Handler = s.cert.authority.Handler(web.Handler)
	}
	gather := s.metrics.Gather
	if s.media != nil {
		gather = after(s.media.metrics.pull, gather)
	}
	s.adminWeb = portal.AdminServer(portal.Admin(prometheus.GathererFunc(gather), s.details), s.log)
	for _, l := range s.listeners {
		switch {
		case l.Admin:
			s.serve(l.String(), func() error { return s.adminWeb.Serve(l.stream) })
		case l.Scheme == "http":
			s.serve(l.String(), func() error { return s.web.Serve(limited(c2s.Listen(l.stream, nil), true)) })
		case l.Scheme == "https":
			secure := s.cert.config()
			if secure.NextProtos = []string{"http/1.1"}; s.cert.authority != nil {
				secure.NextProtos = append(secure.NextProtos, acme.Protocol)
			}
			s.serve(l.String(), func() error { return s.web.Serve(limited(c2s.Listen(l.stream, secure), false)) })
		}
	}
	return nil
}

// reload reads again what can be changed while the server runs: the certificate and the level of the log. A bad
// configuration changes nothing (hardening HF14).
func (s *server) reload(c *serveCmd, level *slog.LevelVar) {
	cfg, err := c.load()
	if err != nil {
		s.recorder.Reject("config.reject", "", "err", err.Error())
		return
	}
	level.Set(slog.Level(cfg.Log.Level))
	s.cert.lookNow()
	s.reloadFederation(cfg)
	s.countries.reload()
	if err := s.media.reload(cfg.Log); err != nil {
		s.recorder.Hurt("config.reload", "", "err", err.Error())
	}
	s.log.Info("configuration read again: level of the log, certificate, whom we federate with, countries; everything else needs a restart")
}

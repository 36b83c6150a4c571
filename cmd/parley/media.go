package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"parley/bridge/api"
	"parley/bridge/link"
	"parley/internal/config"
	"parley/internal/event"
	"parley/jingle/focus"
	"parley/turn"
)

// media is the bridge as the server sees it: a child process that has the media port and the relay, and the connection to
// it. Its methods but openMedia's do nothing on a nil one, which says that there is neither.
type media struct {
	data    *dataDir
	log     *slog.Logger
	client  *link.Client
	child   *link.Child
	own     *carrier // with --single-process
	metrics *bridgeMetrics
	suffer  *troubles

	bridges func(up bool, detail string) // told of bridges that die and are started again

	setup  setup // with the ports that were bound, once the bridge is up
	first  chan error
	stress atomic.Pointer[api.Stress] // nil: not told yet

	running context.Context
	cancel  context.CancelFunc
	group   sync.WaitGroup
}

// remember is how long a credential of the relay can be good, and a bridge has to be told that its user has ended.
const remember = turn.MaxTTL + 2*time.Minute

// openMedia starts the bridge, or takes over the one that a former server has left, and returns when its listeners are
// bound. If one cannot be, the error says why.
func openMedia(s setup, data *dataDir, log *slog.Logger, events *event.Recorder, bridges func(up bool, detail string), single bool) (*media, error) {
	m := &media{
		bridges: bridges, data: data, log: log, setup: s, first: make(chan error, 1), metrics: newBridgeMetrics(data.path, events), suffer: newTroubles(log),
		client: link.NewClient(link.ClientConfig{Dial: link.Dial(data.path), Log: log, Events: events, Remember: remember}),
	}
	m.running, m.cancel = context.WithCancel(context.Background())
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	m.child = &link.Child{
		Data: data.path, Path: path, Args: []string{"bridge", "--data", data.path, "--setup", data.file(setupFile)}, Log: log,
		Fits: s.fits, News: m.news(), Heard: m.client.Heard, Died: func(status string) { m.bridges(false, status) },
	}
	if single {
		return m, m.openOwn()
	}
	if err := s.write(data.file(setupFile)); err != nil {
		return m, err
	}
	m.group.Go(func() {
		if err := m.child.Run(m.running); err != nil {
			log.Error("the bridge is left", "err", err)
		}
	})
	return m, <-m.first
}

// endBridge ends the bridge that a former server has left, where none is wished any more.
func endBridge(data *dataDir, log *slog.Logger) error {
	return (&link.Child{Data: data.path, Log: log}).End()
}

// news takes the fate of bridges: the first one decides whether the server starts. Later ones bind what the first one did.
func (m *media) news() func(json.RawMessage, error) {
	started := false
	return func(announced json.RawMessage, err error) {
		if err != nil && started {
			m.log.Error("the bridge could not be started", "err", err)
		}
		if started {
			if err == nil {
				m.bridges(true, "")
			}
			return
		}
		started = true
		if err == nil {
			var s setup
			if err = json.Unmarshal(announced, &s); err == nil {
				m.setup = m.setup.at(s)
				err = m.setup.write(m.data.file(setupFile))
			}
		}
		m.first <- err
	}
}

// openOwn opens the bridge in this process.
func (m *media) openOwn() (err error) {
	if err = m.child.End(); err != nil {
		return err
	}
	if m.own, err = openCarrier(m.data.path, m.setup, m.log.With("part", "bridge"), nil); err != nil {
		return err
	}
	m.setup = m.own.setup
	return nil
}

// listeners are those that the bridge has bound.
func (m *media) listeners() (list []*bound) {
	if m == nil {
		return nil
	}
	for _, l := range m.setup.listeners() {
		list = append(list, &bound{Listener: *l, at: address(*l)})
	}
	return list
}

// bridge is what the focus asks for media.
func (m *media) bridge() focus.Bridge {
	if m == nil || len(m.setup.Media) == 0 {
		return focus.NoBridge{}
	}
	return m.client
}

// channel answers for bridge channels; nil if there is no bridge.
func (m *media) channel() http.Handler {
	if m == nil || len(m.setup.Media) == 0 {
		return nil
	}
	return link.Channels(m.data.path, m.log)
}

// relay ends what the relay has of users; nil if there is none.
func (m *media) relay() relay {
	if m == nil || len(m.setup.Relay) == 0 {
		return nil
	}
	return m.client
}

// run keeps the connection to the bridge, and tells what that says, until close. If it fails the server cannot go on.
func (m *media) run(events func(api.Event), fail func(error)) {
	if m == nil {
		return
	}
	m.group.Go(func() {
		m.client.Run(m.running, func(e api.Event) {
			if e.Hello != nil {
				m.client.Reload() // it may have been set up by a former server, with another level of the log
			}
			if e.Stress != nil {
				m.stress.Store(e.Stress)
			}
			m.suffer.take(e)
			events(e)
		})
	})
	if m.own != nil {
		m.group.Go(func() {
			if err := m.own.Run(m.running); m.running.Err() == nil {
				fail(errors.Join(errors.New("the bridge has ended"), err))
			}
		})
	}
}

// reload lets the bridge read again what may change while it runs.
func (m *media) reload(logs config.Log) error {
	if m == nil {
		return nil
	}
	m.setup.Log.Level = logs.Level
	if m.own == nil {
		if err := m.setup.write(m.data.file(setupFile)); err != nil {
			return err
		}
	}
	m.client.Reload()
	return nil
}

// close ends the bridge and returns when it is gone.
func (m *media) close() error {
	if m == nil {
		return nil
	}
	m.cancel()
	m.group.Wait()
	m.metrics.client.CloseIdleConnections()
	if m.own != nil {
		return m.own.Close()
	}
	return nil
}

// patience is how long a bridge may be away before no new client should be sent here. One that was killed is back sooner.
const patience = 30 * time.Second

// ready says why media cannot be had.
func (m *media) ready() error {
	if m == nil {
		return nil
	}
	if away := m.client.Away(); away > patience {
		return fmt.Errorf("no bridge and no relay for %v", away.Round(time.Second))
	}
	return nil
}

// details is what the administrator sees of it.
func (m *media) details() map[string]any {
	hello, there := m.client.Info()
	d := map[string]any{"connected": there, "id": hello.Bridge, "version": hello.Version}
	if s := m.stress.Load(); s != nil {
		d["stress"] = s
	}
	d["troubles"] = m.suffer.list()
	return d
}

// channelBase is where clients find bridge channels: at the first public HTTP listener. Without one they get data channels.
func channelBase(cfg config.Config, listeners []*bound) string {
	for _, l := range listeners {
		if l.Admin || l.Scheme != "http" && l.Scheme != "https" {
			continue
		}
		if l.Insecure || l.Scheme == "http" && len(cfg.HTTP.Proxies) > 0 {
			return "wss://" + cfg.Domain // that of the proxy in front, which does TLS
		}
		scheme, standard := "ws", uint16(80)
		if l.Scheme == "https" {
			scheme, standard = "wss", 443
		}
		if port := l.at.Port(); port != standard {
			return scheme + "://" + net.JoinHostPort(cfg.Domain, strconv.Itoa(int(port)))
		}
		return scheme + "://" + cfg.Domain
	}
	return ""
}

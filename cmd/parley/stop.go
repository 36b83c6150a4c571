package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// stop ends everything in order: nothing new comes in, rooms and streams are told, the bridge and its relay end, and what is
// to be kept is committed.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	s.cancel()
	var errs []error
	for _, l := range s.listeners {
		if l.Scheme != "agent" {
			l.close()
		}
	}
	if s.roomServer != nil {
		s.roomServer.Close()
	}
	if s.appRTC != nil {
		s.appRTC.Close()
	}
	if s.rooms != nil {
		errs = append(errs, s.rooms.Close(ctx))
	}
	if s.clients != nil {
		errs = append(errs, s.clients.Close(ctx))
	}
	if s.components != nil {
		s.components.Close()
	}
	if s.host != nil {
		errs = append(errs, s.host.Close(ctx)) // what the end of the sessions left to be done
	}
	if s.federation != nil {
		errs = append(errs, s.federation.Close(ctx))
	}
	errs = append(errs, s.journal.Close())
	s.closeWeb(ctx)
	errs = append(errs, s.media.close())
	if s.cert != nil && s.cert.authority != nil {
		s.cert.authority.Close()
	}
	s.closeAgents()
	s.group.Wait()
	if s.hooks != nil {
		errs = append(errs, s.hooks.Close(ctx)) // of how the rooms ended
	}
	if s.records != nil {
		errs = append(errs, s.records.Close(ctx))
	}
	if s.tokens != nil {
		errs = append(errs, s.tokens.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	s.past.end()
	os.Remove(s.data.file(runFile))
	var real []error
	for _, err := range errs {
		if !errors.Is(err, net.ErrClosed) {
			real = append(real, err)
		}
	}
	return errors.Join(real...)
}

// closeWeb lets requests that are being answered end, for a while.
func (s *server) closeWeb(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var closing sync.WaitGroup
	for _, web := range []*http.Server{s.web, s.adminWeb, s.control} {
		if web != nil {
			closing.Go(func() {
				if web.Shutdown(ctx) != nil {
					web.Close()
				}
			})
		}
	}
	closing.Wait()
}

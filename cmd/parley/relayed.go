package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"parley/bridge/link"
	"parley/turn"
	"parley/xmpp/wire"
)

// Whose media the relay carries is asked of the bridge process, which has the relay, while members talk without the bridge: for records.

const (
	relayedPath  = "/relayed"
	relayedEvery = 5 * time.Second

	// relayedBytes is more than the checks of ICE make, and what a voice makes in some seconds.
	relayedBytes = 64 << 10
)

// writeRelayed answers with the users of the relay whose media it carries.
func writeRelayed(w http.ResponseWriter, relay *turn.Server) {
	users := []string{}
	if relay != nil {
		users = append(users, relay.Carrying(relayedBytes)...)
	}
	json.NewEncoder(w).Encode(users)
}

// relayed asks for them.
func (b *bridgeMetrics) relayed(ctx context.Context) (users []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, samplesTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, link.URL+relayedPath, nil)
	if err != nil {
		return nil, err
	}
	res, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("whom the relay carries: %s", res.Status)
	}
	return users, json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&users)
}

// whose are the sessions and occupants that some users of the relay are.
func (i *ice) whose(users []string) (list []wire.Addr) {
	carried := make(map[string]bool, len(users))
	for _, u := range users {
		carried[u] = true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for addr, user := range i.users {
		if carried[user] {
			list = append(list, addr)
		}
	}
	return list
}

// watchRelay tells the records whose media our relay carries, until ctx ends.
func (s *server) watchRelay(ctx context.Context) {
	ticks := time.NewTicker(relayedEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if !s.records.Direct() {
			continue
		}
		users, err := s.media.metrics.relayed(ctx)
		if err != nil || len(users) == 0 {
			continue // a bridge that is away is told of elsewhere
		}
		for _, addr := range s.ice.whose(users) {
			s.records.RelayUsed(string(addr))
		}
	}
}

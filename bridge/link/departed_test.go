package link

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/bridge/api"
)

// relaying is a core that relays and reloads.
type relaying struct {
	*toy
	mu      sync.Mutex
	ended   []string
	reloads int
}

func (r *relaying) End(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, user)
}

func (r *relaying) Reload() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reloads++
}

func TestEndedUsersAndReloadsReachTheCore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, net, got := &relaying{toy: newToy()}, newPipes(), new(told)
		served(t, core, ServerConfig{}, net)
		client := NewClient(ClientConfig{Dial: net.dial})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client.Reload() // nobody is there: who comes has read everything
		go client.Run(ctx, got.event)
		synctest.Wait()
		client.End("ann")
		client.Reload()
		client.Reload()
		client.End("")
		synctest.Wait()
		client.End("bob")
		synctest.Wait()
		core.mu.Lock()
		defer core.mu.Unlock()
		if !slices.Equal(core.ended, []string{"ann", "bob"}) || core.reloads == 0 || core.reloads > 2 {
			t.Errorf("ended %v, %d reloads", core.ended, core.reloads)
		}
	})
}

func TestEndedUsersAreToldToEachBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got told
		client, net := running(t, ClientConfig{Remember: time.Hour}, got.event)
		said := func(b *conn, n int) (users []string) {
			for len(users) < n {
				m := b.mustRead(t)
				if len(m.Ended) > mostEnded {
					t.Fatalf("%d users in one message", len(m.Ended))
				}
				users = append(users, m.Ended...)
			}
			slices.Sort(users)
			return users
		}
		client.End("early") // before any bridge was there
		b, _ := bridgeEnd(t, net, api.Hello{Bridge: "b1"})
		if users := said(b, 1); !slices.Equal(users, []string{"early"}) {
			t.Error(users)
		}
		time.Sleep(15 * time.Second)
		b.Close()
		synctest.Wait()
		many := []string{"early"}
		for i := range 3000 {
			many = append(many, fmt.Sprintf("user %04d", i))
			client.End(many[i+1])
		}
		b, _ = bridgeEnd(t, net, api.Hello{Bridge: "b2"})
		if users := said(b, len(many)); !slices.Equal(users, many) {
			t.Errorf("%d users of %d", len(users), len(many))
		}
		b.Close()
		synctest.Wait()
		time.Sleep(time.Hour - 10*time.Second) // "early" is forgotten, and the others are not
		b, _ = bridgeEnd(t, net, api.Hello{Bridge: "b3"})
		if users := said(b, len(many)-1); !slices.Equal(users, many[1:]) {
			t.Errorf("%d users of %d", len(users), len(many)-1)
		}
	})
}

func TestMemoryOfEndedUsersIsBounded(t *testing.T) {
	var d departed
	now := time.Now()
	for i := range 100_000 { // ten a second, who are forgotten after a minute
		now = now.Add(100 * time.Millisecond)
		d.add(fmt.Sprint(i), now, time.Minute)
		d.next()
	}
	if len(d.until) > 2048 || d.unsaid != nil {
		t.Errorf("%d users are remembered, %d to be said", len(d.until), len(d.unsaid))
	}
}

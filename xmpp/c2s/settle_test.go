package c2s

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley/internal/journal"
	"parley/internal/peertest"
	"parley/xmpp/im"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// hasty does at once what it is asked, and holds back what is said of some of it.
type hasty struct {
	holds []string
	got   []string
}

func (h *hasty) Handle(_ *wire.Batch, from route.Sender, _ wire.Addr, p *wire.Packet) {
	h.got = append(h.got, string(p.ID()))
	if slices.Contains(h.holds, string(p.ID())) {
		settle, _ := from.(*Session).HoldTwice()
		settle()
	}
}

// late has the accounts tell what comes once more.
type late struct {
	*im.Host
	again []string
}

func (l *late) Again(_ *wire.Batch, _ route.Sender, to wire.Addr, p *wire.Packet) {
	l.again = append(l.again, string(to)+" "+string(p.ID()))
}

// What has had its effects when the process is killed, but is not acknowledged, has none again; who kept it from being
// acknowledged hears of it once more.
func TestHC9SettledBeforeItIsAcknowledged(t *testing.T) {
	dir := t.TempDir()
	h := &hasty{holds: []string{"2", "3", "6"}}
	l := &late{}
	serve := func(dir string) *world {
		return newWorld(t, nil, keeping(t, dir, journal.Options{}), func(w *world) {
			w.router.Serve("hasty.x.net", h)
			l.Host = w.host
			w.router.SetAccounts(l)
		})
	}
	w := serve(dir)
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	for i := range 8 {
		ann.Say("<message xmlns='jabber:client' to='hasty.x.net' id='" + strconv.Itoa(i) + "'/>")
	}
	ann.Ask()
	ann.Take(ann.Await("<a ", "h='2'"))
	if len(ann.Unacked) != 6 {
		t.Fatalf("%d stanzas are not counted", len(ann.Unacked))
	}
	w = serve(left(t, dir))
	h.got, h.holds = nil, nil
	ann.Redial = func() *peertest.Client { return w.dial(w.plain) }
	ann.Move(true)
	ann.Say("<message xmlns='jabber:client' to='hasty.x.net' id='8'/>")
	ann.Settle(0)
	if got := strings.Join(h.got, " "); got != "8" {
		t.Errorf("handled: %s", got)
	}
	if got := strings.ReplaceAll(strings.Join(l.again, " "), "hasty.x.net ", ""); got != "2 3 4 5 6 7" {
		t.Errorf("once more: %s", got)
	}
}

package archive

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

func wireAddr(s string) wire.Addr { return wire.Addr(s) }

func TestWhoseArchivesAMessageIsIn(t *testing.T) {
	for _, c := range []struct {
		name, from, to, children string
		sender, recipient        bool
	}{
		{"between two accounts", "romeo@x.net/a", "juliet@x.net", "<body>x</body>", true, true},
		{"to another server", "romeo@x.net/a", "friar@y.net", "<body>x</body>", true, false},
		{"from another server", "friar@y.net/a", "romeo@x.net", "<body>x</body>", false, true},
		{"between others", "friar@y.net/a", "tybalt@y.net", "<body>x</body>", false, false},
		{"nothing worth it", "romeo@x.net/a", "juliet@x.net", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false, false},
		{"one that is not to be stored", "romeo@x.net/a", "juliet@x.net", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			sender, recipient := w.say(c.from, c.to, "%s", c.children)
			if (sender != "") != c.sender || (recipient != "") != c.recipient {
				t.Errorf("the ids are %q and %q", sender, recipient)
			}
			count := func(addr string) int {
				bare, _, _ := strings.Cut(addr, "/")
				ends, err := w.store.ArchiveEnds(context.Background(), bare)
				if err != nil {
					t.Fatal(err)
				}
				return ends.Count
			}
			if got := count(c.from) == 1; got != c.sender {
				t.Errorf("in the sender's archive: %v", got)
			}
			if got := count(c.to) == 1; got != c.recipient {
				t.Errorf("in the recipient's archive: %v", got)
			}
		})
	}
}

func TestPresenceIsNotArchived(t *testing.T) {
	w := newWorld(t)
	done := make(chan error, 1)
	m := Kept{Sender: "romeo@x.net", From: "romeo@x.net/a", To: "juliet@x.net", Stanza: wire.Stanza{Kind: wire.Presence, Tail: []byte("><body>x</body></presence>")}}
	if a, b := w.s.Keep(m, func(err error) { done <- err }); a != "" || b != "" || <-done != nil {
		t.Errorf("%q %q", a, b)
	}
}

// An account that is gone, and one whose archive fails: the sender hears of the one that matters.
func TestDoneIsCalledOnceInAnyCase(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.trySay("romeo@x.net/a", "nobody@x.net", "<body>x</body>"); err != nil {
		t.Errorf("to an account that does not exist: %v", err)
	}
	got, _ := (&client{w: w, addr: "romeo@x.net/a"}).find("")
	equal(t, "the sender's archive", got, []string{"x"})
	w.store.Close()
	if _, _, err := w.trySay("romeo@x.net/a", "juliet@x.net", "<body>x</body>"); err != store.ErrClosed {
		t.Errorf("to a closed store: %v", err)
	}
}

// XEP-0441 §2, §4: the default and the two lists, and what they are compared with.
func TestPreferences(t *testing.T) {
	const (
		juliet = "juliet@x.net/balcony"
		lists  = "<always><jid>%s</jid></always><never><jid>%s</jid></never>"
	)
	for _, c := range []struct {
		name, prefs        string
		server             store.ArchivePolicy // the server's default
		known              bool                // juliet is on romeo's roster
		incoming, outgoing bool
	}{
		{"none, the server archives", "", store.ArchiveAlways, false, true, true},
		{"none, the server does not", "", store.ArchiveNever, true, false, false},
		{"none, the server archives what is said with contacts", "", store.ArchiveRoster, true, true, true},
		{"and she is none", "", store.ArchiveRoster, false, false, false},
		{"always", "default='always'>", store.ArchiveNever, false, true, true},
		{"never", "default='never'>", store.ArchiveAlways, true, false, false},
		{"contacts, and she is one", "default='roster'>", store.ArchiveNever, true, true, true},
		{"contacts, and she is none", "default='roster'>", store.ArchiveAlways, false, false, false},
		{"never but with her", "default='never'><always><jid>juliet@x.net</jid></always>", store.ArchiveNever, false, true, true},
		{"always but with her", "default='always'><never><jid>juliet@x.net</jid></never>", store.ArchiveAlways, false, false, false},
		{"always but with her there", "default='always'><never><jid>juliet@x.net/balcony</jid></never>", store.ArchiveAlways, false, false, false},
		{"always but with her elsewhere", "default='always'><never><jid>juliet@x.net/chamber</jid></never>", store.ArchiveAlways, false, true, true},
		{"on both lists", "default='always'><always><jid>juliet@x.net</jid></always><never><jid>juliet@x.net</jid></never>", store.ArchiveAlways, false, false, false},
		{"with somebody else", "default='never'><always><jid>nurse@x.net</jid></always>", store.ArchiveAlways, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) { cfg.Default = c.server })
			if c.known {
				w.knows["romeo@x.net"] = map[wire.Addr]bool{"juliet@x.net": true}
			}
			romeo := &client{w: w, addr: "romeo@x.net/a"}
			if c.prefs != "" {
				_, answer := romeo.ask("set", "<prefs xmlns='urn:xmpp:mam:2' "+c.prefs+"</prefs>")
				holds(t, answer, "type='result'")
			}
			for range 2 { // a process that starts finds the same
				if sender, _ := w.say("romeo@x.net/a", juliet, "<body>x</body>"); (sender != "") != c.outgoing {
					t.Errorf("outgoing: %q", sender)
				}
				if _, recipient := w.say(juliet, "romeo@x.net", "<body>x</body>"); (recipient != "") != c.incoming {
					t.Errorf("incoming: %q", recipient)
				}
				w.start(w.store, func(cfg *Config) { cfg.Default = c.server })
			}
		})
	}
}

func TestPreferencesAreAnsweredAsTheyAre(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.Default = store.ArchiveRoster })
	romeo := &client{w: w, addr: "romeo@x.net/a"}
	const get = "<prefs xmlns='urn:xmpp:mam:2'/>"
	_, answer := romeo.ask("get", get)
	holds(t, answer, "type='result'><prefs xmlns='urn:xmpp:mam:2' default='roster'><always></always><never></never></prefs></iq>")
	const want = "<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>a@x.net</jid><jid>b@x.net/R</jid></always><never><jid>c@x.net</jid></never></prefs>"
	_, answer = romeo.ask("set", "<prefs xmlns='urn:xmpp:mam:2' default='never'><never><jid>C@x.net</jid></never><always><jid>b@x.net/R</jid><jid>A@x.net</jid><jid>a@x.net</jid></always></prefs>")
	holds(t, answer, want)
	_, answer = romeo.ask("get", get)
	holds(t, answer, want)
	_, answer = romeo.ask("set", "<prefs xmlns='urn:xmpp:mam:2' default='always'/>")
	holds(t, answer, "default='always'><always></always><never></never>")

	for _, c := range []struct{ name, prefs, condition string }{
		{"no default", "<prefs xmlns='urn:xmpp:mam:2'/>", "bad-request"},
		{"a default that is none", "<prefs xmlns='urn:xmpp:mam:2' default='sometimes'/>", "bad-request"},
		{"an address that is none", "<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>a@b@c</jid></always></prefs>", "jid-malformed"},
		{"too many", "<prefs xmlns='urn:xmpp:mam:2' default='never'><always>" + strings.Repeat("<jid>a@x</jid>", mostListed) + "</always><never><jid>b@x</jid></never></prefs>", "policy-violation"},
		{"too much", "<prefs xmlns='urn:xmpp:mam:2' default='never'><always>" + strings.Repeat("<jid>a@x/"+strings.Repeat("r", 1000)+"</jid>", 17) + "</always></prefs>", "policy-violation"},
	} {
		_, answer := romeo.ask("set", c.prefs)
		holds(t, answer, "type='error'", "<"+c.condition+" ")
	}
	_, answer = romeo.ask("get", get)
	holds(t, answer, "default='always'")
}

// An account that has the name of a deleted one has not its preferences.
func TestPreferencesEndWithTheAccount(t *testing.T) {
	w := newWorld(t)
	romeo := &client{w: w, addr: "romeo@x.net/a"}
	romeo.ask("set", "<prefs xmlns='urn:xmpp:mam:2' default='never'/>")
	ctx := context.Background()
	if err := w.store.DeleteAccount(ctx, "romeo@x.net"); err != nil {
		t.Fatal(err)
	}
	_, answer := romeo.ask("set", "<prefs xmlns='urn:xmpp:mam:2' default='never'/>")
	holds(t, answer, "<service-unavailable ")
	if err := w.store.CreateAccount(ctx, store.Account{Addr: "romeo@x.net", Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	_, answer = romeo.ask("get", "<prefs xmlns='urn:xmpp:mam:2'/>")
	holds(t, answer, "default='always'")
	if sender, _ := w.say("romeo@x.net/a", "juliet@x.net", "<body>x</body>"); sender == "" {
		t.Error("the new account's messages are not archived")
	}
}

// Whoever archives at the same time: ids are in the order of the archive, and none is there before an earlier one.
func TestOrderOfIDsIsOrderOfCommits(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var committed []string
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				done := make(chan struct{})
				var id string
				ready := make(chan struct{})
				id, _ = w.s.Keep(Kept{Sender: "romeo@x.net", From: "romeo@x.net/a", To: "juliet@x.net", Stanza: stanza(t, "romeo@x.net/a", "<body>x</body>")},
					func(err error) {
						<-ready
						mu.Lock()
						committed = append(committed, id)
						mu.Unlock()
						close(done)
					})
				close(ready)
				<-done
			}
		})
	}
	wg.Wait()
	if !slices.IsSorted(committed) || len(committed) != 400 {
		t.Errorf("%d messages, in order: %v", len(committed), slices.IsSorted(committed))
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"a default that is none":  func(c *Config) { c.Default = "sometimes" },
		"a negative age":          func(c *Config) { c.Days = -1 },
		"an age beyond reckoning": func(c *Config) { c.Days = 1 << 30 },
		"no messages":             func(c *Config) { c.Messages = 0 },
		"no bytes":                func(c *Config) { c.Bytes = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		if c.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
	c := DefaultConfig()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

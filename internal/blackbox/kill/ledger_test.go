package kill

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ledger is what was acknowledged, in memory and as lines of a file that outlives the server. It is safe for concurrent
// use.
type ledger struct {
	mu       sync.Mutex // guards what follows
	file     *os.File
	rooms    map[string]*roomRecord
	accounts map[string]*account
	total    map[string]int // acknowledged, by kind
}

// roomRecord is what is known of a room.
type roomRecord struct {
	sent    map[string]bool // ids of messages that somebody began to send
	seen    map[string]bool
	order   []string // seen, in the order in which the room said them
	handled []string // ids that <a/> counted

	lists   map[string]string // affiliations that are not "none", by address
	subject string
	name    string

	pending map[string]string // what was asked for and not answered: "subject", "name" or an address -> value
}

// account is what is known of an account.
type account struct {
	password string // "" if there is none
	wish     *string
	round    int // that touched it last
}

func newLedger(t *testing.T) *ledger {
	f, err := os.Create(filepath.Join(t.ArtifactDir(), "acknowledged.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &ledger{file: f, rooms: make(map[string]*roomRecord), accounts: make(map[string]*account), total: make(map[string]int)}
}

// room returns the record. Called with mu held.
func (l *ledger) room(name string) *roomRecord {
	r := l.rooms[name]
	if r == nil {
		r = &roomRecord{sent: make(map[string]bool), seen: make(map[string]bool), lists: make(map[string]string), pending: make(map[string]string)}
		l.rooms[name] = r
	}
	return r
}

// note writes a line. Called with mu held.
func (l *ledger) note(kind string, words ...string) {
	l.total[kind]++
	fmt.Fprintln(l.file, kind, strings.Join(words, " "))
}

func (l *ledger) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.rooms))
}

func (l *ledger) counts() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var words []string
	for _, kind := range slices.Sorted(maps.Keys(l.total)) {
		words = append(words, fmt.Sprintf("%d × %s", l.total[kind], kind))
	}
	return strings.Join(words, ", ")
}

// sending notes that a message is going to be sent.
func (l *ledger) sending(room, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room(room).sent[id] = true
}

// saw notes that an occupant has seen a message. All occupants see them in one order, from before the load on, so the
// first one to see it decides its place.
func (l *ledger) saw(room, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.room(room); !r.seen[id] {
		r.seen[id] = true
		r.order = append(r.order, id)
		l.note("message", room, id)
	}
}

// handled notes that <a/> has counted a message.
func (l *ledger) handled(room, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.room(room)
	r.handled = append(r.handled, id)
	l.note("handled", room, id)
}

// ask notes that something of a room is going to be changed: its "subject", its "name", or the affiliation of an address.
func (l *ledger) ask(room, what, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room(room).pending[what] = value
}

// told notes that the change was acknowledged.
func (l *ledger) told(room, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.room(room)
	value := r.pending[what]
	delete(r.pending, what)
	kind := "affiliation"
	if what == "subject" || what == "name" {
		kind = what
	}
	r.set(what, value)
	l.note(kind, room, what, value)
}

func (r *roomRecord) set(what, value string) {
	switch {
	case what == "subject":
		r.subject = value
	case what == "name":
		r.name = value
	case value == "none":
		delete(r.lists, what)
	default:
		r.lists[what] = value
	}
}

// found is what a room was like after a restart.
type found struct {
	messages []string // ids, oldest first
	subject  string
	name     string
	lists    map[string]string
}

// compare says what is wrong with what was found, and takes over what happened without an answer.
func (l *ledger) compare(room string, f found) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, room+": "+fmt.Sprintf(format, args...)) }
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.room(room)
	r.compareMessages(f.messages, fault)
	for what, got := range map[string]string{"subject": f.subject, "name": f.name} {
		want := map[string]string{"subject": r.subject, "name": r.name}[what]
		if wish, ok := r.pending[what]; got != want && !(ok && got == wish) {
			fault("the %s is %q, %q was acknowledged", what, got, want)
		}
		r.set(what, got)
	}
	for addr := range union(f.lists, r.lists) {
		got, want := either(f.lists[addr], "none"), either(r.lists[addr], "none")
		if wish, ok := r.pending[addr]; got != want && !(ok && got == wish) {
			fault("the affiliation of %s is %s, %s was acknowledged", addr, got, want)
		}
		r.set(addr, got)
	}
	clear(r.pending)
	return faults
}

// compareMessages checks the history: the latest of what was seen, in order, and then what was never seen by anybody
// and yet committed; nothing twice, nothing that nobody sent.
func (r *roomRecord) compareMessages(got []string, fault func(string, ...any)) {
	there := make(map[string]bool)
	for _, id := range got {
		if there[id] {
			fault("message %s stands twice", id)
		}
		there[id] = true
		if !r.sent[id] {
			fault("nobody sent message %s", id)
		}
	}
	unseen := len(got)
	for unseen > 0 && !r.seen[got[unseen-1]] {
		unseen--
	}
	old, extra := got[:unseen], got[unseen:]
	switch {
	case len(got) > history:
		fault("%d messages of history, at most %d were asked for", len(got), history)
	case len(got) < history && len(old) < len(r.order):
		fault("%d of %d acknowledged messages are there; the first that is missing is %s", len(old), len(r.order), firstMissing(r.order, there))
	case len(old) > len(r.order) || !slices.Equal(old, r.order[len(r.order)-len(old):]):
		fault("the history is not what was seen: %v", differ(old, r.order))
	}
	for _, id := range r.handled {
		if !there[id] && !r.seen[id] {
			fault("message %s was acknowledged by <a/> and is not there", id)
		}
	}
	r.handled = nil
	for _, id := range extra {
		r.seen[id] = true
		r.order = append(r.order, id)
	}
}

func firstMissing(order []string, there map[string]bool) string {
	i := slices.IndexFunc(order, func(id string) bool { return !there[id] })
	if i < 0 {
		return "none"
	}
	return order[i]
}

// differ shows where two orders part, seen from their ends.
func differ(got, want []string) string {
	for i := 1; i <= min(len(got), len(want)); i++ {
		if g, w := got[len(got)-i], want[len(want)-i]; g != w {
			return fmt.Sprintf("%s where %s is due, %d before the end", g, w, i-1)
		}
	}
	return fmt.Sprintf("%d messages, %d were seen", len(got), len(want))
}

func union(a, b map[string]string) map[string]bool {
	all := make(map[string]bool)
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// wishing notes that an account is going to have this password, or to be deleted if it is "".
func (l *ledger) wishing(name, password string, round int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[name]
	if a == nil {
		a = new(account)
		l.accounts[name] = a
	}
	a.wish, a.round = &password, round
}

// granted notes that the command said that it was done.
func (l *ledger) granted(name, command string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[name]
	a.password, a.wish = *a.wish, nil
	l.note("user "+command, name)
}

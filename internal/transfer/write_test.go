package transfer

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/muc"
	"parley/xmpp/pubsub"
	"parley/xmpp/wire"
)

// failing is a store that stops working in the middle.
type failing struct {
	store.Store
	at string
}

var errAway = errors.New("the store is away")

func (f *failing) AddOffline(ctx context.Context, owner string, list []store.OfflineMessage, l store.OfflineLimit) (int, error) {
	if f.at == "offline" {
		return 0, errAway
	}
	return f.Store.AddOffline(ctx, owner, list, l)
}

func (f *failing) SetCredentials(ctx context.Context, addr string, c []store.Credential) error {
	if f.at == "credentials" {
		return errAway
	}
	return f.Store.SetCredentials(ctx, addr, c)
}

func target(t *testing.T) *Target {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "parley.db"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &Target{
		Store: s, Domain: "a.example", Rooms: "muc.a.example", Owner: "node", Limit: store.OfflineLimit{Messages: 2, Bytes: 1 << 20}, Private: 1,
		Address: func(s string) (string, bool) { a, err := wire.ParseAddr(s); return string(a), err == nil },
		Credentials: func(p string) ([]store.Credential, error) {
			if p == "bad" {
				return nil, errors.New("cannot be prepared")
			}
			return []store.Credential{{Mechanism: "SCRAM-SHA-256", Salt: []byte(p), Iterations: 1}}, nil
		},
		Nodes: func(owner string, a *Account) (list []store.NodeChange) {
			for _, n := range a.Nodes {
				i := pubsub.Imported{Owner: owner, Name: n.Name, Access: n.Access, Items: n.Items}
				list = append(list, i.Change())
			}
			if a.Card != nil {
				list = append(list, pubsub.ImportedCard(owner, a.Card, time.Now())...)
			}
			return list
		},
		Room: func(r Room) (store.Change, error) {
			i := muc.Imported{Addr: wire.Addr(r.Addr), Name: r.Name, MembersOnly: r.MembersOnly, Subject: r.Subject, SubjectNick: r.SubjectNick, Affiliations: r.Affiliations}
			return i.Change()
		},
	}
}

func message(id string) store.OfflineMessage {
	return store.OfflineMessage{At: time.Unix(1e9, 0), Tail: []byte(" from='b@b.example' id='" + id + "'><body>x</body></message>")}
}

func whole() *Dump {
	keys := []store.Credential{{Mechanism: "SCRAM-SHA-1", Salt: []byte("s"), Iterations: 4096, StoredKey: []byte("k"), ServerKey: []byte("k")}}
	return &Dump{
		Accounts: []Account{
			{
				Addr: "Ann@A.example", Password: "secret", Created: time.Unix(1e9, 0), Contacts: []store.Contact{{Addr: "Bob@a.example", Listed: true, To: true}, {Addr: "ann@a.example"}, {Addr: "@", Listed: true}},
				Blocked: []string{"spam.example", " "}, Private: []Element{{"urn:x", "n", []byte("<n xmlns='urn:x'/>")}, {"urn:y", "n", []byte("<n xmlns='urn:y'/>")}},
				Card:    []byte("<vCard xmlns='vcard-temp'><FN>A</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>aWNo</BINVAL></PHOTO></vCard>"),
				Nodes:   []Node{{"urn:z", "open", []store.Item{{ID: "1", Payload: []byte("<z xmlns='urn:z'/>")}, {ID: "2", Payload: []byte("<z xmlns='urn:z'/>")}}}},
				Offline: []store.OfflineMessage{message("1"), message("2"), message("3")},
			},
			{Addr: "bob@a.example", Credentials: keys},
			{Addr: "cy@a.example"},
			{Addr: "dan@a.example", Password: "bad"},
			{Addr: "eve@b.example", Password: "secret"},
			{Addr: "a b@a.example", Password: "secret"},
		},
		Rooms: []Room{
			{Addr: "R@conference.a.example", Name: "The room", MembersOnly: true, Subject: "love & war", SubjectNick: "ann", Affiliations: []store.Affiliation{
				{Addr: "ann@a.example", Name: "owner"}, {Addr: "b.example", Name: "outcast"}, {Addr: "x@b.example", Name: "king"}, {Addr: "y@b.example", Name: "none"}}},
			{Addr: "b\x01@conference.a.example"},
			{Addr: "r@rooms.a.example", Name: "Another room"},
		},
		Skipped: []string{"something"},
	}
}

func TestWrite(t *testing.T) {
	w := target(t)
	var steps []int
	w.Progress = func(done, total int) { steps = append(steps, done); _ = total }

	w.DryRun = true
	dry, err := Write(t.Context(), w, whole())
	if err != nil {
		t.Fatal(err)
	}
	if list, err := w.Store.ListAccounts(t.Context(), "", 10); err != nil || len(list) > 0 {
		t.Fatalf("a dry run makes %v %v", list, err)
	}
	if !slices.Equal(steps, []int{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Error(steps)
	}

	w.DryRun = false
	r, err := Write(t.Context(), w, whole())
	if err != nil {
		t.Fatal(err)
	}
	want := Report{Accounts: 4, Contacts: 1, Blocked: 1, Private: 1, Nodes: 4, Offline: 2, Rooms: 1, Affiliations: 2, Skipped: r.Skipped}
	if !reflect.DeepEqual(*r, want) {
		t.Errorf("%+v", r)
	}
	dry.Private, dry.Skipped, want.Skipped = 1, nil, nil // a dry run does not know how much the store takes
	if !reflect.DeepEqual(*dry, want) {
		t.Errorf("the dry run: %+v", dry)
	}
	for _, want := range []string{"something", "eve@b.example: cannot be an account here", "a b@a.example: cannot", `has the contact "ann@a.example"`, `has the contact "@"`, `blocks " "`,
		"more private data than may be: {urn:y}n", "the oldest 1 of 3 messages", "dan@a.example: the password cannot be used", "R@conference.a.example is now r@muc.a.example", `the affiliation "king"`, "cannot be a room here",
		"r@rooms.a.example is left out: R@conference.a.example has become r@muc.a.example"} {
		if !slices.ContainsFunc(r.Skipped, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%q is not said: %q", want, r.Skipped)
		}
	}
	ann, err := w.Store.Account(t.Context(), "ann@a.example")
	if err != nil || len(ann.Credentials) != 1 || ann.Created.Unix() != 1e9 {
		t.Errorf("%+v %v", ann, err)
	}
	if k, err := w.Store.Roster(t.Context(), "ann@a.example"); err != nil || len(k.Contacts) != 1 || k.Contacts[0].Addr != "bob@a.example" || !k.Contacts[0].To || !slices.Equal(k.Blocked, []string{"spam.example"}) {
		t.Errorf("%+v %v", k, err)
	}
	if list, _, err := w.Store.Items(t.Context(), "ann@a.example", "urn:xmpp:avatar:data", store.ItemQuery{Limit: 10}); err != nil || len(list) != 1 || !strings.Contains(string(list[0].Payload), "aWNo") {
		t.Errorf("%v %v", list, err)
	}
	if list, _, err := w.Store.Items(t.Context(), "ann@a.example", "urn:z", store.ItemQuery{Limit: 10}); err != nil || len(list) != 2 {
		t.Errorf("%v %v", list, err)
	}
	if list, err := w.Store.OfflineMessages(t.Context(), "ann@a.example", 0, 10); err != nil || len(list) != 2 || !strings.Contains(string(list[0].Tail), "id='2'") {
		t.Errorf("%v %v", list, err)
	}
	row, standing, err := w.Store.Room(t.Context(), "r@muc.a.example")
	if err != nil || len(standing) != 2 || !strings.Contains(string(row.Config), `"membersOnly":true`) || string(row.Subject) != " from='r@muc.a.example/ann' type='groupchat'><subject>love &amp; war</subject></message>" {
		t.Errorf("%+v %s %v %v", row, row.Subject, standing, err)
	}

	// What people do here afterwards stays, whatever the other server still says.
	if err := w.Store.ChangeRoster(t.Context(), "ann@a.example", store.RosterChange{Was: 1, Version: 2, Remove: []string{"bob@a.example"}}); err != nil {
		t.Fatal(err)
	}
	again, err := Write(t.Context(), w, whole())
	if err != nil || again.Changed() && again.Accounts != 0 || again.Kept != 5 {
		t.Errorf("%+v %v", again, err)
	}
	if k, err := w.Store.Roster(t.Context(), "ann@a.example"); err != nil || len(k.Contacts) != 0 || k.Version != 2 {
		t.Errorf("%+v %v", k, err)
	}
}

// A run that is broken off anywhere is taken up again, and then nothing is there twice.
func TestBrokenOff(t *testing.T) {
	for _, at := range []string{"offline", "credentials"} {
		t.Run(at, func(t *testing.T) {
			w := target(t)
			good := w.Store
			w.Store = &failing{good, at}
			if _, err := Write(t.Context(), w, whole()); !errors.Is(err, errAway) || !strings.Contains(err.Error(), "Ann@A.example") {
				t.Fatal(err)
			}
			if a, err := good.Account(t.Context(), "ann@a.example"); err != nil || len(a.Credentials) > 0 {
				t.Fatalf("who is not complete can log in: %+v %v", a, err)
			}
			w.Store = good
			if r, err := Write(t.Context(), w, whole()); err != nil || r.Contacts != 0 {
				t.Fatalf("%+v %v", r, err)
			}
			a, err := good.Account(t.Context(), "ann@a.example")
			list, err2 := good.OfflineMessages(t.Context(), "ann@a.example", 0, 10)
			k, err3 := good.Roster(t.Context(), "ann@a.example")
			if errors.Join(err, err2, err3) != nil || len(a.Credentials) != 1 || len(list) != 2 || len(k.Contacts) != 1 {
				t.Errorf("%+v %v %+v", a, list, k)
			}
			last, err := Write(t.Context(), w, whole())
			if err != nil || last.Changed() {
				t.Errorf("%+v %v", last, err)
			}
		})
	}
}

func TestSound(t *testing.T) {
	for text, want := range map[string]bool{"<a/>": true, "<a xmlns='u'>x<b/></a>": true, "": false, "x": false, "<a/><b/>": false, "<a>": false, "<!--x--><a/>": false, "<?x?><a/>": false, "<a></b>": false} {
		if got := Sound([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestIsName(t *testing.T) {
	for s, want := range map[string]bool{"a": true, "xml:lang": true, "_b-1.c": true, "é": true, "": false, "1a": false, "a b": false, "a=": false, "a'": false, "x:y": false, "xml:": false} {
		if got := IsName(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

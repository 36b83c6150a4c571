package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"parley/internal/store"
)

const nodeOwner = "juliet@localhost"

func withOwner(t testing.TB, s *db, owners ...string) {
	t.Helper()
	for _, o := range append(owners, nodeOwner) {
		if err := s.CreateAccount(context.Background(), store.Account{Addr: o, Created: at(0)}); err != nil {
			t.Fatal(err)
		}
	}
}

func changeNodes(t testing.TB, s *db, changes ...store.NodeChange) {
	t.Helper()
	if err := tryNodes(s, store.NodeQuota{}, changes...); err != nil {
		t.Fatal(err)
	}
}

func tryNodes(s *db, q store.NodeQuota, changes ...store.NodeChange) error {
	for i := range changes {
		if changes[i].Owner == "" {
			changes[i].Owner = nodeOwner
		}
	}
	return s.ChangeNodes(context.Background(), q, changes...)
}

func nodeItem(id string) store.Item {
	return store.Item{ID: id, Publisher: nodeOwner, At: at(1), Payload: []byte("<a>" + id + "</a>")}
}

func nodeItems(ids ...string) (list []store.Item) {
	for _, id := range ids {
		list = append(list, nodeItem(id))
	}
	return list
}

// nodeIDs returns the ids that a query finds, with "+" if there are more.
func nodeIDs(t testing.TB, s *db, q store.ItemQuery) string {
	t.Helper()
	list, more, err := s.Items(context.Background(), nodeOwner, "n", q)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	if more {
		ids = append(ids, "+")
	}
	return strings.Join(ids, "")
}

func TestNodes(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		withOwner(t, s)
		if _, err := s.Node(ctx, nodeOwner, "n"); err != store.ErrNotFound {
			t.Errorf("unknown node: %v", err)
		}
		if _, _, err := s.Items(ctx, nodeOwner, "n", store.ItemQuery{Limit: 1}); err != store.ErrNotFound {
			t.Errorf("items of an unknown node: %v", err)
		}
		for name, err := range map[string]error{
			"no node":    tryNodes(s, store.NodeQuota{}, store.NodeChange{Name: "n", Publish: nodeItems("1")}),
			"no account": tryNodes(s, store.NodeQuota{}, store.NodeChange{Owner: "x@y", Name: "n", Create: true}),
		} {
			if err != store.ErrNotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		changeNodes(t, s, store.NodeChange{Name: "n", Create: true, Config: []byte("c"), Publish: nodeItems("1")})
		if err := tryNodes(s, store.NodeQuota{}, store.NodeChange{Name: "n", Create: true}); err != store.ErrExists {
			t.Errorf("created twice: %v", err)
		}
		changeNodes(t, s,
			store.NodeChange{Name: "n", Affiliations: []store.NodeAffiliation{{Addr: "b@x", Name: "member"}, {Addr: "a@x", Name: "outcast"}}},
			store.NodeChange{Name: "n", Subscriptions: []store.NodeSubscription{{Addr: "b@x", State: "pending"}, {Addr: "a@x/y", State: "subscribed"}}},
			store.NodeChange{Name: "m", Create: true})
		got, err := s.Node(ctx, nodeOwner, "n")
		if err != nil {
			t.Fatal(err)
		}
		want := store.Node{Owner: nodeOwner, Name: "n", Config: []byte("c"), Created: got.Created, Items: 1,
			Affiliations:  []store.NodeAffiliation{{Addr: "a@x", Name: "outcast"}, {Addr: "b@x", Name: "member"}},
			Subscriptions: []store.NodeSubscription{{Addr: "a@x/y", State: "subscribed"}, {Addr: "b@x", State: "pending"}}}
		equal(t, "node", got, want)
		changeNodes(t, s, store.NodeChange{Name: "n", Configure: true, Config: []byte("d"),
			Affiliations:  []store.NodeAffiliation{{Addr: "b@x", Name: "none"}, {Addr: "a@x", Name: "publisher"}},
			Subscriptions: []store.NodeSubscription{{Addr: "a@x/y", State: "none"}, {Addr: "c@x", State: "none"}}})
		want.Config = []byte("d")
		want.Affiliations = []store.NodeAffiliation{{Addr: "a@x", Name: "publisher"}}
		want.Subscriptions = want.Subscriptions[1:]
		list, err := s.ListNodes(ctx, nodeOwner)
		if err != nil || len(list) != 2 || list[0].Name != "m" {
			t.Fatalf("%v %v", list, err)
		}
		equal(t, "node", list[1], want)
		last, err := s.LastItems(ctx, nodeOwner, []string{"x", "n", "m"})
		want.Subscriptions = nil
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "last items", last, []store.LastItem{{Node: want, Item: nodeItem("1")}})
		changeNodes(t, s, store.NodeChange{Name: "n", Delete: true})
		if _, err := s.Node(ctx, nodeOwner, "n"); err != store.ErrNotFound {
			t.Errorf("deleted node: %v", err)
		}
		if err := s.DeleteAccount(ctx, nodeOwner); err != nil {
			t.Fatal(err)
		}
		if list, err := s.ListNodes(ctx, nodeOwner); len(list) != 0 || err != nil {
			t.Errorf("%v %v", list, err)
		}
	})
}

func TestNodeItems(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		withOwner(t, s)
		changeNodes(t, s, store.NodeChange{Name: "n", Create: true, Publish: nodeItems("a", "b", "c", "d", "e")})
		size := len(nodeItem("a").Payload)
		for _, c := range []struct {
			q    store.ItemQuery
			want string
		}{
			{store.ItemQuery{}, "+"}, {store.ItemQuery{Limit: 9}, "abcde"}, {store.ItemQuery{Limit: 5}, "abcde"}, {store.ItemQuery{Limit: 2}, "ab+"},
			{store.ItemQuery{Limit: 2, Latest: true}, "de+"}, {store.ItemQuery{Limit: 2, After: "b"}, "cd+"}, {store.ItemQuery{Limit: 2, After: "c"}, "de"},
			{store.ItemQuery{Limit: 2, Before: "d", Latest: true}, "bc+"}, {store.ItemQuery{Limit: 9, After: "a", Before: "d"}, "bc"},
			{store.ItemQuery{IDs: []string{"d", "x", "", "b", "\x00"}}, "bd"}, {store.ItemQuery{IDs: []string{}}, ""},
			{store.ItemQuery{Limit: 9, Bytes: size}, "a+"}, {store.ItemQuery{Limit: 9, Bytes: size + 1}, "ab+"},
			{store.ItemQuery{Limit: 9, Bytes: 2 * size, Latest: true}, "de+"}, {store.ItemQuery{Limit: 9, NoPayload: true}, "abcde"},
		} {
			if got := nodeIDs(t, s, c.q); got != c.want {
				t.Errorf("%+v: got %s, want %s", c.q, got, c.want)
			}
		}
		list, _, err := s.Items(context.Background(), nodeOwner, "n", store.ItemQuery{Limit: 1, NoPayload: true})
		if err != nil || len(list) != 1 || list[0].Payload != nil || list[0].At != at(1) || list[0].Publisher != nodeOwner {
			t.Errorf("%+v %v", list, err)
		}
		changeNodes(t, s, store.NodeChange{Name: "n", Retract: []string{"e"}})
		if last, err := s.LastItems(context.Background(), nodeOwner, []string{"n"}); err != nil || len(last) != 1 || last[0].Item.ID != "d" {
			t.Errorf("%+v %v", last, err)
		}
		for _, edge := range []string{"x", "\x00", strings.Repeat("x", 3000)} {
			if _, _, err := s.Items(context.Background(), nodeOwner, "n", store.ItemQuery{Limit: 1, After: edge}); err != store.ErrNotFound {
				t.Errorf("after %.9q: %v", edge, err)
			}
		}
	})
}

// TestNodeChangesAgainstAModel publishes, retracts and trims at random and compares what is there with a slice.
func TestNodeChangesAgainstAModel(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		withOwner(t, s)
		changeNodes(t, s, store.NodeChange{Name: "n", Create: true})
		rapid.Check(t, func(t *rapid.T) {
			if err := tryNodes(s, store.NodeQuota{}, store.NodeChange{Name: "n", Purge: true}); err != nil {
				t.Fatal(err)
			}
			var model []string
			id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"})
			for range rapid.IntRange(1, 4).Draw(t, "steps") {
				c := store.NodeChange{Name: "n", Keep: rapid.IntRange(0, 4).Draw(t, "keep")}
				c.Purge = rapid.IntRange(0, 9).Draw(t, "purge") == 0
				c.Retract = rapid.SliceOfN(id, 0, 2).Draw(t, "retract")
				c.Publish = nodeItems(rapid.SliceOfN(id, 0, 3).Draw(t, "publish")...)
				if err := tryNodes(s, store.NodeQuota{}, c); err != nil {
					t.Fatal(err)
				}
				if c.Purge {
					model = nil
				}
				gone := func(id string) {
					model = slices.DeleteFunc(model, func(have string) bool { return have == id })
				}
				for _, id := range c.Retract {
					gone(id)
				}
				for _, i := range c.Publish {
					gone(i.ID)
					model = append(model, i.ID)
				}
				if c.Keep > 0 && len(model) > c.Keep {
					model = model[len(model)-c.Keep:]
				}
				list, _, err := s.Items(context.Background(), nodeOwner, "n", store.ItemQuery{Limit: 100})
				if err != nil {
					t.Fatal(err)
				}
				var have []string
				for _, i := range list {
					have = append(have, i.ID)
				}
				if !slices.Equal(have, model) {
					t.Fatalf("there is %v, want %v", have, model)
				}
				n, err := s.Node(context.Background(), nodeOwner, "n")
				if err != nil || n.Items != len(model) {
					t.Fatalf("%d items are counted, want %d: %v", n.Items, len(model), err)
				}
			}
		})
	})
}

func TestNodeQuota(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		withOwner(t, s, "other@localhost")
		changeNodes(t, s, store.NodeChange{Name: "n", Create: true, Config: []byte("12345"), Publish: nodeItems("1", "2")})
		changeNodes(t, s, store.NodeChange{Owner: "other@localhost", Name: "n", Create: true, Publish: nodeItems("1", "2", "3")})
		bytes := 5 + 2*len(nodeItem("1").Payload) + 2
		for _, c := range []struct {
			name   string
			quota  store.NodeQuota
			change store.NodeChange
			refuse bool
		}{
			{"nodes", store.NodeQuota{Nodes: 1}, store.NodeChange{Name: "m", Create: true}, true},
			{"items", store.NodeQuota{Items: 2}, store.NodeChange{Name: "n", Publish: nodeItems("3")}, true},
			{"item replaced", store.NodeQuota{Items: 2}, store.NodeChange{Name: "n", Publish: nodeItems("2")}, false},
			{"oldest item replaced", store.NodeQuota{Items: 2}, store.NodeChange{Name: "n", Publish: nodeItems("1"), Keep: 2}, false},
			{"bytes", store.NodeQuota{Bytes: bytes - 1}, store.NodeChange{Name: "n", Publish: nodeItems("2")}, true},
			{"bytes that fit", store.NodeQuota{Bytes: bytes}, store.NodeChange{Name: "n", Publish: nodeItems("2")}, false},
			{"bytes of the configuration", store.NodeQuota{Bytes: bytes}, store.NodeChange{Name: "n", Configure: true, Config: []byte("123456")}, true},
			{"removal from too much", store.NodeQuota{Bytes: 1, Items: 1}, store.NodeChange{Name: "n", Retract: []string{"x"}}, false},
			{"peers", store.NodeQuota{Peers: 1}, store.NodeChange{Name: "n", Affiliations: []store.NodeAffiliation{{Addr: "a", Name: "member"}},
				Subscriptions: []store.NodeSubscription{{Addr: "a", State: "pending"}}}, true},
			{"peers that fit", store.NodeQuota{Peers: 1}, store.NodeChange{Name: "n", Affiliations: []store.NodeAffiliation{{Addr: "a", Name: "member"}}}, false},
		} {
			err := tryNodes(s, c.quota, c.change)
			if errors.Is(err, store.ErrQuota) != c.refuse || !c.refuse && err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		n, err := s.Node(context.Background(), nodeOwner, "n")
		if err != nil || n.Items != 2 || string(n.Config) != "12345" || len(n.Affiliations) != 1 || len(n.Subscriptions) != 0 {
			t.Errorf("%+v %v", n, err)
		}
	})
}

func TestNodeChangesAreAllOrNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		withOwner(t, s)
		err := tryNodes(s, store.NodeQuota{}, store.NodeChange{Name: "n", Create: true, Publish: nodeItems("1")}, store.NodeChange{Name: "m", Publish: nodeItems("1")})
		if err != store.ErrNotFound {
			t.Errorf("got %v", err)
		}
		if list, err := s.ListNodes(context.Background(), nodeOwner); len(list) != 0 || err != nil {
			t.Errorf("%v %v", list, err)
		}
	})
}

func TestNodesOfAnyTextAndNoOther(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		withOwner(t, s)
		for i, text := range nasty {
			name := text[:min(len(text), nodeNameLimit)]
			raw := append([]byte(text), 0, 0xFF)
			item := store.Item{ID: text, Publisher: text, At: at(i), Payload: raw}
			changeNodes(t, s, store.NodeChange{Name: name, Create: true, Config: raw, Publish: []store.Item{item},
				Affiliations:  []store.NodeAffiliation{{Addr: text, Name: text}},
				Subscriptions: []store.NodeSubscription{{Addr: text, State: text}}})
			got, err := s.LastItems(ctx, nodeOwner, []string{name})
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0].Item, item) || string(got[0].Node.Config) != string(raw) {
				t.Errorf("%q: %+v %v", text, got, err)
			}
		}
		for _, bad := range []string{"", "a\x00b", "\xff", strings.Repeat("x", keyLimit+1)} {
			for what, c := range map[string]store.NodeChange{
				"name": {Name: bad, Create: true}, "id": {Name: "n", Create: true, Publish: []store.Item{{ID: bad}}},
				"retracted id": {Name: "n", Create: true, Retract: []string{bad}},
				"affiliation":  {Name: "n", Create: true, Affiliations: []store.NodeAffiliation{{Addr: bad, Name: "member"}}},
				"subscription": {Name: "n", Create: true, Subscriptions: []store.NodeSubscription{{Addr: bad, State: "pending"}}},
			} {
				if err := tryNodes(s, store.NodeQuota{}, c); err != store.ErrInvalid {
					t.Errorf("%s %.9q: %v", what, bad, err)
				}
			}
			if _, err := s.Node(ctx, nodeOwner, bad); err != store.ErrNotFound {
				t.Errorf("node %.9q: %v", bad, err)
			}
			if _, err := s.Node(ctx, bad, "n"); err != store.ErrNotFound {
				t.Errorf("owner %.9q: %v", bad, err)
			}
		}
		if err := tryNodes(s, store.NodeQuota{}, store.NodeChange{Name: strings.Repeat("x", nodeNameLimit+1), Create: true}); err != store.ErrInvalid {
			t.Errorf("long name: %v", err)
		}
	})
}

func TestManyNodesAndNames(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		withOwner(t, s)
		var changes []store.NodeChange
		var names []string
		for i := range 2*rowsAtOnce + 1 {
			name := fmt.Sprintf("n%04d", i)
			names = append(names, name)
			changes = append(changes, store.NodeChange{Name: name, Create: true, Publish: nodeItems(name),
				Affiliations: []store.NodeAffiliation{{Addr: name, Name: "member"}}})
		}
		changeNodes(t, s, changes...)
		list, err := s.ListNodes(context.Background(), nodeOwner)
		if err != nil || len(list) != len(names) {
			t.Fatalf("%d nodes: %v", len(list), err)
		}
		last, err := s.LastItems(context.Background(), nodeOwner, names)
		if err != nil || len(last) != len(names) {
			t.Fatalf("%d items: %v", len(last), err)
		}
		all, err := s.LastItems(context.Background(), nodeOwner, nil)
		if err != nil || !reflect.DeepEqual(all, last) {
			t.Fatalf("%d items of all nodes: %v", len(all), err)
		}
		if none, err := s.LastItems(context.Background(), nodeOwner, []string{}); err != nil || len(none) != 0 {
			t.Fatalf("%d items of no nodes: %v", len(none), err)
		}
		for i, n := range list {
			if n.Name != names[i] || len(n.Affiliations) != 1 || n.Affiliations[0].Addr != n.Name || last[i].Item.ID != n.Name {
				t.Fatalf("node %d is %+v", i, n)
			}
		}
	})
}

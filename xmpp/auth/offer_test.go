package auth

import (
	"slices"
	"strings"
	"testing"

	"parley/internal/store"
)

// Who has come from another server with keys of one hash can log in, since nothing that they cannot use is offered.
func TestOfferHashes(t *testing.T) {
	scrams := func(s *Server) (list []string) {
		for _, m := range s.Stream(tlsChannel).Mechanisms() {
			if strings.HasPrefix(m, "SCRAM") && !strings.HasSuffix(m, "-PLUS") {
				list = append(list, m)
			}
		}
		return list
	}
	all := []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"}
	for _, c := range []struct {
		names []string
		plain bool
		want  []string
	}{
		{[]string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"}, true, all},
		{[]string{"SCRAM-SHA-1"}, true, []string{"SCRAM-SHA-1"}},
		{[]string{"SCRAM-SHA-256", "SCRAM-SHA-3"}, false, []string{"SCRAM-SHA-256"}},
		{nil, true, nil},
		{nil, false, all},
		{[]string{"DIGEST-MD5"}, false, all},
	} {
		cfg := DefaultConfig()
		cfg.Plain = c.plain
		s := server(t, cfg, accounts(t, map[string]string{"alice": "pencil"}), nil, nil)
		if s.OfferHashes(c.names); !slices.Equal(scrams(s), c.want) {
			t.Errorf("%v, PLAIN %v: %v, want %v", c.names, c.plain, scrams(s), c.want)
		}
	}

	old := accounts(t, map[string]string{"alice": "pencil"})
	for addr, a := range old.all {
		a.Credentials = slices.DeleteFunc(slices.Clone(a.Credentials), func(c store.Credential) bool { return c.Mechanism != "SCRAM-SHA-1" })
		old.all[addr] = a
	}
	s := server(t, DefaultConfig(), old, nil, nil)
	s.OfferHashes([]string{"SCRAM-SHA-1"})
	if _, f := newClient("SCRAM-SHA-1", "alice", "pencil").run(t, s.Stream(tlsChannel), "SCRAM-SHA-1"); f != nil {
		t.Error(f)
	}
	if _, f := newClient("SCRAM-SHA-256", "alice", "pencil").run(t, s.Stream(tlsChannel), "SCRAM-SHA-256"); f == nil {
		t.Error("a mechanism that is not offered was taken")
	}
}

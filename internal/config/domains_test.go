package config

import (
	"slices"
	"testing"

	"parley/xmpp/component"
)

func TestNames(t *testing.T) {
	listen := func(schemes ...string) (list []Listener) {
		for _, s := range schemes {
			list = append(list, Listener{Scheme: s, Port: defaultPorts[s]})
		}
		return list
	}
	for name, c := range map[string]struct {
		listen    []Listener
		component string
		files     string
		off       bool // no uploads
		domains   []string
		certified []string
	}{
		"clients only":     {listen: listen("xmpp", "turn"), domains: []string{"x.org", "muc.x.org"}, certified: []string{"x.org"}},
		"other servers":    {listen: listen("xmpp", "s2s"), domains: []string{"x.org", "muc.x.org"}, certified: []string{"x.org", "muc.x.org"}},
		"by direct TLS":    {listen: listen("s2ss"), domains: []string{"x.org", "muc.x.org"}, certified: []string{"x.org", "muc.x.org"}},
		"a bridge":         {listen: listen("s2s", "media"), domains: []string{"x.org", "muc.x.org", "call.x.org"}, certified: []string{"x.org", "muc.x.org", "call.x.org"}},
		"a component":      {listen: listen("s2s", "component"), component: "irc.x.org", domains: []string{"x.org", "muc.x.org", "irc.x.org"}, certified: []string{"x.org", "muc.x.org", "irc.x.org"}},
		"files elsewhere":  {listen: listen("https"), files: "https://files.x.org", domains: []string{"x.org", "muc.x.org"}, certified: []string{"x.org", "files.x.org"}},
		"with its port":    {listen: listen("https"), files: "https://files.x.org:443", domains: []string{"x.org", "muc.x.org"}, certified: []string{"x.org", "files.x.org"}},
		"files by a proxy": {listen: listen("http"), files: "https://files.x.org", domains: []string{"x.org", "muc.x.org"}, certified: []string{"x.org"}},
		"at another port":  {listen: listen("https"), files: "https://files.x.org:8443", domains: []string{"x.org", "muc.x.org"}, certified: []string{"x.org"}},
		"no files":         {listen: listen("https"), files: "https://files.x.org", off: true, domains: []string{"x.org", "muc.x.org"}, certified: []string{"x.org"}},
		"files here":       {listen: listen("https"), files: "https://x.org", domains: []string{"x.org", "muc.x.org"}, certified: []string{"x.org"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Default()
			cfg.Domain, cfg.Listen = "x.org", c.listen
			cfg.Upload.URL, cfg.Upload.Enabled = c.files, !c.off
			if c.component != "" {
				cfg.Component = []component.Config{{Domain: c.component}}
			}
			if got := cfg.Domains(); !slices.Equal(got, c.domains) {
				t.Errorf("domains %q, want %q", got, c.domains)
			}
			if got := cfg.CertifiedNames(); !slices.Equal(got, c.certified) {
				t.Errorf("certified %q, want %q", got, c.certified)
			}
		})
	}
}

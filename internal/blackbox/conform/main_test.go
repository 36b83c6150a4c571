// Package conform holds the binary to the letter of the RFCs and XEPs, paragraph by paragraph: each case is written once and runs over
// TCP, WebSocket and BOSH, on SQLite and on PostgreSQL. At its end (go test -v) stands a table: specification by transport by store.
//
// A case makes its own accounts and rooms, so that all may run at the same time against one server per store. What a paragraph
// means in depth is tested beside the code; here are the one to five things that tell whether it is there.
package conform

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"parley/internal/peertest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "8") // cases wait more than they work
	goleak.VerifyTestMain(peertest.Stopping(m))
}

// row is one case: what a paragraph wants.
type row struct {
	spec  string // as in "XEP-0280 §8"
	wants string // what the case shows, in a few words
	over  string // the transports that the paragraph is about; "" is all
	run   func(s *scene)
}

// rows are all cases, in the order of the files.
func rows() (list []row) {
	for _, part := range [][]row{streams, messaging, queries, rooms, events, archives, logins, extras, components} {
		list = append(list, part...)
	}
	return list
}

var transports = []string{"tcp", "websocket", "bosh"}

func TestConformance(t *testing.T) {
	var results table
	t.Cleanup(func() { t.Logf("passed of all, by transport and store:\n%s", results.String()) })
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			o := peertest.ParleyOptions{Args: []string{"--dev-registration", "--limits=off", "--admin=" + admin}, Listen: []string{
				"xmpp://127.0.0.1:0", "xmpps://127.0.0.1:0", "http://127.0.0.1:0", "https://127.0.0.1:0", "turn://127.0.0.1:0", "component://127.0.0.1:0",
			}}
			o.Config = "listen = [\"component://127.0.0.1:0\"]\n[contact]\nabuse = [\"mailto:abuse@example.org\"]\n" + componentConfig()
			if store == "postgres" {
				o.Config = fmt.Sprintf("store = %q\n", peertest.Postgres(t).Database(t)) + o.Config
			}
			server := peertest.StartParley(t, o)
			server.AddUser(admin, password)
			for _, transport := range transports {
				for _, r := range rows() {
					if r.over != "" && !strings.Contains(r.over, transport) {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s %s", transport, r.spec, r.wants), func(t *testing.T) {
						t.Parallel()
						t.Cleanup(func() { results.add(r.spec, store, transport, !t.Failed()) })
						r.run(&scene{T: t, server: server, transport: transport})
					})
				}
			}
		})
	}
}

// dial opens a connection of the transport that the case runs on.
func (s *scene) dial() *peertest.Client {
	s.Helper()
	switch s.transport {
	case "websocket":
		return peertest.DialWS(s, s.server.HTTP, s.server.Domain, "/xmpp-websocket")
	case "bosh":
		return peertest.DialBOSH(s, "http://"+s.server.HTTP+"/http-bind", s.server.Domain)
	}
	return peertest.DialTLS(s, s.server.XMPPS, s.server.Domain, tls.VersionTLS13)
}

// secure is dial over TLS, whatever the transport.
func (s *scene) secure() *peertest.Client {
	s.Helper()
	switch s.transport {
	case "websocket":
		c := peertest.DialTLS(s, s.server.HTTPS, s.server.Domain, tls.VersionTLS13)
		c.WS = true
		if res := c.Upgrade("/xmpp-websocket"); res.StatusCode != http.StatusSwitchingProtocols {
			s.Fatal(res.Status)
		}
		return c
	case "bosh":
		return peertest.DialBOSH(s, "https://"+s.server.HTTPS+"/http-bind", s.server.Domain)
	}
	return s.dial()
}

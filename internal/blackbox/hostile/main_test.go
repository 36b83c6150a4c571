// Package hostile sends rubbish to the binary, over every door, and looks at what it answers, what it counts, and who else
// notices. The tests have the names of the rows of the hardening list.
package hostile

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/peertest"
)

// server is the binary that all tests of the package share. It has the limits that it has by default; only waiting for
// guesses of passwords is cut short.
var server *peertest.Parley

const config = `
[auth]
max_delay = "10ms"

[[token.issuers]]
name = "outside"
audiences = ["jitsi"]
secrets = ["` + tokenSecret + `"]
`

const tokenSecret = "a secret of the tests, 32 bytes and more"

func TestMain(m *testing.M) {
	peertest.Main(m, func(t testing.TB) {
		server = peertest.StartParley(t, peertest.ParleyOptions{Config: config})
		for _, name := range []string{"ann", "bob", "carl"} {
			server.AddUser(name, name+"-password")
		}
	})
}

var sources atomic.Uint32

// source returns a loopback address of its own, so that the limits per source of one test do not meet another.
func source() string {
	n := sources.Add(1)
	return fmt.Sprintf("127.7.%d.%d", n>>8, n&0xFF)
}

func dial(t testing.TB) *peertest.Client {
	t.Helper()
	return peertest.DialFrom(t, source(), server.XMPP, "localhost")
}

// dialRawTLS connects to the port for TLS and does not begin the handshake.
func dialRawTLS(t testing.TB) *peertest.Client {
	t.Helper()
	return peertest.DialFrom(t, source(), server.XMPPS, "localhost")
}

func dialTLS(t testing.TB) *peertest.Client {
	t.Helper()
	p := dialRawTLS(t)
	p.Secure(tls.VersionTLS13)
	return p
}

func dialHTTP(t testing.TB) *peertest.Client {
	t.Helper()
	p := peertest.DialFrom(t, source(), server.HTTP, "localhost")
	p.WS = true
	return p
}

func dialWS(t testing.TB, query string, headers ...string) *peertest.Client {
	t.Helper()
	p := dialHTTP(t)
	if res := p.Upgrade("/xmpp-websocket"+query, headers...); res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the server answers %s", res.Status)
	}
	return p
}

// login logs in, over TLS where the door is TCP.
func login(t testing.TB, p *peertest.Client, name string) {
	t.Helper()
	p.T = t
	if _, secure := p.Conn.(*tls.Conn); !secure && !p.WS {
		p.StartTLS(tls.VersionTLS12)
	}
	p.Login(name, name+"-password")
}

// user logs in and binds.
func user(t testing.TB, p *peertest.Client, name string) *peertest.Client {
	t.Helper()
	login(t, p, name)
	return p.Bind("")
}

// counted returns how often the server has counted a refusal of this name; a name that ends in a dot stands for all that
// begin so.
func counted(t testing.TB, event string) float64 {
	t.Helper()
	return countedAt(t, server, event)
}

func countedAt(t testing.TB, at *peertest.Parley, event string) (sum float64) {
	t.Helper()
	res, err := http.Get("http://" + at.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), `parley_reject_total{event="`+event)
		if !ok {
			continue
		}
		name, value, _ := strings.Cut(rest, `"} `)
		if name != "" && !strings.HasSuffix(event, ".") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(peertest.Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

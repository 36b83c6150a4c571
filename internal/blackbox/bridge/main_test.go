// Package bridge starts the binary and kills its parts: the server and the bridge are two processes, and neither takes the
// other with it.
package bridge

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	pturn "github.com/pion/turn/v5"
	"go.uber.org/goleak"

	"parley/internal/peertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(peertest.Stopping(m)) }

// rounds is how often something is killed.
func rounds() int {
	if os.Getenv("PARLEY_FULL") != "" {
		return 20
	}
	return 3
}

// guest is a client without an account.
func guest(t *testing.T, p *peertest.Parley) *peertest.Client {
	t.Helper()
	c := peertest.Dial(t, p.XMPP, p.Domain)
	c.Login("", "")
	c.Bind("")
	return c
}

// mobile is a guest that may come back to its session (XEP-0198), also when the server was killed meanwhile.
func mobile(t *testing.T, p *peertest.Parley) (c *peertest.Client, session string) {
	t.Helper()
	c = guest(t, p)
	c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	return c, peertest.Attr(c.Await("<enabled"), "id")
}

// resume comes back to a session.
func resume(t *testing.T, p *peertest.Parley, session string) *peertest.Client {
	t.Helper()
	c := peertest.Dial(t, p.XMPP, p.Domain)
	c.Login("", "")
	c.Send("<resume xmlns='urn:xmpp:sm:3' h='1' previd='" + session + "'/>")
	c.Await("<resumed")
	return c
}

// credential is what a client is told of the relay.
type credential struct{ user, password string }

func ask(t *testing.T, p *peertest.Parley, c *peertest.Client) credential {
	t.Helper()
	c.Send("<iq xmlns='jabber:client' type='get' to='" + p.Domain + "' id='ice'><services xmlns='urn:xmpp:extdisco:2'/></iq>")
	services := c.Await("id='ice'", "type='result'")
	return credential{peertest.Attr(services, "username"), peertest.Attr(services, "password")}
}

// relayed is a client of the relay with a relayed address.
type relayed struct {
	net.PacketConn
	client *pturn.Client
}

func allocate(t *testing.T, p *peertest.Parley, c credential) (*relayed, error) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := pturn.NewClient(&pturn.ClientConfig{
		TURNServerAddr: p.TURN, Conn: conn, Username: c.user, Password: c.password,
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); conn.Close() })
	allocated, err := client.Allocate()
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { allocated.Close() })
	return &relayed{allocated, client}, nil
}

func mustAllocate(t *testing.T, p *peertest.Parley, c credential) *relayed {
	t.Helper()
	r, err := allocate(t, p, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// permit lets another's data in.
func (r *relayed) permit(t *testing.T, other *relayed) {
	t.Helper()
	if err := r.client.CreatePermission(other.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// binds reports that a UDP port of loopback is free.
func binds(port int) bool {
	c, err := net.ListenPacket("udp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		c.Close()
	}
	return err == nil
}

// gone reports that a process has ended, whether or not its end was waited for.
func gone(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(text, []byte(") Z "))
}

// lines are those of a text that hold another one.
func lines(text, with string) (list []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, with) {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/logging"
	pturn "github.com/pion/turn/v5"

	"parley/internal/peertest"
)

// writePair writes a certificate for localhost, with this serial number, and its key.
func writePair(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// shown returns the serial number of the certificate at an address.
func shown(t *testing.T, addr string) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1", "xmpp-client"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if p := conn.ConnectionState().NegotiatedProtocol; p == "h2" {
		t.Error("HTTP/2 is spoken")
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, certFile, keyFile, 1)
	p := peertest.StartParley(t, peertest.ParleyOptions{
		Config: fmt.Sprintf("[tls]\ncertificate = %q\nkey = %q\n", certFile, keyFile),
		Listen: []string{"xmpps://127.0.0.1:0", "https://127.0.0.1:0", "turns://127.0.0.1:0"},
	})
	all := []string{p.XMPPS, p.HTTPS, p.TURNS}
	c := peertest.DialTLS(t, p.HTTPS, p.Domain, tls.VersionTLS13)
	c.WS = true
	if res := c.Upgrade("/xmpp-websocket"); res.StatusCode != 101 {
		t.Fatal(res.Status)
	}
	c.Login("", "")
	c.Bind("").Ping()
	for _, addr := range all {
		if n := shown(t, addr); n != 1 {
			t.Errorf("%s shows %d", addr, n)
		}
	}

	later := time.Now().Add(time.Second)
	writePair(t, certFile, keyFile, 2)
	os.Chtimes(certFile, later, later)
	p.Signal(syscall.SIGHUP)
	await(t, p, "certificate read")
	for _, addr := range all { // the bridge reads it too, in its own time
		for until := time.Now().Add(5 * time.Second); shown(t, addr) != 2; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%s shows %d", addr, shown(t, addr))
			}
		}
	}
	c.Ping()

	if err := os.WriteFile(keyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Signal(syscall.SIGHUP)
	await(t, p, "the old one stays")
	if n := shown(t, p.XMPPS); n != 2 {
		t.Errorf("with a bad key, %d is shown", n)
	}
}

func TestHC3NoNewClientsNearTheLimitOfMemory(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[limits]\nmemory = 1000000\n"})
	if p.Metric("parley_full", "") != 1 {
		t.Error("the server is not full")
	}
	peertest.Dial(t, p.XMPP, p.Domain).Await("stream:error", "resource-constraint")
	if res := get(t, p, "/health/ready"); res.StatusCode != 503 || body(res) != "unavailable\n" {
		t.Errorf("readiness: %s", res.Status)
	}
	if res := get(t, p, "/health/live"); res.StatusCode != 200 {
		t.Errorf("liveness: %s", res.Status)
	}
}

func TestTokenOpensItsRoomOnly(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[auth]\nguests = false\n"})
	raw, err := p.Command("", "token", "--name", "Ann", "room1")
	if err != nil {
		t.Fatal(err)
	}
	raw = strings.TrimSpace(raw)
	none := peertest.DialWS(t, p.HTTP, p.Domain, "/xmpp-websocket?room=room1")
	none.Open()
	none.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	none.Expect("<failure", "a token is needed")
	c := peertest.DialWS(t, p.HTTP, p.Domain, "/xmpp-websocket?room=room1&token="+raw)
	c.Login("", "")
	c.Bind("")
	join := func(room string) {
		c.Send("<presence xmlns='jabber:client' to='" + room + "@muc." + p.Domain + "/ann'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	}
	join("room2")
	c.Await("<presence", "type='error'", "room2@")
	join("room1")
	c.Await("<presence", "room1@", "status code='110'")
	if strings.Contains(p.Log(), raw) || strings.Contains(p.Log(), raw[strings.LastIndex(raw, ".")+1:]) {
		t.Error("the token is in the log")
	}
}

// relay asks the server for the credential of its relay, and for a relayed address with it.
func relay(t *testing.T, p *peertest.Parley, c *peertest.Client) (username string, allocate func() error) {
	t.Helper()
	c.Send("<iq xmlns='jabber:client' type='get' to='" + p.Domain + "' id='ice'><services xmlns='urn:xmpp:extdisco:2'/></iq>")
	services := c.Await("id='ice'", "type='result'")
	username, password := peertest.Attr(services, "username"), peertest.Attr(services, "password")
	return username, func() error {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		client, err := pturn.NewClient(&pturn.ClientConfig{
			TURNServerAddr: p.TURN, Conn: conn, Username: username, Password: password,
			LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Listen(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close(); conn.Close() })
		_, err = client.Allocate()
		return err
	}
}

func TestRelaysEndWithTheParticipant(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	join := func(c *peertest.Client, nick string) {
		c.Send("<presence xmlns='jabber:client' to='r1@muc." + p.Domain + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
		c.Await("<presence", "status code='110'")
	}
	owner := guest(t, p)
	join(owner, "owner")
	owner.Send("<iq xmlns='jabber:client' type='set' to='r1@muc." + p.Domain + "' id='open'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
	owner.Await("id='open'", "type='result'")
	for name, end := range map[string]func(*peertest.Client, string){
		"session": func(c *peertest.Client, _ string) { c.Conn.Close() },
		"kick": func(_ *peertest.Client, nick string) {
			owner.Send("<iq xmlns='jabber:client' type='set' to='r1@muc." + p.Domain + "' id='kick'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='" + nick + "' role='none'/></query></iq>")
			owner.Await("id='kick'", "type='result'")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := guest(t, p)
			join(c, name)
			username, allocate := relay(t, p, c)
			if again, _ := relay(t, p, c); username == "" || strings.SplitN(again, ":", 2)[1] != strings.SplitN(username, ":", 2)[1] {
				t.Errorf("the user of one session is %s and %s", username, again)
			}
			if strings.Contains(username, strings.SplitN(c.JID, "@", 2)[0]) {
				t.Errorf("the credential %s names the session", username)
			}
			if err := allocate(); err != nil {
				t.Fatal(err)
			}
			if n := p.Metric("parley_turn_allocations", ""); n != 1 {
				t.Fatalf("%v allocations", n)
			}
			end(c, name)
			for until := time.Now().Add(10 * time.Second); p.Metric("parley_turn_allocations", "") != 0; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatal("the relayed address is still there")
				}
			}
			if err := allocate(); err == nil {
				t.Error("the credential is still good")
			}
		})
	}
}

func TestPostgresKeepsTheAccounts(t *testing.T) {
	url := peertest.Postgres(t).Database(t)
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: fmt.Sprintf("store = %q\n", url)})
	p.AddUser("ann", "secret")
	p.Restart()
	c := peertest.Dial(t, p.XMPP, p.Domain)
	c.Login("ann", "secret")
	c.Bind("").Ping()
	out, err := p.Command("", "doctor")
	if err == nil || !strings.Contains(out, "ok    store") {
		// The listeners of the configuration are not those that the test asked for, which is a fault.
		t.Errorf("doctor: %v\n%s", err, out)
	}
	if strings.Contains(p.Log(), "password=") {
		t.Errorf("the log holds the store's URL:\n%s", p.Log())
	}
}

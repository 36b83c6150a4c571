package peertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// pebbleVersion is the release of Let's Encrypt's authority for tests that is built where it is missing.
const pebbleVersion = "v2.10.1"

// PebbleServer is an ACME authority on loopback, for which every name is at 127.0.0.1. It asks for proof, as others do.
type PebbleServer struct {
	T         testing.TB
	Directory string // its address
	Roots     string // PEM file with what its own certificate is from

	options    PebbleOptions
	dir        string
	management string
	client     *http.Client
	process    *exec.Cmd
	exited     chan struct{}
}

// PebbleOptions say where it looks for proof, and how long its certificates are good.
type PebbleOptions struct {
	HTTP, TLS string        // HOST:PORT of the listeners that stand for ports 80 and 443; empty: nothing is there
	Validity  time.Duration // of certificates; 0: 90 days
}

var pebbleBuilt = sync.OnceValues(func() (string, error) {
	if path, err := exec.LookPath("pebble"); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "parley-peers", "pebble-"+pebbleVersion)
	path := filepath.Join(dir, "pebble")
	if _, err := os.Stat(path); err == nil || !Required("pebble") {
		return path, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(dir, "build-") // other tests may build it at the same time
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	cmd := exec.Command("go", "install", "github.com/letsencrypt/pebble/v2/cmd/pebble@"+pebbleVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+fresh, "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install pebble: %w: %s", err, out)
	}
	return path, os.Rename(filepath.Join(fresh, "pebble"), path)
})

// Pebble starts the authority. It is gone when the test ends. Where it is missing the test is skipped; where PARLEY_PEERS
// names pebble it is built from its released module, and the test fails if that cannot be done.
func Pebble(t testing.TB, o PebbleOptions) *PebbleServer {
	t.Helper()
	path, err := pebbleBuilt()
	switch {
	case err != nil && Required("pebble"):
		t.Fatal(err)
	case err != nil, os.Getenv("PARLEY_PEERS") == "none":
		t.Skip("pebble is not installed")
	}
	p := &PebbleServer{T: t, options: o, dir: t.TempDir()}
	p.Roots = filepath.Join(p.dir, "own.pem")
	p.own()
	listen, management := freeLoopback(t), freeLoopback(t)
	p.Directory, p.management = "https://"+listen+"/dir", "https://"+management
	p.configure(listen, management)
	p.launch(path, serveNames(t))
	return p
}

// own makes the certificate of its own listeners.
func (p *PebbleServer) own() {
	p.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.T.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		p.T.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.T.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	p.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	for name, text := range map[string][]byte{p.Roots: text, filepath.Join(p.dir, "own-key.pem"): pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			p.T.Fatal(err)
		}
	}
}

func (p *PebbleServer) configure(listen, management string) {
	p.T.Helper()
	port := func(address string) (n int) {
		_, text, _ := net.SplitHostPort(address)
		if fmt.Sscan(text, &n); n == 0 {
			return 1 // nobody listens there
		}
		return n
	}
	validity := p.options.Validity
	if validity == 0 {
		validity = 90 * 24 * time.Hour
	}
	text, _ := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": management, "certificate": p.Roots, "privateKey": filepath.Join(p.dir, "own-key.pem"),
		"httpPort": port(p.options.HTTP), "tlsPort": port(p.options.TLS), "ocspResponderURL": "", "externalAccountBindingRequired": false,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": int(validity.Seconds())}},
	}})
	if err := os.WriteFile(filepath.Join(p.dir, "pebble.json"), text, 0o600); err != nil {
		p.T.Fatal(err)
	}
}

func (p *PebbleServer) launch(path, dns string) {
	p.T.Helper()
	cmd := exec.Command(path, "-config", filepath.Join(p.dir, "pebble.json"), "-dnsserver", dns)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		p.T.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal on the death of the parent is one on the death of the thread
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		p.T.Fatal(err)
	}
	p.process = cmd
	p.T.Cleanup(func() {
		p.Stop()
		if p.T.Failed() {
			text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			p.T.Logf("log of pebble:\n%s", text[max(0, len(text)-4000):])
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if res, err := p.client.Get(p.Directory); err == nil {
			res.Body.Close()
			return
		}
		select {
		case <-p.exited:
			text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			p.T.Fatalf("pebble ended: %s", text)
		default:
		}
		if time.Now().After(end) {
			p.T.Fatal("pebble does not start")
		}
	}
}

// Stop ends it.
func (p *PebbleServer) Stop() {
	p.process.Process.Kill() // fails only if it has ended
	<-p.exited
}

// Authority is what its certificates are from. It is another one each time that pebble starts.
func (p *PebbleServer) Authority() *x509.CertPool {
	p.T.Helper()
	res, err := p.client.Get(p.management + "/roots/0")
	if err != nil {
		p.T.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(text) {
		p.T.Fatalf("pebble's root: %v %s", err, text)
	}
	return pool
}

// freeLoopback is an address that nobody listens at.
func freeLoopback(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serveNames is a DNS server over TCP for which every name is at 127.0.0.1.
func serveNames(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() { l.Close(); group.Wait() })
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				answerNames(c)
			})
		}
	})
	return l.Addr().String()
}

// answerNames answers what comes over one connection (RFC 1035 §4.2.2).
func answerNames(c net.Conn) {
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(length[:]))
		var m dnsmessage.Message
		if _, err := io.ReadFull(c, b); err != nil || m.Unpack(b) != nil || len(m.Questions) != 1 {
			return
		}
		q := m.Questions[0]
		reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
		if q.Type == dnsmessage.TypeA {
			reply.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		}
		text, err := reply.Pack()
		if err != nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)); err != nil {
			return
		}
	}
}

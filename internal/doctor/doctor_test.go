package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/config"
)

const domain = "meet.example"

// pair writes a certificate and its key.
func pair(t *testing.T, dir, name string, names []string, from, to time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), 0o600)
	return certFile, keyFile
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// healthy is a server for the public at which nothing is wrong. It does not run.
func healthy(t *testing.T) Patient {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	p := Patient{
		Config: config.Default(), Data: data, Store: "sqlite:" + filepath.Join(data, "parley.db"),
		Advertised: []netip.Addr{netip.MustParseAddr("198.51.100.1")}, Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.1")},
		Now: time.Now(), Files: 65536, Synced: true,
		Free: func(string) (uint64, uint64, error) { return 10 << 30, 1 << 20, nil },
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("198.51.100.1")}, nil
		},
	}
	p.Config.Domain, p.Config.Store = domain, p.Store
	p.Config.Listen = []config.Listener{{Scheme: "xmpp", Port: freePort(t)}, {Scheme: "turn", Port: freePort(t)}}
	p.Config.TLS.Certificate, p.Config.TLS.Key = pair(t, dir, "good", []string{domain}, p.Now.Add(-time.Hour), p.Now.Add(60*24*time.Hour))
	return p
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

func faults(found []Finding) (list []string) {
	for _, f := range found {
		if f.Level == Fault {
			list = append(list, f.Check+": "+f.Text)
		}
	}
	return list
}

func TestHealthyServerHasNoFault(t *testing.T) {
	if f := faults(Examine(t.Context(), healthy(t))); len(f) > 0 {
		t.Errorf("%q", f)
	}
}

func TestNewServerHasNoFault(t *testing.T) {
	p := Here()
	p.Config = config.Default()
	p.Config.Listen = nil
	for _, l := range config.Default().Listen {
		l.Port = 0
		p.Config.Listen = append(p.Config.Listen, l)
	}
	p.Data = filepath.Join(t.TempDir(), "none")
	p.Store = "sqlite:" + p.Data + "/parley.db"
	if f := faults(Examine(t.Context(), p)); len(f) > 0 {
		t.Errorf("%q", f)
	}
	if _, err := os.Stat(p.Data); err == nil {
		t.Error("the doctor made the data directory")
	}
}

// TestFaultsAreNamed seeds one fault at a time and wants it, and no other, to be found.
func TestFaultsAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		seed  func(t *testing.T, p *Patient)
		wants []string
	}{
		"configuration with an unknown key": {func(_ *testing.T, p *Patient) {
			_, p.ConfigErr = config.Parse("parley.toml", []byte("\ndomian = \"x\"\n"))
		}, []string{"config: parley.toml:2: domian: unknown key, perhaps domain is meant"}},
		"weak secret of an issuer": {func(_ *testing.T, p *Patient) {
			c, err := config.Parse("a", []byte("[[token.issuers]]\nname = \"app\"\naudiences = [\"app\"]\nsecrets = [\"short\"]\n"))
			if err != nil {
				panic(err)
			}
			p.Config.Token = c.Token
		}, []string{`config: token: issuer "app"`, "needs 32"}},
		"port that another process holds": {func(t *testing.T, p *Patient) {
			l, err := net.Listen("tcp", ":0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			p.Config.Listen[0].Port = l.Addr().(*net.TCPAddr).AddrPort().Port()
		}, []string{"ports: xmpp://", fmt.Sprintf("taken by doctor.test (process %d)", os.Getpid()), "stop it, or change listen"}},
		"UDP port that another process holds": {func(t *testing.T, p *Patient) {
			c, err := net.ListenPacket("udp", ":0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			p.Config.Listen[1].Port = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		}, []string{"ports: turn://", "udp port", fmt.Sprintf("process %d", os.Getpid())}},
		"certificate that has expired": {func(t *testing.T, p *Patient) {
			p.Config.TLS.Certificate, p.Config.TLS.Key = pair(t, filepath.Dir(p.Data), "old", []string{domain}, p.Now.Add(-48*time.Hour), p.Now.Add(-time.Hour))
		}, []string{"certificate: ", "old.pem expired on", "renew it"}},
		"certificate that will expire": {func(t *testing.T, p *Patient) {
			p.Config.TLS.Certificate, p.Config.TLS.Key = pair(t, filepath.Dir(p.Data), "old", []string{domain}, p.Now.Add(-48*time.Hour), p.Now.Add(5*24*time.Hour))
		}, []string{"certificate: ", "old.pem expires on", "by itself"}},
		"certificate for another name": {func(t *testing.T, p *Patient) {
			p.Config.TLS.Certificate, p.Config.TLS.Key = pair(t, filepath.Dir(p.Data), "other", []string{"other.example"}, p.Now.Add(-time.Hour), p.Now.Add(60*24*time.Hour))
		}, []string{"certificate: ", "is for other.example, not for meet.example"}},
		"key of another certificate": {func(t *testing.T, p *Patient) {
			_, p.Config.TLS.Key = pair(t, filepath.Dir(p.Data), "other", []string{domain}, p.Now.Add(-time.Hour), p.Now.Add(60*24*time.Hour))
		}, []string{"certificate: the key", "other-key.pem does not belong to the certificate", "good.pem"}},
		"key that everybody may read": {func(t *testing.T, p *Patient) {
			os.Chmod(p.Config.TLS.Key, 0o644)
		}, []string{"certificate: everybody on this machine may read the key", "chmod 640"}},
		"certificate that is not there": {func(_ *testing.T, p *Patient) {
			p.Config.TLS.Certificate += ".gone"
		}, []string{"certificate: ", "no such file", "tls.certificate"}},
		"private address for the public": {func(_ *testing.T, p *Patient) {
			p.Advertised = []netip.Addr{netip.MustParseAddr("10.0.0.5")}
			p.Addresses = append(p.Addresses, p.Advertised...)
		}, []string{"address: clients are told to send media to 10.0.0.5", `advertise = ["OUTER ADDRESS"]`}},
		"loopback address for the public": {func(_ *testing.T, p *Patient) {
			p.Advertised = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		}, []string{"address: clients are told to send media to 127.0.0.1, which is their own machine"}},
		"name that is not in the DNS": {func(_ *testing.T, p *Patient) {
			p.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
		}, []string{"domain: meet.example has no address in the DNS: add an A or AAAA record"}},
		"name that leads elsewhere": {func(_ *testing.T, p *Patient) {
			p.Resolve = func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("203.0.113.9")}, nil
			}
		}, []string{"domain: meet.example points to 203.0.113.9, which is not this machine"}},
		"clock that was set back": {func(t *testing.T, p *Patient) {
			write(t, filepath.Join(p.Data, "run.json"), "{}", 0o600)
			later := p.Now.Add(24 * time.Hour)
			if err := os.Chtimes(filepath.Join(p.Data, "run.json"), later, later); err != nil {
				t.Fatal(err)
			}
		}, []string{"clock: the clock says", "run.json was written at", "set the clock"}},
		"few file descriptors": {func(_ *testing.T, p *Patient) {
			p.Files = 1024
		}, []string{"files: the limit of file descriptors is 1024", "LimitNOFILE="}},
		"full disk": {func(_ *testing.T, p *Patient) {
			p.Free = func(string) (uint64, uint64, error) { return 3 << 20, 1 << 20, nil }
		}, []string{"disk: only 3 MB are free", "make room"}},
		"disk without inodes": {func(_ *testing.T, p *Patient) {
			p.Free = func(string) (uint64, uint64, error) { return 3 << 30, 7, nil }
		}, []string{"disk: only 7 files more"}},
		"data that others may read": {func(_ *testing.T, p *Patient) {
			os.Chmod(p.Data, 0o755)
		}, []string{"data: others may enter", "chmod 700"}},
		"secrets that others may read": {func(t *testing.T, p *Patient) {
			write(t, filepath.Join(p.Data, "secrets.json"), "{}", 0o644)
		}, []string{"data: others may read", "secrets.json: chmod 600"}},
		"data directory that is a file": {func(t *testing.T, p *Patient) {
			os.Remove(p.Data)
			write(t, p.Data, "", 0o600)
			p.Store = "sqlite:" + filepath.Join(t.TempDir(), "db")
		}, []string{"data: ", "is not a folder", "--data"}},
		"store that is no database": {func(t *testing.T, p *Patient) {
			write(t, filepath.Join(p.Data, "parley.db"), strings.Repeat("not a database ", 1000), 0o600)
		}, []string{"store: ", "parley.db", "cannot start without its store"}},
		"store that is away": {func(t *testing.T, p *Patient) {
			p.Store = fmt.Sprintf("postgres://parley:hunter2@127.0.0.1:%d/parley?sslmode=disable", freePort(t))
		}, []string{"store: ", "refused"}},
		"folder of the store that is not there": {func(_ *testing.T, p *Patient) {
			p.Store = "sqlite:/nowhere/at/all/parley.db"
		}, []string{"store: ", "mkdir -p /nowhere/at/all"}},
		"server that is unwell": {func(t *testing.T, p *Patient) {
			p.PID, p.Bridge = os.Getpid(), os.Getpid()
			p.Health = func(context.Context) error { return errors.New("the store is away") }
			p.Config.Listen = []config.Listener{hold(t), {Scheme: "turn"}}
		}, []string{fmt.Sprintf("server: process %d runs, but: the store is away", os.Getpid())}},
		"server that was started with other listeners": {func(_ *testing.T, p *Patient) {
			p.PID, p.Bridge = os.Getpid(), os.Getpid()
			p.Health = func(context.Context) error { return nil }
			p.Config.Listen = p.Config.Listen[:1]
			p.Config.Listen = append(p.Config.Listen, config.Listener{Scheme: "turn"})
		}, []string{"ports: xmpp://", "does not hold tcp port", "restart it"}},
		"bridge that does not run": {func(t *testing.T, p *Patient) {
			p.PID = os.Getpid()
			p.Health = func(context.Context) error { return nil }
			p.Config.Listen = []config.Listener{hold(t), {Scheme: "media", Port: freePort(t)}, {Scheme: "turn", Port: freePort(t)}}
		}, []string{"bridge: it does not run", "the server's log says why"}},
		"media port that another than the bridge holds": {func(t *testing.T, p *Patient) {
			p.PID, p.Bridge = os.Getpid(), 1
			p.Health = func(context.Context) error { return nil }
			l := hold(t)
			udp, err := net.ListenPacket("udp", l.Address())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { udp.Close() })
			p.Config.Listen, p.Config.Media.TCP = []config.Listener{{Scheme: "media", Port: l.Port}}, false
		}, []string{"ports: media://", "does not hold udp port", fmt.Sprintf("doctor.test (process %d) does", os.Getpid())}},
		"media port that is taken": {func(t *testing.T, p *Patient) {
			p.Config.Listen = append(p.Config.Listen, config.Listener{Scheme: "media", Port: hold(t).Port})
		}, []string{"ports: media://", "tcp port", "is taken by doctor.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := healthy(t)
			c.seed(t, &p)
			found := faults(Examine(t.Context(), p))
			if len(found) != 1 {
				t.Fatalf("found %q", found)
			}
			for _, want := range c.wants {
				if !strings.Contains(found[0], want) {
					t.Errorf("%q is without %q", found[0], want)
				}
			}
			if strings.Contains(found[0], "hunter2") || strings.Contains(found[0], "\n") {
				t.Errorf("%q", found[0])
			}
		})
	}
}

// hold listens on a port for the time of the test.
func hold(t *testing.T) config.Listener {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return config.Listener{Scheme: "xmpp", Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}
}

func TestWhatIsWorthKnowingOfTheBridge(t *testing.T) {
	notes := func(change func(*Patient)) string {
		p := healthy(t)
		change(&p)
		text := ""
		for _, f := range Examine(t.Context(), p) {
			if f.Level == Note {
				text += f.Check + ": " + f.Text + "\n"
			}
		}
		return text
	}
	if s := notes(func(*Patient) {}); !strings.Contains(s, "no media listener") || strings.Contains(s, "buffers") {
		t.Error(s)
	}
	media := func(p *Patient) {
		p.Config.Listen = append(p.Config.Listen, config.Listener{Scheme: "media", Port: freePort(t)})
		p.Buffers = 8 << 20
	}
	if s := notes(media); strings.Contains(s, "media listener") || strings.Contains(s, "buffers") {
		t.Error(s)
	}
	if s := notes(func(p *Patient) { media(p); p.Buffers = 212992 }); !strings.Contains(s, "buffers of 208 kB only") {
		t.Error(s)
	}
}

// What a killed server has left is taken over by the next one: nobody is to stop it.
func TestBridgeThatWaitsForAServer(t *testing.T) {
	l := hold(t)
	p := healthy(t) // whose ports are other ones
	udp, err := net.ListenPacket("udp", l.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	p.Bridge = os.Getpid()
	p.Config.Listen = append(p.Config.Listen, config.Listener{Scheme: "media", Port: l.Port})
	found := Examine(t.Context(), p)
	if f := faults(found); len(f) > 0 {
		t.Errorf("%q", f)
	}
	for _, network := range []string{"tcp", "udp"} {
		want := fmt.Sprintf("media://:%d: %s port %d is held by doctor.test (process %d), the bridge of a server that was killed; the next server takes it over", l.Port, network, l.Port, os.Getpid())
		if !slices.Contains(found, Finding{Note, "ports", want}) {
			t.Errorf("%q is without %q", found, want)
		}
	}
}

func TestHolderOfAPortOnOneAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	want := fmt.Sprintf("doctor.test (process %d)", os.Getpid())
	for host, found := range map[string]bool{"127.0.0.1": true, "localhost": true, "": true, "0.0.0.0": true, "127.0.0.2": false, "::1": false} {
		if got := Holder("tcp", host, port); (got == want) != found {
			t.Errorf("%s: %q", host, got)
		}
	}
	if got := Holder("udp", "127.0.0.1", port); got != "" {
		t.Errorf("udp: %q", got)
	}
}

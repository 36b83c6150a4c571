package xmpp

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/bench"
	"parley/internal/event"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/muc"
	"parley/xmpp/archive"
	"parley/xmpp/auth"
	"parley/xmpp/c2s"
	"parley/xmpp/im"
	"parley/xmpp/route"
	"parley/xmpp/s2s"
	"parley/xmpp/wire"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testPassword = "bench-password"

// accounts are u0, u1 ... without end.
// testUsers is how many accounts the server has.
const testUsers = 40

type accounts []store.Credential

func (a accounts) Account(_ context.Context, addr string) (store.Account, error) {
	if name, ok := strings.CutPrefix(addr, "u"); !ok || !strings.HasSuffix(name, "@localhost") {
		return store.Account{}, store.ErrNotFound
	}
	return store.Account{Addr: addr, Credentials: a}, nil
}

type rooms struct{ *muc.Service }

func (r rooms) Handle(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	r.Service.Handle(b, s, to, p)
}

// spec starts the parts of the server that the workloads need, in this process, and describes it for --server.
func spec(t *testing.T) string { return start(t, false) }

// keeper is the archive as the host wants it.
type keeper struct{ *archive.Service }

func (k keeper) Keep(m im.Kept, done func(error)) (sender, recipient string) {
	return k.Service.Keep(archive.Kept(m), done)
}

// owners are the accounts as the archive wants them.
type owners struct{ *im.Host }

func (owners) Knows(context.Context, wire.Addr, wire.Addr) (bool, error) { return false, nil }

// start starts a server, with archives if archived.
func start(t *testing.T, archived bool) string {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	rec := event.New(log, prometheus.NewRegistry(), false)
	router := route.New(rec)
	host := im.New("localhost", router)
	credentials, err := auth.NewCredentials(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	logins, err := auth.New(auth.DefaultConfig(), "localhost", bytes.Repeat([]byte("s"), 32), accounts(credentials), nil, rec)
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlstore.Open(t.Context(), "sqlite:"+t.TempDir()+"/rooms.db", sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range testUsers {
		if err := st.CreateAccount(t.Context(), store.Account{Addr: "u" + strconv.Itoa(i) + "@localhost"}); err != nil { // tokens belong to accounts
			t.Fatal(err)
		}
	}
	logins.Fast(st)
	if archived {
		host.Keep(st, im.DefaultLimits(), rec)
		kept, err := archive.New(t.Context(), archive.DefaultConfig(), st, owners{host}, rec)
		if err != nil {
			t.Fatal(err)
		}
		host.SetArchive(keeper{kept})
		host.HandleIQ("query", archive.NS, kept.Handle)
	}
	service, err := muc.New(muc.Config{Domain: "muc.localhost"}, router, st, rec)
	if err != nil {
		t.Fatal(err)
	}
	router.Serve("muc.localhost", rooms{service})
	outside := s2s.Defaults()
	outside.Hosts = []s2s.Host{{Domain: bench.Elsewhere, Address: bench.Elsewhere + ":5269"}}
	federation, err := s2s.New(outside, s2s.Parts{Domains: []string{"localhost"}, Router: router, TLS: certificate(t), Secret: []byte("secret"), Recorder: rec, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	router.SetRemote(federation)
	cfg := c2s.Defaults()
	cfg.Domain, cfg.Insecure, cfg.TLS = "localhost", true, certificate(t)
	cfg.Unlimited()
	srv := c2s.New(cfg, router, logins, rec, log, nil)
	ctx, cancel := context.WithCancel(context.Background())
	swept := make(chan struct{})
	go func() { srv.Run(ctx); close(swept) }()
	plain, direct := listener(t), listener(t)
	go srv.Serve(plain, false)
	go srv.Serve(direct, true)
	t.Cleanup(func() {
		plain.Close()
		direct.Close()
		cancel()
		<-swept
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := federation.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := service.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := host.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return fmt.Sprintf("parley=pid:%d,plain:%s,tls:%s,domain:localhost,muc:muc.localhost,users:%d,password:%s", os.Getpid(), plain.Addr(), direct.Addr(), testUsers, testPassword)
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	cert, err := bench.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }}
}

// tiny is every workload at a size that takes a second.
func tiny(t *testing.T, servers ...string) Options {
	o := Defaults()
	o.With, o.Server = nil, servers
	o.Rounds, o.Warm, o.Duration, o.Settle, o.Patience = 1, 20*time.Millisecond, 100*time.Millisecond, 20*time.Millisecond, 2*time.Second
	o.Pairs, o.Window, o.Occupants, o.Speakers, o.Joiners, o.Calls, o.Idle, o.Crowd, o.Churn = 2, 4, 5, 2, 12, 2, 20, 40, 20
	o.Accounts = 40
	o.Progress = t.Output()
	return o
}

// thief lies between the clients and a server, and steals from what the server sends.
type thief struct {
	steal func(el *element) bool // called by one goroutine at a time
	once  atomic.Bool
	taken atomic.Int64
}

// robbed returns the description with the thief's address in it.
func (th *thief) robbed(t *testing.T, spec string) string {
	t.Helper()
	s, err := bench.ParseServer(spec)
	if err != nil {
		t.Fatal(err)
	}
	l := listener(t)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", s.Plain)
			if err != nil {
				nc.Close()
				continue
			}
			go func() { io.Copy(up, nc); up.Close() }()
			go th.serve(nc, up)
		}
	}()
	return strings.Replace(spec, s.Plain, l.Addr().String(), 1)
}

func (th *thief) serve(nc, up net.Conn) {
	defer nc.Close()
	c := &client{nc: up, buf: make([]byte, 4<<10)}
	for {
		el, err := c.next()
		if err != nil {
			return
		}
		if th.steal(&el) && th.once.CompareAndSwap(false, true) {
			th.taken.Add(1)
			continue
		}
		if _, err := nc.Write(el.raw); err != nil {
			return
		}
	}
}

// number returns the number that a message of the 1:1 load carries.
func number(el *element) int {
	n, err := strconv.Atoi(string(el.attr("id")))
	if !el.is("message") || err != nil {
		return -1
	}
	return n
}

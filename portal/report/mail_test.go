package report

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/store"
)

// sink is a mail server that keeps what it is given.
type sink struct {
	net.Listener
	testing.TB
	cert  *tls.Certificate // nil: it does not offer STARTTLS
	group sync.WaitGroup

	mu     sync.Mutex
	broken int  // mails that it refuses first
	rude   bool // it goes when it has a mail, without a goodbye
	tries  int
	mails  []string
	logins []string
	secure bool // the last came by TLS
	to     []string
}

func newSink(t testing.TB) *sink {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{Listener: l, TB: t}
	s.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.group.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); s.group.Wait() })
	return s
}

func (s *sink) serve(c net.Conn) {
	defer func() { c.Close() }()
	c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	say := func(text string) { io.WriteString(c, text+"\r\n") }
	say("220 sink ESMTP")
	var to []string
	secure := false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-sink")
			if s.cert != nil && !secure {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go on")
			c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*s.cert}})
			r, secure = bufio.NewReader(c), true
		case "AUTH":
			text, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			s.mu.Lock()
			s.logins = append(s.logins, strings.ReplaceAll(string(text), "\x00", " "))
			s.mu.Unlock()
			say("235 welcome")
		case "RCPT":
			to = append(to, rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(line, "."))
			}
			s.mu.Lock()
			s.tries++
			refuse := s.tries <= s.broken
			if !refuse {
				s.mails, s.to, s.secure = append(s.mails, b.String()), to, secure
			}
			s.mu.Unlock()
			if refuse {
				say("451 later")
			} else {
				say("250 taken")
				if s.rude {
					return
				}
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

func (s *sink) config() Config {
	c := Defaults()
	c.To, c.Host, c.Port, c.StartTLS, c.Zone, c.Retry = []string{"ann@example.org", "bob@example.org"}, "127.0.0.1", s.Addr().(*net.TCPAddr).Port, "off", "Europe/Berlin", time.Second
	return c
}

func reporter(t testing.TB, c Config, s store.Store, start time.Time) *Reporter {
	t.Helper()
	r, err := New(c, Options{Domain: "meet.example", Store: s})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	r.now = func() time.Time { return start.Add(time.Since(begun)) }
	return r
}

// run runs reporters until the test ends.
func run(t testing.TB, list ...*Reporter) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, r := range list {
		group.Go(func() { r.Run(ctx) })
	}
	t.Cleanup(func() { cancel(); group.Wait() })
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: it has not come to that", what)
		}
	}
}

// Many servers on one PostgreSQL at midnight: one mail, with the day that has ended.
func TestR22OneMailForACluster(t *testing.T) {
	url := peertest.Postgres(t).Database(t)
	s := newSink(t)
	first, second := open(t, url), open(t, url)
	fixture(t, first)
	midnight := day.AddDate(0, 0, 1)
	// The day before that one was mailed when it ended.
	if ok, err := first.LeaseReport(context.Background(), "2026-07-31", "x", day, day); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := first.ReportMailed(context.Background(), "2026-07-31", "x", day); err != nil {
		t.Fatal(err)
	}
	var list []*Reporter
	for range 4 {
		list = append(list, reporter(t, s.config(), first, midnight.Add(-3*time.Second)), reporter(t, s.config(), second, midnight.Add(-3*time.Second)))
	}
	run(t, list...)
	eventually(t, "it is mailed", func() bool { return len(s.got()) > 0 })
	asked := 0
	eventually(t, "all have asked again", func() bool { asked++; return asked > 200 })
	mails := s.got()
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	m, err := mail.ReadMessage(strings.NewReader(mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"From": "<parley@meet.example>", "To": "<ann@example.org>, <bob@example.org>", "Subject": "Calls of 2026-08-01 at meet.example", "Message-ID": "<calls.2026-08-01.Europe-Berlin@meet.example>", "Auto-Submitted": "auto-generated"} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(s.to) != 2 {
		t.Errorf("to %v", s.to)
	}
	d, err := Make(context.Background(), first, day)
	if err != nil {
		t.Fatal(err)
	}
	html, _ := d.HTML()
	lines := func(b []byte) string { return strings.ReplaceAll(string(b), "\r\n", "\n") }
	want := []string{lines(d.Text()), lines(html), lines(d.CountriesCSV()), lines(d.CSV())}
	if got := parts(t, m.Header.Get("Content-Type"), m.Body); len(got) != 4 || lines([]byte(got[0])) != want[0] || lines([]byte(got[1])) != want[1] || lines([]byte(got[2])) != want[2] || lines([]byte(got[3])) != want[3] {
		t.Errorf("the parts are %q", got)
	}
	for _, l := range strings.Split(mails[0], "\r\n") {
		if len(l) > 200 {
			t.Errorf("a line of %d bytes", len(l))
		}
	}
}

// parts are those of a mail, decoded.
func parts(t testing.TB, kind string, body io.Reader) (list []string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(kind)
	if err != nil {
		t.Fatal(kind, err)
	}
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "multipart/") {
			list = append(list, parts(t, p.Header.Get("Content-Type"), p)...)
			continue
		}
		var from io.Reader = quotedprintable.NewReader(p)
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			from = base64.NewDecoder(base64.StdEncoding, p)
		}
		b, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(b))
	}
}

// A mail server that refuses is asked again; a server that comes up after midnight mails what was not; one that finds it mailed does not.
func TestR22RetriedUntilItIsMailed(t *testing.T) {
	s := newSink(t)
	s.broken = 2
	db := sqlite(t)
	fixture(t, db)
	noon := day.AddDate(0, 0, 1).Add(12 * time.Hour)
	r := reporter(t, s.config(), db, noon)
	var noted atomic.Bool
	r.o.Fate = func(_ string, err error) { noted.Store(err == nil) } // whoever asks for the lease meanwhile might get it
	run(t, r)
	eventually(t, "it is mailed and noted", noted.Load)
	if ok, err := db.LeaseReport(context.Background(), "2026-08-01", "other", noon.Add(time.Hour*8), noon.Add(time.Hour*9)); ok || err != nil {
		t.Errorf("it is to be mailed again: %v %v", ok, err)
	}
	late := reporter(t, s.config(), db, noon.Add(time.Hour))
	if done, err := late.once(context.Background(), day); done || err != nil {
		t.Errorf("%v %v", done, err)
	}
	if n := len(s.got()); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// Who leased a report and died leaves it to others when the lease has ended.
func TestALeaseOfTheDeadEnds(t *testing.T) {
	s := newSink(t)
	db := sqlite(t)
	fixture(t, db)
	noon := day.AddDate(0, 0, 1).Add(12 * time.Hour)
	if ok, err := db.LeaseReport(context.Background(), "2026-08-01", "dead", noon, noon.Add(2*time.Second)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	r := reporter(t, s.config(), db, noon)
	if done, err := r.once(context.Background(), day); done || err != nil || len(s.got()) != 0 {
		t.Errorf("%v %v", done, err)
	}
	run(t, r)
	eventually(t, "it is mailed", func() bool { return len(s.got()) == 1 })
}

func certificate(t testing.TB) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sink"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// A password goes by TLS to whom it is for, and not at all where TLS is required and cannot be had.
func TestMailServersAreTrustedByCertificate(t *testing.T) {
	s := newSink(t)
	db := sqlite(t)
	c := s.config()
	c.StartTLS, c.User, c.Password = "required", "ann", "secret"
	r := reporter(t, c, db, day.Add(time.Hour))
	d, err := r.Day(context.Background(), "2026-08-01")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := r.Mail(ctx, d); err == nil {
		t.Error("it is sent without TLS")
	}
	var pool *x509.CertPool
	s.cert, pool = certificate(t)
	if err := r.Mail(ctx, d); err == nil {
		t.Error("it is sent to a stranger")
	}
	if len(s.logins) != 0 || len(s.got()) != 0 {
		t.Errorf("%v %d", s.logins, len(s.got()))
	}
	r.trust = &tls.Config{RootCAs: pool}
	if err := r.Mail(ctx, d); err != nil {
		t.Fatal(err)
	}
	if !s.secure || fmt.Sprint(s.logins) != "[ ann secret]" || len(s.got()) != 1 {
		t.Errorf("%v %v %d", s.secure, s.logins, len(s.got()))
	}
	// What the server has taken is mailed, though it does not say goodbye.
	s.rude = true
	if err := r.Mail(ctx, d); err != nil || len(s.got()) != 2 {
		t.Errorf("%v, %d mails", err, len(s.got()))
	}
	for _, bad := range []string{"2026-08-03", "2026-13-01", "", "../x", "1999-01-01"} {
		if _, err := r.Day(ctx, bad); err == nil {
			t.Errorf("there is a report of %q", bad)
		}
	}
}

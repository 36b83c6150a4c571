package s2s

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	"github.com/prometheus/client_golang/prometheus"
)

// lonely is a server that reaches nobody and takes no time.
func lonely(t testing.TB, cert tls.Certificate) *Server {
	t.Helper()
	rec := event.New(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), false)
	router := route.New(rec)
	d := &desk{domain: "a.example", router: router}
	router.SetAccounts(d)
	router.Serve("a.example", d)
	cfg := Defaults()
	cfg.Peer.Bytes, cfg.Peer.Stanzas = limit.Rate{}, limit.Rate{}
	srv, err := New(cfg, Parts{Domains: []string{"a.example"}, Router: router, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Secret: []byte("secret"), Recorder: rec, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	router.SetRemote(srv)
	srv.linger = 2 * time.Millisecond
	return srv
}

// FuzzNegotiation: whatever another server says, on a stream that it opened or that we did, with TLS or without, the stream
// ends when it does, what we say is a stream that the scanner takes, and nothing is believed from anybody.
func FuzzNegotiation(f *testing.F) {
	srv := lonely(f, (*authority)(nil).issue(f, []string{"a.example"}))
	h := header("b.example", "a.example", "1")
	for _, s := range []string{
		h + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
		h + "<bidi xmlns='urn:xmpp:bidi'/><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
		h + "<db:verify from='b.example' to='a.example' id='1'>key</db:verify><db:result from='a.example' to='a.example'>key</db:result></stream:stream>",
		h + "<db:result from='b.example' to='a.example'>key</db:result><message from='x@b.example' to='a.example'/>",
		h + "<enable xmlns='urn:xmpp:sm:3'/><r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1'/><resume xmlns='urn:xmpp:sm:3'/>",
		h + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
		h + "<stream:features><bidi xmlns='urn:xmpp:features:bidi'/>" + offersExternal + "</stream:features><success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>" +
			h + "<stream:features>" + offersCounts + "</stream:features><enabled xmlns='urn:xmpp:sm:3'/><message from='x@b.example' to='a.example'/>",
		h + "<stream:features>" + offersExternal + "</stream:features><failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure><db:result from='b.example' to='a.example' type='valid'/>",
		h + "<stream:features/><db:result from='b.example' to='a.example' type='error'><error><x xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
		h + "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>no</text></stream:error>",
	} {
		f.Add([]byte(s), true, true)
		f.Add([]byte(s), true, false)
		f.Add([]byte(s), false, true)
		f.Add([]byte(s), false, false)
	}
	f.Fuzz(func(t *testing.T, said []byte, initiated, secure bool) {
		ours, theirs := net.Pipe()
		s := newStream(srv, ours, initiated)
		s.secure, s.until = secure, time.Now().Add(10*time.Second)
		s.bytes, s.count = limit.Bucket{}, limit.Bucket{}
		if initiated {
			s.local, s.remote = "a.example", "b.example"
		} else {
			srv.streams[s.number] = s
		}
		heard := make(chan string)
		go func() {
			text, _ := io.ReadAll(theirs)
			heard <- string(text)
		}()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if !initiated {
				s.serve(s.greet)
				return
			}
			o, err := s.openSecure()
			if err == nil {
				_, _, err = s.prove(o, nil)
			}
			if err == nil {
				err = io.EOF
			}
			s.fail(err)
		}()
		theirs.SetWriteDeadline(time.Now().Add(10 * time.Second))
		theirs.Write(said)
		s.stop(io.EOF)
		<-done
		ours.Close()
		text := <-heard
		theirs.Close()
		if n := len(*s.trusted.Load()); n > 0 && !initiated {
			t.Fatalf("%d domains are trusted", n)
		}
		plain, _, _ := strings.Cut(text, "\x16\x03") // where TLS begins
		checkStream(t, plain)
	})
}

// checkStream reads what we said as another server would.
func checkStream(t *testing.T, text string) {
	t.Helper()
	scan := wire.Scanner{Limits: wire.AfterAuth, Root: "db"}
	for b := []byte(text); len(b) > 0; {
		if strings.HasPrefix(string(b), "<?xml") {
			n, _, err := wire.ParseHeader(b, wire.AfterAuth)
			if err != nil {
				t.Fatalf("we said %q: %v", text, err)
			}
			b = b[n:]
			continue
		}
		n, _, err := scan.Next(b)
		if err == wire.ErrClosed && n == len(b) || err == wire.ErrIncomplete {
			return
		}
		if err != nil {
			t.Fatalf("we said %q: %v", text, err)
		}
		b = b[n:]
	}
}

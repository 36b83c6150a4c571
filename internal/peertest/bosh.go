package peertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/xmpp/wire"
)

// bosh is a stream over BOSH (XEP-0124, XEP-0206). One goroutine keeps the order of requests and answers, has one request wait at
// the server and at most two on their way, and hands over what comes.
type bosh struct {
	url, host string
	web       *http.Client
	sid       string
	rid       int64
	out       chan boshRequest // from the test
	in        chan string      // elements; closed with the stream
	cancel    context.CancelFunc
	ended     chan struct{}
}

type boshRequest struct{ attrs, content string }

// DialBOSH begins a session at a URL; nothing is asked before Open. A certificate is not checked.
func DialBOSH(t testing.TB, url, host string) *Client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &bosh{
		url: url, host: host, web: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}, rid: 1<<30 + 7,
		out: make(chan boshRequest, 256), in: make(chan string, 4096), cancel: cancel, ended: make(chan struct{}),
	}
	go b.run(ctx)
	t.Cleanup(b.close)
	return &Client{T: t, Host: host, bosh: b}
}

// close leaves the session to its fate, as a client does whose network is gone.
func (b *bosh) close() {
	b.cancel()
	<-b.ended
	b.web.CloseIdleConnections()
}

// open begins the session, or restarts the stream in it (XEP-0206 §5).
func (b *bosh) open() {
	attrs := fmt.Sprintf(" to='%s' xml:lang='en' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'", b.host)
	if b.rid == 1<<30+7 {
		attrs += " ver='1.11' wait='30' hold='1' content='text/xml; charset=utf-8'"
	} else {
		attrs += " xmpp:restart='true'"
	}
	b.out <- boshRequest{attrs: attrs}
}

// Terminate ends the session of a client over BOSH (XEP-0124 §13).
func (p *Client) Terminate() { p.bosh.out <- boshRequest{attrs: " type='terminate'"} }

func (b *bosh) send(element string) { b.out <- boshRequest{content: element} }

// read returns the next element, "" at the end of the stream, and false if none comes in time.
func (b *bosh) read(d time.Duration) (string, bool) {
	select {
	case e := <-b.in:
		return e, true
	case <-time.After(d):
		return "", false
	}
}

// run is the order of requests: those of the test as soon as there is room for them, an empty one where none waits.
func (b *bosh) run(ctx context.Context) {
	defer close(b.ended)
	defer close(b.in)
	answers := make(chan []byte, 2)
	var turn chan struct{} // closed when the answer before has been handed over
	waiting := 0           // requests on their way
	defer func() {
		b.cancel()
		for ; waiting > 0; waiting-- {
			<-answers
		}
	}()
	post := func(r boshRequest) {
		body := fmt.Sprintf("<body xmlns='http://jabber.org/protocol/httpbind' rid='%d'%s%s>%s</body>", b.rid, b.session(), r.attrs, r.content)
		b.rid++
		waiting++
		before, mine := turn, make(chan struct{})
		turn = mine
		go func() {
			answer := b.post(ctx, body)
			if before != nil {
				<-before
			}
			answers <- answer
			close(mine)
		}()
	}
	for {
		var out chan boshRequest
		if waiting < 2 && (b.sid != "" || waiting == 0) {
			out = b.out
		}
		if b.sid != "" && waiting == 0 && len(b.out) == 0 {
			post(boshRequest{})
			continue
		}
		select {
		case <-ctx.Done():
			return
		case r := <-out:
			for r.attrs == "" && len(b.out) > 0 { // what was said at once goes at once, up to a restart
				next := <-b.out
				if next.attrs != "" {
					post(r)
					r = next
					break
				}
				r.content += next.content
			}
			post(r)
		case answer := <-answers:
			waiting--
			if !b.hand(answer) {
				return
			}
		}
	}
}

func (b *bosh) session() string {
	if b.sid == "" {
		return ""
	}
	return " sid='" + b.sid + "'"
}

func (b *bosh) post(ctx context.Context, body string) []byte {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(body))
	if err != nil {
		return nil
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	res, err := b.web.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil
	}
	return text
}

// hand gives the elements of an answer to the test and reports that the session goes on.
func (b *bosh) hand(answer []byte) bool {
	limits := wire.AfterAuth
	limits.Size, limits.Depth = 16<<20, limits.Depth+1
	scan := wire.Scanner{Limits: limits}
	_, p, err := scan.Next(bytes.TrimSpace(answer))
	if err != nil {
		return false
	}
	e := p.Elem()
	if b.sid == "" {
		b.sid = e.AttrString("sid")
	}
	for it := e.Children(); it.Next(); {
		b.in <- string(it.Elem.Raw())
	}
	if e.AttrString("type") == "terminate" {
		b.in <- "</stream:stream>"
		return false
	}
	return true
}

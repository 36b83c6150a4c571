package transcript

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TCP is a server that is reached over plain TCP with SASL PLAIN.
type TCP struct {
	T                                       testing.TB
	Label, Addr, Domain, Conference, Secret string
}

// Name returns the label.
func (s *TCP) Name() string { return s.Label }

// Host returns the domain of the accounts.
func (s *TCP) Host() string { return s.Domain }

// Rooms returns the domain of the rooms.
func (s *TCP) Rooms() string { return s.Conference }

const tcpPatience = 10 * time.Second

// Login starts a session, which ends with the test.
func (s *TCP) Login(account, resource string) (Session, error) {
	conn, err := net.DialTimeout("tcp", s.Addr, tcpPatience)
	if err != nil {
		return nil, err
	}
	c := &tcpSession{conn: conn, domain: s.Domain, addr: account + "@" + s.Domain + "/" + resource}
	s.T.Cleanup(c.close)
	auth := base64.StdEncoding.EncodeToString([]byte("\x00" + account + "\x00" + s.Secret))
	for _, step := range []struct{ send, want string }{
		{c.header(), "features"},
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + auth + "</auth>", "success"},
		{c.header(), "features"},
		{"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>", "iq"},
	} {
		if strings.HasPrefix(step.send, "<?xml") {
			c.restart()
		}
		if err := c.write(step.send); err != nil {
			return nil, err
		}
		got, err := c.read()
		if err != nil {
			return nil, err
		}
		if !strings.Contains(got, step.want) || strings.Contains(got, "type='error'") {
			return nil, fmt.Errorf("%s instead of %s", got, step.want)
		}
	}
	if err := c.write("<presence/>"); err != nil {
		return nil, err
	}
	_, err = c.Receive() // its own presence
	return c, err
}

// tcpSession is used by one goroutine.
type tcpSession struct {
	conn         net.Conn
	buf          *bufio.Reader
	domain, addr string
	dec          *xml.Decoder
	seen         *tee
	queue        []string
	pings        int
	once         sync.Once
}

// tee keeps what is read until it is used, and reads byte by byte so that nothing is lost at a restart of the stream.
type tee struct {
	r    io.Reader
	kept bytes.Buffer
	base int64 // offset of the decoder at which kept begins
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.r.Read(p[:1])
	t.kept.Write(p[:n])
	return n, err
}

// ReadByte keeps the decoder from reading ahead.
func (t *tee) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(t, b[:])
	return b[0], err
}

func (c *tcpSession) header() string {
	return "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='" + c.domain + "'>"
}

func (c *tcpSession) restart() {
	if c.buf == nil {
		c.buf = bufio.NewReader(c.conn)
	}
	c.seen = &tee{r: c.buf}
	c.dec = xml.NewDecoder(c.seen)
}

func (c *tcpSession) write(s string) error {
	c.conn.SetDeadline(time.Now().Add(tcpPatience))
	_, err := io.WriteString(c.conn, s)
	return err
}

// read returns the next element of the stream.
func (c *tcpSession) read() (string, error) {
	depth := 0
	var from int64
	for {
		at := c.dec.InputOffset()
		tok, err := c.dec.RawToken()
		if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if tok.Name.Local == "stream" && tok.Name.Space == "stream" {
				continue
			}
			if depth == 0 {
				from = at
			}
			depth++
		case xml.EndElement:
			if depth--; depth < 0 {
				return "", errors.New("the server has closed the stream")
			}
			if depth == 0 {
				end := c.dec.InputOffset()
				c.seen.kept.Next(int(from - c.seen.base))
				raw := string(c.seen.kept.Next(int(end - from)))
				c.seen.base = end
				return raw, nil
			}
		}
	}
}

func (c *tcpSession) Addr() string { return c.addr }

func (c *tcpSession) Send(stanza string) error {
	if err := c.write(stanza); err != nil {
		return err
	}
	return c.sync()
}

// sync asks the server for an answer, which comes behind everything that it has sent before.
func (c *tcpSession) sync() error {
	c.pings++
	id := fmt.Sprintf("sync-%d", c.pings)
	if err := c.write("<iq type='get' to='" + c.domain + "' id='" + id + "'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
		return err
	}
	for {
		raw, err := c.read()
		if err != nil {
			return err
		}
		if strings.HasPrefix(raw, "<iq") && strings.Contains(raw, id) {
			return nil
		}
		c.queue = append(c.queue, raw)
	}
}

func (c *tcpSession) Receive() ([]string, error) {
	err := c.sync()
	got := c.queue
	c.queue = nil
	return got, err
}

func (c *tcpSession) Vanish() error {
	c.close()
	return nil
}

func (c *tcpSession) close() { c.once.Do(func() { c.conn.Close() }) }

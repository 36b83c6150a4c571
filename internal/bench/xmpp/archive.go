package xmpp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/internal/bench"
)

// One account has an archive (XEP-0313) of very many messages, which it was sent over XMPP unless they are there already; one of its sessions reads it
// backward, page by page, and from the end again when it has come to the start. Servers without archives have no row.

const (
	nsArchive = "urn:xmpp:mam:2"
	pageSize  = 50
	loadChunk = 64 // messages on their way while the archive is filled
)

var errNoArchive = errors.New("the server keeps no archive")

func (b *bout) archivePages() error {
	clients, err := b.sessions(2, plain)
	if err != nil {
		return err
	}
	from, to := clients[0], clients[1]
	if _, _, err := to.page(""); errors.Is(err, errNoArchive) {
		return nil
	} else if err != nil {
		return err
	}
	for _, c := range clients {
		if err := present(c); err != nil {
			return err
		}
	}
	if err := b.fillArchive(from, to); err != nil {
		return err
	}
	var took []time.Duration
	before := ""
	read := func(stop func() bool) error {
		for !stop() {
			start := time.Now()
			n, first, err := to.page(before)
			if err != nil {
				return err
			}
			if n < pageSize { // the start, or a part of a page in front of it
				if before == "" {
					return fmt.Errorf("the last page has %d messages", n)
				}
				before = ""
				continue
			}
			took = append(took, time.Since(start))
			before = first
		}
		return nil
	}
	warm := time.Now().Add(b.o.Warm)
	if err := read(func() bool { return time.Now().After(warm) && len(took) > 0 }); err != nil {
		return err
	}
	took = took[:0]
	s, err := b.spend(func() error {
		until := time.Now().Add(b.o.Duration)
		return read(func() bool { return time.Now().After(until) && len(took) >= 20 })
	})
	if err != nil {
		return err
	}
	s.work = int64(len(took))
	row := fmt.Sprintf("page of %d from an archive of %d", pageSize, b.o.Archived)
	b.perUnit(row+": CPU per page", s, 0)
	b.value(row+": p50", "ms", milliseconds(bench.Percentile(took, 0.5)))
	b.value(row+": p95", "ms", milliseconds(bench.Percentile(took, 0.95)))
	return nil
}

// fillArchive sends messages of 200 bytes, a chunk when the one before has arrived, and waits until the archive shows the
// last of them. One that shows it already, since somebody has filled the server's store, is left as it is.
func (b *bout) fillArchive(from, to *client) error {
	body := strings.Repeat("hello, world ", 6)
	last := "a" + strconv.Itoa(b.o.Archived-1)
	if there, err := to.shows(last); there || err != nil {
		return err
	}
	for sent := 0; sent < b.o.Archived; {
		n := min(loadChunk, b.o.Archived-sent)
		var out []byte
		for i := range n {
			id := "a" + strconv.Itoa(sent+i)
			out = append(out, "<message to='"+to.jid+"' type='chat' id='"+id+"'><body>"+body+id+"</body></message>"...)
		}
		from.write(out)
		left := n
		err := to.await(func(el *element) (bool, error) {
			if el.is("message") && el.has("<body>") {
				if string(el.attr("type")) == "error" {
					return false, wrong(to, el)
				}
				left--
			}
			return left == 0, nil
		})
		if err != nil {
			return fmt.Errorf("filling the archive, at %d: %w", sent, err)
		}
		sent += n
		select {
		case <-b.ctx.Done():
			return b.ctx.Err()
		default:
		}
	}
	shown := false
	ok, err := b.until(b.o.Patience, func() bool {
		shown, _ = to.shows(last)
		return shown
	})
	if err == nil && !ok {
		err = fmt.Errorf("%s is not in the archive", last)
	}
	return err
}

// page reads the page in front of the message with an id, or the last one, and returns how many messages it has and the id of
// the first.
func (c *client) page(before string) (n int, first string, err error) {
	return c.query(before, func(*element) {})
}

// shows reports that the last page has a message.
func (c *client) shows(id string) (is bool, err error) {
	_, _, err = c.query("", func(el *element) { is = is || el.has(" "+id+"<") })
	return is, err
}

func (c *client) query(before string, each func(el *element)) (n int, first string, err error) {
	c.send("<iq type='set' id='page'><query xmlns='" + nsArchive + "' queryid='q'><set xmlns='http://jabber.org/protocol/rsm'><max>" +
		strconv.Itoa(pageSize) + "</max><before>" + before + "</before></set></query></iq>")
	err = c.await(func(el *element) (bool, error) {
		switch {
		case el.is("message") && el.has("<result"):
			n++
			each(el)
		case el.is("iq") && string(el.attr("id")) == "page":
			if string(el.attr("type")) != "result" {
				if el.has("service-unavailable") || el.has("feature-not-implemented") {
					return false, errNoArchive
				}
				return false, fmt.Errorf("answered by %q", el.raw)
			}
			if set := el.between("<first", "</first>"); set != nil {
				_, first, _ = strings.Cut(string(set), ">")
			}
			return true, nil
		}
		return false, nil
	})
	return n, first, err
}

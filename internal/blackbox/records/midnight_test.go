package records

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
)

// mailServer keeps the subjects of the mails that it takes.
type mailServer struct {
	net.Listener
	mu       sync.Mutex // guards what follows
	refuse   bool
	refused  int
	subjects []string
}

func startMailServer(t testing.TB) *mailServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailServer{Listener: l}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { m.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); group.Wait() })
	return m
}

func (m *mailServer) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * patience))
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 here\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.TrimSpace(line)); {
		case verb == "DATA":
			io.WriteString(c, "354 go on\r\n")
			if !m.take(c, r) {
				return
			}
		case verb == "QUIT":
			io.WriteString(c, "221 bye\r\n")
			return
		default:
			io.WriteString(c, "250 ok\r\n")
		}
	}
}

// take reads a mail, and takes or refuses it.
func (m *mailServer) take(c net.Conn, r *bufio.Reader) bool {
	subject := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if s, ok := strings.CutPrefix(line, "Subject: "); ok && subject == "" {
			subject = strings.TrimSpace(s)
		}
		if line == ".\r\n" {
			break
		}
	}
	m.mu.Lock()
	refuse := m.refuse
	if refuse {
		m.refused++
	} else {
		m.subjects = append(m.subjects, subject)
	}
	m.mu.Unlock()
	if refuse {
		io.WriteString(c, "451 later\r\n")
	} else {
		io.WriteString(c, "250 taken\r\n")
	}
	return true
}

func (m *mailServer) refuses(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = yes
}

// got is what was taken, and how often something was refused.
func (m *mailServer) got() (subjects []string, refused int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.subjects...), m.refused
}

// node is one of two servers on one database, and what of its log was looked at.
type node struct {
	*peertest.Parley
	seen int
}

// says waits until the server has written a text since it was asked last.
func (n *node) says(t testing.TB, text string) {
	t.Helper()
	eventually(t, "the server says "+text, func() bool { return strings.Contains(n.Log()[n.seen:], text) })
	n.seen = len(n.Log())
}

// cluster is two servers on one PostgreSQL, in a zone in which it is about noon, with the call of somebody today.
func cluster(t testing.TB, m *mailServer) (nodes [2]*node, midnight time.Time) {
	t.Helper()
	name := "Etc/GMT"
	if h := time.Now().UTC().Hour() - 12; h > 0 {
		name += fmt.Sprintf("+%d", h) // the name has the sign of what is to be added to the local time
	} else if h < 0 {
		name += fmt.Sprint(h)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().In(zone)
	midnight = time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, zone)
	url := peertest.OwnPostgres(t).Database(t)
	for i := range nodes {
		nodes[i] = &node{Parley: peertest.StartParley(t, peertest.ParleyOptions{
			Listen: []string{"http://127.0.0.1:0"}, Args: []string{"--store=" + url, "--log-level=debug"},
			Config: fmt.Sprintf("[records.report]\nzone = %q\nto = [\"ann@example.org\"]\nhost = \"127.0.0.1\"\nport = %d\nstart_tls = \"off\"\nretry = \"1s\"\n", name, m.Addr().(*net.TCPAddr).Port),
		})}
	}
	db, err := sqlstore.Open(context.Background(), url, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	joined := now.Add(-time.Hour)
	err = db.KeepTalks(context.Background(), store.TalkRecords{Sessions: []store.TalkSession{{ID: "1", User: "u", Room: "r", Created: joined, Joined: joined, Left: now}}})
	if err != nil {
		t.Fatal(err)
	}
	return nodes, midnight
}

// set has the clocks of both go on from a time.
func set(nodes [2]*node, at time.Time) {
	for _, n := range nodes {
		n.SetClock(time.Until(at))
	}
}

const (
	mailedLine = "the report is mailed\" day="                // by this server
	othersLine = "the report is mailed, or another's to mail" // each time that a server looks
)

// ended stops the servers and compares all mails with those of the days.
func ended(t testing.TB, nodes [2]*node, m *mailServer, days ...time.Time) {
	t.Helper()
	for _, n := range nodes {
		n.Stop() // with what it was about to send
	}
	var want []string
	for _, d := range days {
		want = append(want, "Calls of "+d.Format(time.DateOnly)+" at localhost")
	}
	if got, _ := m.got(); strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("mailed: %q, want %q", got, want)
	}
}

// Two servers on one PostgreSQL at midnight: one mail, with the day that has ended; and one at the next. Of the day before they were
// there, none.
func TestR22TwoServersAtMidnightSendOneMail(t *testing.T) {
	m := startMailServer(t)
	nodes, midnight := cluster(t, m)
	for i, at := range []time.Time{midnight, midnight.AddDate(0, 0, 1)} {
		set(nodes, at.Add(-2*time.Second))
		eventually(t, "a mail at midnight", func() bool { got, _ := m.got(); return len(got) > i })
		eventually(t, "one has mailed it", func() bool { return strings.Count(nodes[0].Log()+nodes[1].Log(), mailedLine) == i+1 })
		for _, n := range nodes { // the other one looks on; who has mailed it does not
			n.seen = len(n.Log())
		}
		eventually(t, "the other one has looked", func() bool {
			return strings.Contains(nodes[0].Log()[nodes[0].seen:]+nodes[1].Log()[nodes[1].seen:], othersLine)
		})
	}
	ended(t, nodes, m, midnight.AddDate(0, 0, -1), midnight)
}

// Both are killed while the mail server refuses the report, and again when it was mailed: it is mailed once, when the lease of the
// dead has ended.
func TestR22ServersKilledAtMidnightSendOneMail(t *testing.T) {
	m := startMailServer(t)
	m.refuses(true)
	nodes, midnight := cluster(t, m)
	again := func() {
		for _, n := range nodes {
			n.Kill()
		}
		for _, n := range nodes {
			n.Start()
		}
	}
	again()
	set(nodes, midnight.Add(-2*time.Second))
	eventually(t, "it is refused", func() bool { _, refused := m.got(); return refused > 0 })
	again()
	m.refuses(false)
	set(nodes, midnight.Add(time.Hour))
	eventually(t, "one has mailed it", func() bool { return strings.Contains(nodes[0].Log()+nodes[1].Log(), mailedLine) })
	again()
	for _, n := range nodes {
		n.seen = len(n.Log())
	}
	set(nodes, midnight.Add(2*time.Hour))
	for _, n := range nodes {
		n.says(t, othersLine)
	}
	// What they have said may have been of the day before, as long as they had the right clock: a second time it is not.
	for _, n := range nodes {
		n.says(t, othersLine)
		n.says(t, othersLine)
	}
	ended(t, nodes, m, midnight.AddDate(0, 0, -1))
}

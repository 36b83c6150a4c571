package records

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"parley/internal/peertest"
	client "parley/internal/peertest/roomserver"
)

// alerting is a configuration by which a mail server gets alerts.
func alerting(m *mailServer) string {
	return fmt.Sprintf("[records.report]\nhost = \"127.0.0.1\"\nport = %d\nstart_tls = \"off\"\n[alerts]\nto = [\"ann@example.org\"]\nice_reports = 3\nretry = \"1s\"\n", m.Addr().(*net.TCPAddr).Port)
}

// alerts are the subjects of the mails that are of the database, or of anything else, without the host. A disk may stand still for so
// long that a database on it is lost for a moment.
func (m *mailServer) alerts(database bool) (list []string) {
	subjects, _ := m.got()
	for _, s := range subjects {
		_, text, _ := strings.Cut(s, ": ")
		if strings.HasPrefix(text, "database ") == database {
			list = append(list, text)
		}
	}
	return list
}

// alerted waits for a mail more, and compares all of them.
func alerted(t testing.TB, m *mailServer, want ...string) {
	t.Helper()
	database := strings.HasPrefix(want[0], "database ")
	eventually(t, "an alert: "+want[len(want)-1], func() bool { return len(m.alerts(database)) >= len(want) })
	if got := m.alerts(database); !slices.Equal(got, want) {
		t.Errorf("mailed: %q, want %q", got, want)
	}
}

// A server that was killed says so once when it is back, and one that was stopped does not. Reports of clients are one mail, however many
// more there are, and a bridge that dies is two. Mails go out in the order of what they tell, so that the last one is a fence.
func TestR29ChangesOfAServerAreMailedOnce(t *testing.T) {
	m := startMailServer(t)
	m.refuses(true)
	s := peertest.StartParley(t, peertest.ParleyOptions{Config: config + alerting(m), Args: []string{"--limits=off"}})
	s.Kill()
	s.Start()
	eventually(t, "it is refused", func() bool { _, refused := m.got(); return refused > 0 })
	m.refuses(false)
	alerted(t, m, "started after a crash")
	s.Stop()
	s.Start()

	var members []*client.Client
	for _, uid := range []string{"u0", "u9"} {
		c := client.Dial(t, "ws://"+s.HTTP+"/rs/ws")
		c.Send(map[string]any{"cmd": "join", "appId": "10000", "roomId": "22", "uid": uid, "uname": uid, "time": "1560152983"})
		if r := c.Await("respJoin"); r.Result() != 0 {
			t.Fatalf("%s is not let in: %v", uid, r)
		}
		members = append(members, c)
	}
	members[0].Await("notifyNewPeer")
	report := func(n int) {
		for range n {
			members[0].Send(map[string]any{"cmd": "reportInfo", "result": 9, "desc": "no way", "data1": map[string]any{"iceServers": []any{}}})
		}
		members[0].Send(map[string]any{"cmd": "keepLive"})
		members[0].Await("respKeepLive")
	}
	report(3)
	if got := m.alerts(false); len(got) != 1 {
		t.Errorf("mailed: %q", got)
	}
	report(1)
	report(10)
	alerted(t, m, "started after a crash", "ICE server does not connect clients")
	s.KillBridge()
	alerted(t, m, "started after a crash", "ICE server does not connect clients", "bridge died", "bridge restarted")
	s.Stop()
	s.Start()
	s.Stop()
	if got := m.alerts(false); len(got) != 4 {
		t.Errorf("mailed: %q", got)
	}
}

// A database that dies and comes back is two mails.
func TestR29ADatabaseIsLostAndBack(t *testing.T) {
	m := startMailServer(t)
	pg := peertest.OwnPostgres(t)
	s := peertest.StartParley(t, peertest.ParleyOptions{
		Config: alerting(m), Listen: []string{"http://127.0.0.1:0", "http+admin://127.0.0.1:0"}, Args: []string{"--store=" + pg.Database(t)},
	})
	pg.Kill(t)
	alerted(t, m, "database lost")
	pg.Start(t)
	alerted(t, m, "database lost", "database back")
	s.Stop()
	if got, _ := m.got(); len(got) != 2 {
		t.Errorf("mailed: %q", got)
	}
}

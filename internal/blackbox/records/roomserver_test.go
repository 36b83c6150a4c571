package records

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/geo/geotest"
	"parley/internal/peertest"
	client "parley/internal/peertest/roomserver"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
)

const config = `
[roomserver]
enabled = true
auth = "none"

[[records.rate]]
connect = "STUN"
cents = 3
`

// Two members of the RoomServer protocol have the ids that they were told in the records, pay from when they were connected, and are in
// the report of the day; who was not let in is counted there.
func TestMembersOfTheRoomServerDoor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "countries.mmdb")
	if err := os.WriteFile(file, geotest.Countries(map[string]string{"127.0.0.0/8": "DE", "::1/128": "DE"}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := peertest.StartParley(t, peertest.ParleyOptions{Config: strings.Replace(config, "[roomserver]\n", "[roomserver]\ngeo_ip = \""+file+"\"\n", 1), Args: []string{"--limits=off"}})
	enter := func(uid string) (*client.Client, string) {
		c := client.Dial(t, "ws://"+s.HTTP+"/rs/ws")
		c.Send(map[string]any{"cmd": "join", "appId": "10000", "token": "", "roomId": "22", "uid": uid, "uname": uid, "osName": "Linux", "browser": "chrome58.0", "time": "1560152983"})
		m := c.Await("respJoin")
		if m.Result() != 0 {
			t.Fatalf("%s is not let in: %v", uid, m)
		}
		return c, m.Text("sessionId")
	}
	day := time.Now().UTC().Format(time.DateOnly)
	a, first := enter("u0")
	b, second := enter("u9")
	a.Await("notifyNewPeer")
	a.Send(map[string]any{"cmd": "offer", "remoteUid": "u9", "msg": "x"})
	own := a.Await("respOffer").Text("subSessionId")
	b.Await("relayOffer")
	b.Send(map[string]any{"cmd": "answer", "remoteUid": "u0", "msg": "y"})
	a.Await("relayAnswer")
	a.Send(map[string]any{"cmd": "peerConnected", "remoteUid": "u9", "connectType": "STUN"})
	a.Await("respPeerConnected")
	a.Send(map[string]any{"cmd": "reportStats", "remoteUid": "u9", "audio": map[string]any{"recv": map[string]any{"bitRate": 40, "packetsLostRate": "0.02"}}})
	stranger := client.Dial(t, "ws://"+s.HTTP+"/rs/ws")
	stranger.Send(map[string]any{"cmd": "join", "appId": "10000", "roomId": "22", "uid": strings.Repeat("x", 65)})
	if m := stranger.Await("respJoin"); m.Result() == 0 {
		t.Error(m)
	}
	time.Sleep(1100 * time.Millisecond) // a call that costs something lasts a second
	b.Send(map[string]any{"cmd": "leave"})
	b.Await("respLeave")
	a.Await("relayLeave")
	a.Send(map[string]any{"cmd": "leave"})
	a.Await("respLeave")
	var report string
	eventually(t, "the report has them", func() bool {
		text, err := s.Command("", "report", "--date="+day)
		if err != nil {
			t.Fatal(err, text)
		}
		report = text
		return strings.Contains(text, "10000 | u0 | u9 | AV | ok | P2P | DE | 127.0.0.1 | DE | 127.0.0.1 |") && strings.Contains(text, "format (roomserver)")
	})
	if !strings.Contains(report, "40, 40, 40 | -- | 0.02, 0.02, 0.02") || !strings.Contains(report, "10000 | u9 | u0 | AV | not connected |") {
		t.Error(report)
	}
	if text, err := s.Command("", "report", "--date="+day, "--form=countries"); err != nil || !strings.Contains(text, "\nDE,2,1,1,0,") {
		t.Errorf("countries: %s %v", text, err)
	}
	s.Stop()

	db, err := sqlstore.Open(context.Background(), "sqlite:"+filepath.Join(s.Data, "parley.db"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := db.TalkSessions(context.Background(), store.TalkQuery{Limit: 10})
	byID := make(map[string]store.TalkSession)
	for _, one := range list {
		byID[one.ID] = one
	}
	if one := byID[first]; err != nil || len(list) != 2 || byID[second].User != "u9" || one.Browser != "chrome58.0" || one.OS != "Linux" || one.Country != "DE" || one.Subs != own || one.Left.IsZero() {
		t.Fatalf("%+v %v", list, err)
	}
	subs, err := db.TalkSubs(context.Background(), []string{first})
	if err != nil || len(subs) != 1 {
		t.Fatalf("%+v %v", subs, err)
	}
	if p := subs[0]; p.ID != own || p.Status != store.SubTalked || p.Connect != "STUN" || p.Seconds < 1 || p.Cost != 3*((p.Seconds+59)/60) || p.RemoteIP != "127.0.0.1" {
		t.Errorf("%+v", p)
	}
}

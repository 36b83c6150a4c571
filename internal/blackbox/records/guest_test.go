package records

import (
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
	client "parley/internal/peertest/roomserver"
)

// What a member of the RoomServer door reports of somebody who came by another protocol is in the report of the day.
func TestR14_ReportsOnPeopleOfOtherProtocolsAreKept(t *testing.T) {
	s := peertest.StartParley(t, peertest.ParleyOptions{Config: config, Args: []string{"--limits=off"}})
	before := time.Now().UTC().Format(time.DateOnly)
	a := client.Join(t, "ws://"+s.HTTP+"/rs/ws", "meeting", "u0")
	join(t, s, "bob")
	a.Await("notifyNewPeer")
	eventually(t, "the report has it", func() bool {
		a.Send(map[string]any{"cmd": "reportStats", "remoteUid": "bob", "audio": map[string]any{"recv": map[string]any{"bitRate": 40, "packetsLostRate": "0.02"}}})
		for _, day := range []string{before, time.Now().UTC().Format(time.DateOnly)} {
			text, err := s.Command("", "report", "--form=csv", "--date="+day)
			if err != nil {
				t.Fatal(err, text)
			}
			for line := range strings.Lines(text) {
				if strings.Contains(line, ",meeting@") && strings.Contains(line, ",bob,") && strings.Contains(line, ",40,40,40,") && strings.Contains(line, ",0.02,0.02,0.02,") {
					return true
				}
			}
		}
		return false
	})
}

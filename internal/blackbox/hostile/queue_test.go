package hostile

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// TestHC4BackToAFullQueue: more waits for a client that was away than may wait for one that is there. When it comes back
// and reads, it is not cut off for that, though more comes in meanwhile.
func TestHC4BackToAFullQueue(t *testing.T) {
	t.Parallel()
	at := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}}) // rates would slow it down
	for _, name := range []string{"ann", "bob"} {
		at.AddUser(name, name+"-password")
	}
	mobile := peertest.NewMobile("bob", "bob-password", func() *peertest.Client { return peertest.Dial(t, at.XMPP, "localhost") })
	ann := peertest.Dial(t, at.XMPP, "localhost")
	ann.Login("ann", "ann-password")
	ann.Bind("")
	ann.Send("<enable xmlns='urn:xmpp:sm:3'/>")
	ann.Expect("<enabled")
	mobile.Conn.Close()
	eventually(t, "the client is not missed", func() bool { return at.Metric("parley_sessions_away", "") == 1 })
	body, sent := strings.Repeat("x", 10_000), 0
	say := func(n int) {
		for range n {
			ann.Send(fmt.Sprintf("<message to='%s' type='chat' id='m%d'><body>%s</body></message>", mobile.JID, sent, body))
			sent++
		}
		for handled := ""; handled != strconv.Itoa(sent); handled = peertest.Attr(ann.Expect("<a "), "h") { // delivered, and not only read
			ann.Send("<r xmlns='urn:xmpp:sm:3'/>")
		}
	}
	say(150) // 1.5 MB; the limit is 1 MiB for who is there, twice as much for who is away
	mobile.Move(true)
	say(5)
	for len(mobile.Got) < sent {
		e := mobile.Read()
		if strings.Contains(e, "stream:error") {
			t.Fatalf("after %d messages: %s", len(mobile.Got), e)
		}
		if !mobile.Take(e) {
			t.Fatalf("the stream ended after %d messages", len(mobile.Got))
		}
	}
	mobile.Check("m", sent)
}

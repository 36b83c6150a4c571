package federation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

// TestHF9DiskFull: the disk gets full while another server sends messages to somebody who is away. Each of them waits for them, or its
// sender is told that it does not; the stream goes on, and when there is room again messages are taken again.
func TestHF9DiskFull(t *testing.T) {
	makeAuthority(t)
	clear(at)
	place(t, open)
	data := t.TempDir()
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=48m"); err != nil {
		if errors.Is(err, syscall.EPERM) && !peertest.Required("root") {
			t.Skip("mounting takes root")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(data, syscall.MNT_DETACH) })
	server := oursIn(t, data, open, "", true)
	c := counting(known(t, server, outside, open))
	for range 5 {
		c.says()
	}
	if len(c.refused) > 0 {
		t.Fatalf("%d are refused while there is room", len(c.refused))
	}
	filler := filepath.Join(data, "filler")
	fill(t, filler)
	for len(c.refused) < 3 {
		if c.sent > 3000 {
			t.Fatal("the disk does not get full")
		}
		c.says()
	}
	t.Logf("%d messages until the disk was full", c.sent)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for n, end := len(c.refused), time.Now().Add(30*time.Second); ; n = len(c.refused) {
		if c.says(); len(c.refused) == n {
			break // it is taken
		}
		if time.Now().After(end) {
			t.Fatal("nothing is taken though there is room")
		}
	}
	bob := peertest.Dial(t, server.XMPP, open)
	bob.Login("bob", secret)
	bob.Bind("x").Send("<presence/>")
	for n := range c.sent {
		if !c.refused[n] {
			if got := within(t, bob, patience, "<message"); peertest.Attr(got, "id") != fmt.Sprint("m", n) {
				t.Fatalf("%.200s where message %d was due", got, n)
			}
		}
	}
}

// counter is an outsider that counts (XEP-0198), and says one message after the other.
type counter struct {
	*peertest.Client
	sent    int          // messages
	stanzas int          // sent
	got     int          // stanzas
	refused map[int]bool // by the number of the message
}

func counting(p *peertest.Client) *counter {
	p.T.Helper()
	p.Send("<enable xmlns='urn:xmpp:sm:3'/>")
	p.Await("<enabled ")
	return &counter{Client: p, refused: make(map[int]bool)}
}

// says sends one message and waits until the server has taken responsibility for it, or has refused it.
func (c *counter) says() {
	c.T.Helper()
	c.Send(fmt.Sprintf("<message from='eve@%s/x' to='bob@%s' type='chat' id='m%d'><body>%s</body></message>", outside, open, c.sent, strings.Repeat("x", 8<<10)))
	c.sent, c.stanzas = c.sent+1, c.stanzas+1
	c.Send("<r xmlns='urn:xmpp:sm:3'/>")
	answered := false
	for fence := ""; ; {
		got := c.ReadWithin(30 * time.Second)
		switch {
		case got == "":
			c.T.Fatal("the stream ended")
		case strings.HasPrefix(got, "<r "):
			c.Send(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", c.got))
			continue
		case strings.HasPrefix(got, "<a "):
			if answered = answered || strings.Contains(got, fmt.Sprintf("h='%d'", c.stanzas)); answered && fence == "" {
				fence = fmt.Sprint("fence", c.sent)
				c.Send("<iq type='get' id='" + fence + "' from='eve@" + outside + "/x' to='" + open + "'><ping xmlns='urn:xmpp:ping'/></iq>")
				c.stanzas++
			}
			continue
		}
		c.got++
		if fence != "" && strings.Contains(got, "id='"+fence+"'") {
			return
		}
		var n int
		if _, err := fmt.Sscanf(peertest.Attr(got, "id"), "m%d", &n); err == nil && strings.Contains(got, "type='error'") {
			c.refused[n] = true
		}
	}
}

// fill writes a file until the disk is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 64<<10); ; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			if chunk = chunk[:len(chunk)/2]; len(chunk) == 0 {
				return
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

package clients

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/desk"
)

// TestDino: Debian's Dino, with its windows, logs in, finds a contact and what that one wrote in the archive, sends a picture that
// is pasted, and enters a room and talks there. With DINO_SHOT=FILE the picture of the screen after the upload is kept.
func TestDino(t *testing.T) {
	d := desk.NewDino(t, "secret", "bob")
	if d == nil {
		return
	}
	ann, bob := d.Enter("ann", "secret"), d.Enter("bob", "secret")
	go keepAlive(t.Context(), bob.Conn)
	for _, c := range []*peertest.Client{ann, bob} {
		c.Send("<presence xmlns='jabber:client'/>")
		c.Ping()
	}
	befriend := func(a, b *peertest.Client, nameA, nameB string) {
		a.Send("<presence xmlns='jabber:client' type='subscribe' to='" + nameB + "@" + desk.Domain + "'/>")
		b.Await("<presence", "type='subscribe'")
		b.Send("<presence xmlns='jabber:client' type='subscribed' to='" + nameA + "@" + desk.Domain + "'/>")
	}
	befriend(ann, bob, "ann", "bob")
	ann.Await("<iq", "subscription='to'")
	befriend(bob, ann, "bob", "ann")
	ann.Await("<iq", "subscription='both'")
	bob.Send("<message xmlns='jabber:client' to='ann@" + desk.Domain + "' type='chat'><body>found in the archive</body></message>")
	ann.Await("<body>found in the archive</body>") // it waits for nobody
	ann.Send("<presence xmlns='jabber:client' type='unavailable'/>")
	ann.Ping()
	ann.Drop()

	dino := d.Start("dino-im")
	comes(t, bob, "<presence", "from='ann@"+desk.Domain+"/dino'") // its database is there then
	until := func(what string, ok func() bool) {
		t.Helper()
		d.Eventually(what, func() bool {
			if !dino.Running() {
				t.Fatalf("Dino ended before: %s", what)
			}
			return ok()
		})
	}
	until("contact", func() bool { return d.Query("SELECT jid, subscription FROM roster") == "bob@"+desk.Domain+"|both" })
	until("message in the archive", func() bool { return d.Query("SELECT count(*) FROM message WHERE body = 'found in the archive'") == "1" })

	// The button that attaches is there when the conversation is, and the server has said that it takes files.
	attach := image.Rect(326, 650, 350, 674)
	until("conversation", func() bool {
		d.Start("dino-im", "xmpp:bob@"+desk.Domain+"?message") // while its window is not there yet, this is lost
		return d.Within(5*time.Second, func() bool { return d.Dark(attach) > 20 })
	})
	rose := picture()
	d.Start("xclip", "-quiet", "-selection", "clipboard", "-t", "image/png", "-i", d.Write("rose.png", encoded(t, rose)))
	until("clipboard", func() bool {
		return strings.Contains(d.Do("sh", "-c", "xclip -selection clipboard -o -t TARGETS || true"), "image/png")
	})
	until("picture that is asked about", func() bool {
		d.Do("xdotool", "mousemove", "700", "660", "click", "1", "sleep", "0.3", "key", "ctrl+v")
		return d.Within(15*time.Second, func() bool {
			return d.Pixels(image.Rect(650, 240, 850, 500), "", func(c color.RGBA) bool { return c == rose.RGBAAt(0, 0) }) > 1000
		})
	})
	until("picture that is sent", func() bool {
		d.Do("xdotool", "key", "Return")
		return d.Within(15*time.Second, func() bool { return d.Query("SELECT count(*) FROM file_transfer") != "0" })
	})
	_, link, _ := strings.Cut(comes(t, bob, "<message", "<body>", "/upload/"), "<body>")
	link, _, _ = strings.Cut(link, "</body>")
	web := http.Client{Timeout: desk.Patience, Transport: &http.Transport{TLSClientConfig: d.Server.TLS()}}
	res, err := web.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%s: %s, %s, %v", link, res.Status, res.Header.Get("Content-Type"), err)
	}
	sent, err := os.ReadFile(filepath.Join(d.Dir, "share/dino/files", link[strings.LastIndexByte(link, '/')+1:]))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of which Dino sent %d", len(got), len(sent))
	}
	if !same(t, got, rose) {
		t.Error("that is another picture")
	}
	if shot := os.Getenv("DINO_SHOT"); shot != "" {
		d.Within(5*time.Second, func() bool {
			return d.Pixels(image.Rect(300, 50, 1280, 700), shot, func(c color.RGBA) bool { return c == rose.RGBAAt(0, 0) }) > 1000
		})
	}

	room := "coven@muc." + desk.Domain
	bob.Send("<presence xmlns='jabber:client' to='" + room + "/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	comes(t, bob, "<presence", "from='"+room+"/bob'", "code='110'")
	bob.Send("<iq xmlns='jabber:client' type='set' id='open' to='" + room + "'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
	comes(t, bob, "<iq", "id='open'", "type='result'")
	join := func() bool {
		return d.Pixels(image.Rect(257, 11, 341, 45), "", func(c color.RGBA) bool { return c == button }) > 1000
	}
	until("question whether to join", func() bool {
		d.Start("dino-im", "xmpp:"+room+"?join")
		return d.Within(30*time.Second, join)
	})
	until("answer", func() bool {
		d.Do("xdotool", "mousemove", "298", "28", "click", "1")
		return d.Within(15*time.Second, func() bool { return !join() })
	})
	comes(t, bob, "<presence", "from='"+room+"/ann'")
	until("words in the room", func() bool { // and not in the conversation that was there before
		d.Do("xdotool", "mousemove", "700", "660", "click", "1", "sleep", "0.3", "type", "words in the room")
		d.Do("xdotool", "key", "Return")
		return d.Within(10*time.Second, func() bool {
			return d.Query("SELECT count(*) FROM message JOIN jid ON counterpart_id = jid.id WHERE bare_jid = '"+room+"' AND body LIKE '%words in the room'") != "0"
		})
	})
	comes(t, bob, "<message", "from='"+room+"/ann'", "words in the room</body>")
}

// keepAlive says something for a client that waits: who is silent for long is gone for the server.
func keepAlive(ctx context.Context, c net.Conn) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Second):
			c.SetWriteDeadline(time.Now().Add(time.Minute)) // that of what was written last is over
			io.WriteString(c, " ")
		}
	}
}

// button is the colour of the button that stands for yes.
var button = color.RGBA{R: 0x35, G: 0x84, B: 0xe4, A: 0xff}

// comes waits for a stanza in which all of this is, and returns it. What a desktop does may take longer than a server.
func comes(t *testing.T, c *peertest.Client, parts ...string) string {
	t.Helper()
	for until := time.Now().Add(desk.Patience); time.Now().Before(until); {
		e := c.ReadWithin(desk.Patience)
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(e, part) }) {
			return e
		}
	}
	t.Fatalf("no %q", parts)
	return ""
}

// picture is one with a colour in its upper half that no window has, and many below.
func picture() *image.RGBA {
	p := image.NewRGBA(image.Rect(0, 0, 120, 80))
	for y := range 80 {
		for x := range 120 {
			c := color.RGBA{R: 250, G: 3, B: 17, A: 255}
			if y >= 40 {
				c = color.RGBA{R: uint8(x), G: uint8(y), B: uint8(x * y), A: 255}
			}
			p.SetRGBA(x, y, c)
		}
	}
	return p
}

func encoded(t *testing.T, p image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same reports that the bytes are a picture with these pixels.
func same(t *testing.T, b []byte, want *image.RGBA) bool {
	t.Helper()
	p, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if p.Bounds() != want.Bounds() {
		return false
	}
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			if color.RGBAModel.Convert(p.At(x, y)) != color.Color(want.RGBAAt(x, y)) {
				return false
			}
		}
	}
	return true
}

package federation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// patience is how long a first stanza between two servers may take: names, TLS, two streams, keys.
const patience = 30 * time.Second

func TestProsody(t *testing.T) {
	makeAuthority(t)
	places(t)
	p := newProsody(t)
	p.writeProsody()
	matrix(t, p)
}

func TestEjabberd(t *testing.T) {
	makeAuthority(t)
	places(t)
	p := newEjabberd(t)
	p.writeEjabberd(serveDNS(t, false))
	matrix(t, p)
}

func places(t *testing.T) {
	clear(at)
	for _, domain := range []string{open, strict, selfMade} {
		place(t, domain)
	}
}

// matrix is everything that is tried with one other server.
func matrix(t *testing.T, p *peer) {
	p.start()
	const quick = "attend_interval = \"2s\"\nanswer_timeout = \"3s\"\npatience = "
	byDomain := map[string]*peertest.Parley{
		open:     ours(t, open, quick+`"40s"`, true), // long enough for a server that comes back
		strict:   ours(t, strict, quick+"\"8s\"\ncertificates = \"valid\"", true),
		selfMade: ours(t, selfMade, quick+`"8s"`, false),
	}
	if p.bidi {
		t.Run("one stream both ways", func(t *testing.T) { oneStream(t, byDomain[open], p) })
	}
	for _, domain := range []string{open, selfMade, strict} {
		for _, kind := range kinds {
			t.Run(domain+" and "+kind, func(t *testing.T) {
				ann, romeo := login(t, byDomain[domain].XMPP, domain, "ann"), p.login(t, kind, "romeo")
				if domain == strict && kind != "good" {
					refused(t, ann, romeo)
				} else {
					messages(t, ann, romeo)
				}
			})
		}
	}
	t.Run("calls", func(t *testing.T) { calls(t, byDomain[open], p) })
	t.Run("rooms", func(t *testing.T) { rooms(t, byDomain[open], p) })
	t.Run("invitations", func(t *testing.T) { invitations(t, byDomain[open], p) })
	t.Run("archives", func(t *testing.T) { archives(t, byDomain[open], p) })
	t.Run("upload link", func(t *testing.T) { uploadLink(t, byDomain[open], p) })
	t.Run("presence", func(t *testing.T) { presence(t, byDomain[open], p) })
	t.Run("killed and back", func(t *testing.T) { killed(t, byDomain[open], p) })
	t.Run("our server killed and back", func(t *testing.T) { ourselvesKilled(t, byDomain[open], p) })
	t.Run("gone", func(t *testing.T) { gone(t, byDomain[strict], p) })
}

// within reads until an element holds all parts.
func within(t testing.TB, c *peertest.Client, d time.Duration, parts ...string) string {
	t.Helper()
	for end := time.Now().Add(d); ; {
		got := c.ReadWithin(time.Until(end))
		if got == "" {
			t.Fatalf("%s: the connection ended before %q came", c.JID, parts)
		}
		missing := false
		for _, part := range parts {
			missing = missing || !strings.Contains(strings.ReplaceAll(got, `"`, "'"), part)
		}
		if !missing {
			return got
		}
	}
}

// messages go both ways, unharmed.
func messages(t *testing.T, ann, romeo *peertest.Client) {
	ann.Send("<message to='" + romeo.JID + "' type='chat' id='out'><body>&lt;hi&gt; ü</body><x xmlns='urn:x:y'><body xmlns='jabber:client'/></x></message>")
	got := within(t, romeo, patience, "id='out'", "from='"+ann.JID+"'", "<body>&lt;hi&gt; ü</body>")
	if strings.Contains(got, "jabber:server") {
		t.Error(got)
	}
	romeo.Send("<message to='" + ann.JID + "' type='chat' id='back'><body>ho</body></message>")
	got = within(t, ann, patience, "id='back'", "from='"+romeo.JID+"'", "<body>ho</body>")
	if strings.Contains(got, "jabber:server") {
		t.Error(got)
	}
	for from, to := range map[*peertest.Client]*peertest.Client{ann: romeo, romeo: ann} {
		from.Send("<iq to='" + to.Host + "' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
		within(t, from, patience, "<iq", "id='p'", "type='result'")
	}
}

// oneStream: what comes back does not take a stream of its own (XEP-0288).
func oneStream(t *testing.T, server *peertest.Parley, p *peer) {
	messages(t, login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo"))
	in, out := server.Metric("parley_server_streams", `direction="in"`), server.Metric("parley_server_streams", `direction="out"`)
	if in != 0 || out != 1 {
		t.Errorf("%v streams that they opened to us and %v that we did, want 0 and 1", in, out)
	}
}

// refused: nothing goes out and nothing comes in, and both are told.
func refused(t *testing.T, ann, romeo *peertest.Client) {
	ann.Send("<message to='" + romeo.JID + "' type='chat' id='out'><body>hi</body></message>")
	within(t, ann, patience, "id='out'", "type='error'", "remote-server-")
	romeo.Send("<message to='" + ann.JID + "' type='chat' id='in'><body>hi</body></message>")
	within(t, romeo, patience, "id='in'", "type='error'")
	ann.Ping()
}

// create makes a room and opens it.
func create(t *testing.T, c *peertest.Client, room, nick string) {
	t.Helper()
	c.Send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	within(t, c, patience, "<presence", "from='"+room+"/"+nick+"'", "'110'")
	c.Send("<iq to='" + room + "' type='set' id='open'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
	within(t, c, patience, "<iq", "id='open'", "type='result'")
}

func enter(t *testing.T, c *peertest.Client, room, nick string) {
	t.Helper()
	c.Send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	within(t, c, patience, "<presence", "from='"+room+"/"+nick+"'", "'110'")
}

// rooms: people of both servers meet in a room of each.
func rooms(t *testing.T, server *peertest.Parley, p *peer) {
	for _, domain := range []string{open, p.domain("good")} {
		ann, romeo := login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo")
		host, guest, hostNick, guestNick := ann, romeo, "ann", "romeo"
		if domain != open {
			host, guest, hostNick, guestNick = romeo, ann, "romeo", "ann"
		}
		room := "r" + fmt.Sprint(time.Now().UnixNano()) + "@muc." + domain
		create(t, host, room, hostNick)
		host.Send("<message to='" + room + "'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='" + guest.JID + "'><reason>come</reason></invite></x></message>")
		within(t, guest, patience, "<message", "from='"+room+"'", "<invite", "come")
		enter(t, guest, room, guestNick)
		within(t, host, patience, "<presence", "from='"+room+"/"+guestNick+"'")
		if domain == open {
			// A room that is not there cannot be made by somebody who has no account here.
			guest.Send("<presence to='new" + room + "/" + guestNick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
			within(t, guest, patience, "<presence", "from='new"+room+"/"+guestNick+"'", "type='error'")
		}
		for i, says := range []*peertest.Client{host, guest} {
			nick := []string{hostNick, guestNick}[i]
			says.Send("<message to='" + room + "' type='groupchat' id='g'><body>I am " + nick + "</body></message>")
			for _, hears := range []*peertest.Client{host, guest} {
				within(t, hears, patience, "<message", "from='"+room+"/"+nick+"'", "<body>I am "+nick+"</body>")
			}
		}
		guest.Send("<presence to='" + room + "/" + guestNick + "' type='unavailable'/>")
		within(t, host, patience, "<presence", "from='"+room+"/"+guestNick+"'", "type='unavailable'")
	}
}

// presence: who subscribes sees who is there, also who asks later.
func presence(t *testing.T, server *peertest.Parley, p *peer) {
	ann, romeo := login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo")
	bare := func(c *peertest.Client) string { b, _, _ := strings.Cut(c.JID, "/"); return b }
	for _, pair := range [][2]*peertest.Client{{ann, romeo}, {romeo, ann}} {
		pair[0].Send("<presence to='" + bare(pair[1]) + "' type='subscribe'/>")
		within(t, pair[1], patience, "<presence", "type='subscribe'", "from='"+bare(pair[0])+"'")
		pair[1].Send("<presence to='" + bare(pair[0]) + "' type='subscribed'/>")
		within(t, pair[0], patience, "<presence", "from='"+pair[1].JID+"'")
	}
	for _, c := range []*peertest.Client{ann, romeo} {
		c.Send("</stream:stream>")
		c.Read()
		c.Conn.Close()
	}
	ann = login(t, server.XMPP, open, "ann")
	romeo = arrive(t, p.c2s, p.domain("good"), "romeo") // whose server asks ours
	within(t, romeo, patience, "<presence", "from='"+ann.JID+"'")
	within(t, ann, patience, "<presence", "from='"+romeo.JID+"'")
	ann.Send("</stream:stream>")
	within(t, romeo, patience, "<presence", "from='"+ann.JID+"'", "type='unavailable'")
	ann = arrive(t, server.XMPP, open, "ann") // ours asks romeo's
	within(t, ann, patience, "<presence", "from='"+romeo.JID+"'")
}

// killed: what our server has taken gets to the other one when that is back, and the room loses who did not come back.
func killed(t *testing.T, server *peertest.Parley, p *peer) {
	ann, romeo := login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo")
	room := "killed@muc." + open
	create(t, ann, room, "ann")
	enter(t, romeo, room, "romeo")
	within(t, ann, patience, "<presence", "from='"+room+"/romeo'")
	juliet := strings.Replace(romeo.JID, "romeo", "juliet", 1)
	juliet, _, _ = strings.Cut(juliet, "/")
	ann.Send("<message to='" + juliet + "' type='chat' id='first'><body>0</body></message>")
	time.Sleep(3 * time.Second) // by now it is acknowledged, by count or by ping
	p.kill()
	const most = 50
	for i := 1; i <= most; i++ {
		ann.Send(fmt.Sprintf("<message to='%s' type='chat' id='k%d'><body>%d</body></message>", juliet, i, i))
	}
	ann.Ping() // all of them are taken
	begun := time.Now()
	p.start()
	within(t, ann, time.Minute, "<presence", "from='"+room+"/romeo'", "type='unavailable'")
	t.Logf("%s was told gone %v after it was killed", romeo.JID, time.Since(begun))
	reader := peertest.Dial(t, p.c2s, p.domain("good"))
	reader.Login("juliet", secret)
	reader.Bind("x").Send("<presence/>")
	for i := 0; i <= most; i++ {
		within(t, reader, patience, fmt.Sprintf("<body>%d</body>", i))
	}
	// Nothing came back, and nobody of ours is taken for gone.
	ann.Send("<message to='" + room + "' type='groupchat' id='still'><body>still here</body></message>")
	for {
		got := ann.Read()
		if strings.Contains(got, "type='error'") {
			t.Fatalf("came back: %s", got)
		}
		if strings.Contains(got, "still here") {
			break
		}
	}
}

// ourselvesKilled: people of another server stay in the rooms of ours, which finds them in its journal.
func ourselvesKilled(t *testing.T, server *peertest.Parley, p *peer) {
	romeo, juliet := p.login(t, "good", "romeo"), p.login(t, "good", "juliet")
	ann := login(t, server.XMPP, open, "ann")
	room := "ours@muc." + open
	create(t, ann, room, "ann")
	enter(t, romeo, room, "romeo")
	enter(t, juliet, room, "juliet")
	within(t, ann, patience, "<presence", "from='"+room+"/juliet'")
	server.Kill()
	juliet.Conn.Close() // while nobody of ours hears of it
	time.Sleep(200 * time.Millisecond)
	server.Start()
	within(t, romeo, time.Minute, "<presence", "from='"+room+"/juliet'", "type='unavailable'")
	romeo.Send("<message to='" + room + "' type='groupchat' id='back'><body>we are back</body></message>")
	within(t, romeo, patience, "<message", "from='"+room+"/romeo'", "we are back")
}

// gone: a server that does not come back.
func gone(t *testing.T, server *peertest.Parley, p *peer) {
	ann, romeo := login(t, server.XMPP, strict, "ann"), p.login(t, "good", "romeo")
	room := "gone@muc." + strict
	create(t, ann, room, "ann")
	enter(t, romeo, room, "romeo")
	within(t, ann, patience, "<presence", "from='"+room+"/romeo'")
	p.kill()
	begun := time.Now()
	within(t, ann, time.Minute, "<presence", "from='"+room+"/romeo'", "type='unavailable'")
	t.Logf("gone after %v", time.Since(begun))
	ann.Send("<message to='" + romeo.JID + "' type='chat' id='late'><body>hi</body></message>")
	within(t, ann, patience, "id='late'", "type='error'", "remote-server-timeout")
}

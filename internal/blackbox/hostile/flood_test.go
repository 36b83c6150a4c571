package hostile

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// TestHM7HiddenRooms: to who is neither in it nor on its lists, a hidden room answers like one that is not there.
func TestHM7HiddenRooms(t *testing.T) {
	ann, stranger := user(t, dial(t), "ann"), user(t, dial(t), "bob")
	hidden, public := open(t, ann), open(t, ann, "publicroom", "1", "roomname", "in the list")
	absent := newRoom()
	heard(t, ann, hidden)
	for _, probe := range []string{
		"<iq to='%s' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
		"<iq to='%s' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
		"<iq to='%s' type='get' id='1'><query xmlns='" + nsMUC + "#owner'/></iq>",
		"<iq to='%s' type='get' id='1'><query xmlns='" + nsMUC + "#admin'><item affiliation='owner'/></query></iq>",
		"<iq to='%s' type='set' id='1'>" + item("role", "none", "nick", "owner") + "</iq>",
		"<iq to='%s' type='get' id='1'><query xmlns='jabber:iq:register'/></iq>",
		"<iq to='%s' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
		"<iq to='%s' type='get' id='1'><query xmlns='urn:xmpp:mam:2'/></iq>",
		"<iq to='%s/owner' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
		"<iq to='%s/owner' type='get' id='1'><vCard xmlns='vcard-temp'/></iq>",
		"<message to='%s' type='groupchat' id='1'><body>Hi</body></message>",
		"<message to='%s/owner' type='chat' id='1'><body>Hi</body></message>",
		"<message to='%s' id='1'><x xmlns='" + nsMUC + "#user'><invite to='carl@localhost'/></x></message>",
		"<message to='%s' id='1'><x xmlns='" + nsMUC + "#user'><decline to='ann@localhost'/></x></message>",
		"<presence to='%s/me' id='1'/>",
		"<presence to='%s/me' id='1' type='unavailable'/>",
		"<presence to='%s/owner' id='1' type='probe'/>",
		"<presence to='%s' id='1' type='subscribe'/>",
	} {
		answer := func(room string) string {
			t.Helper()
			stranger.Send(fmt.Sprintf(probe, room))
			return strings.ReplaceAll(strings.Join(heard(t, stranger, room), "\n"), room, "ROOM")
		}
		if there, not := answer(hidden), answer(absent); there != not {
			t.Errorf("%s: a hidden room answers\n%s\none that is not there\n%s", probe, there, not)
		}
	}
	if came := heard(t, ann, hidden); len(came) > 0 {
		t.Errorf("the owner got %s", came)
	}
	list := ask(t, stranger, "get", "muc.localhost", "<query xmlns='http://jabber.org/protocol/disco#items'/>")
	if strings.Contains(list, hidden) || !strings.Contains(list, "jid='"+public+"' name='in the list'") {
		t.Errorf("the list is %s", list)
	}
}

// TestHM7Guesses: a source that asks for many rooms gets no answer about any for a while; those inside, and other
// sources, do.
func TestHM7Guesses(t *testing.T) {
	ann, other := user(t, dial(t), "ann"), guest(t)
	room := open(t, ann, "publicroom", "1")
	where := source()
	guesser := user(t, peertest.DialFrom(t, where, server.XMPP, "localhost"), "bob")
	inside := user(t, peertest.DialFrom(t, where, server.XMPP, "localhost"), "carl")
	comeIn(t, inside, room, "inside")
	before := counted(t, "room.enum")
	const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
	blocked := func(got string) bool { return strings.Contains(got, "<resource-constraint ") }
	guesses := 0
	for ; guesses < 1000 && counted(t, "room.enum") == before; guesses++ {
		ask(t, guesser, "get", newRoom(), info)
	}
	if guesses < 150 || guesses == 1000 {
		t.Errorf("the limit was met after %d guesses", guesses)
	}
	for _, to := range []string{newRoom(), room} {
		if got := ask(t, guesser, "get", to, info); !blocked(got) {
			t.Errorf("%s", got)
		}
	}
	guesser.Send(joining(newRoom(), "x", ""))
	wantError(t, guesser.Await("id='join'"), "wait", "resource-constraint")
	inside.Send("<message to='" + room + "' type='groupchat' id='in'><body>in peace</body></message>")
	ann.Await("in peace")
	if got := ask(t, inside, "get", room, info); blocked(got) {
		t.Errorf("who is inside is answered %s", got)
	}
	if got := ask(t, other, "get", room, info); !strings.Contains(got, "muc_public") {
		t.Errorf("another source is answered %s", got)
	}
}

// strict is a server on which what takes long by default can be waited for.
const strict = `
[rooms]
create = "accounts"
admission = "1/s burst 3"
queue = 5
created = 4
`

// attentive is a server that soon notices who is gone.
const attentive = `
[c2s]
attend_timeout = "3s"
answer_timeout = "3s"
`

// startServer starts one of them. People are called by their number, guests by -1.
func startServer(t *testing.T, config string, people int) (at *peertest.Parley, login func(i int) *peertest.Client) {
	t.Helper()
	at = peertest.StartParley(t, peertest.ParleyOptions{Config: config})
	for i := range people {
		at.AddUser(fmt.Sprint("user", i), "password")
	}
	return at, func(i int) *peertest.Client {
		t.Helper()
		p := peertest.DialFrom(t, source(), at.XMPP, "localhost")
		if i < 0 {
			p.Login("", "")
		} else {
			p.Login(fmt.Sprint("user", i), "password")
		}
		return p.Bind("")
	}
}

// TestHM8JoinFlood: of many who come at once a few enter, some wait, the others are told to come later, and the room's
// own life goes on.
func TestHM8JoinFlood(t *testing.T) {
	t.Parallel()
	at, login := startServer(t, strict, 1)
	owner := login(0)
	room := open(t, owner)
	before := countedAt(t, at, "limit.room")
	flood := make([]*peertest.Client, 20)
	for i := range flood {
		flood[i] = login(-1)
	}
	began := time.Now()
	for i, p := range flood {
		p.Send(joining(room, fmt.Sprint("n", i), ""))
		if i%10 == 0 {
			p.Send(fmt.Sprintf("<message to='%s' type='groupchat' id='behind%d'><body>Hi</body></message>", room, i))
		}
	}
	for i := range 20 {
		owner.Send(fmt.Sprintf("<message to='%s' type='groupchat' id='o%d'><body>Hi</body></message>", room, i))
		owner.Await("<message", fmt.Sprintf("id='o%d'", i), "from='"+room+"/owner'")
	}
	entered, refused := 0, 0
	for i, p := range flood {
		got := p.Await("<presence", "'"+room+fmt.Sprint("/n", i)+"'")
		for !strings.Contains(got, "type='error'") && !strings.Contains(got, "code='110'") {
			got = p.Await("<presence", "'"+room+fmt.Sprint("/n", i)+"'")
		}
		// What was sent behind the join is worked off behind it.
		words := ""
		if i%10 == 0 {
			words = p.Await("<message", fmt.Sprintf("id='behind%d'", i))
		}
		if strings.Contains(got, "code='110'") {
			entered++
			if words != "" && !strings.Contains(words, "from='"+room+fmt.Sprint("/n", i)+"'") {
				t.Errorf("who has entered hears %s", words)
			}
			continue
		}
		refused++
		wantError(t, got, "wait", "resource-constraint")
		if words != "" {
			wantError(t, words, "cancel", "item-not-found")
		}
	}
	// Two of the burst are left behind the owner, five may wait, and while they came in others took their places.
	if most := 3 + 5 + int(time.Since(began)/time.Second) + 1; entered < 7 || entered > most {
		t.Errorf("%d came in, want 7 to %d", entered, most)
	}
	if refused == 0 || countedAt(t, at, "limit.room") < before+float64(refused) {
		t.Errorf("%d were refused, %v counted", refused, countedAt(t, at, "limit.room")-before)
	}
	if n := at.Metric("parley_occupants", ""); n != float64(1+entered) {
		t.Errorf("%v occupants", n)
	}
}

// TestHM8Limits are those of one who is inside.
func TestHM8Limits(t *testing.T) {
	ann, bob := user(t, dial(t), "ann"), user(t, dial(t), "bob")
	room := open(t, ann)
	comeIn(t, bob, room, "bob")
	heard(t, ann, room)
	before := counted(t, "limit.room")
	for what, children := range map[string]string{
		"9 kB of text":        "<SourceInfo>" + strings.Repeat("x", 9000) + "</SourceInfo>",
		"9 kB of JSON":        "<json-message xmlns='http://jitsi.org/jitmeet'>" + strings.Repeat("[", 4500) + strings.Repeat("]", 4500) + "</json-message>",
		"1,000 elements":      strings.Repeat("<a/>", 1000),
		"9 kB in attributes":  "<a b='" + strings.Repeat("x", 9000) + "'/>",
		"1,000 with prefixes": strings.Repeat("<p:a xmlns:p='urn:p'/>", 1000),
	} {
		for _, to := range []string{room + "/bob", newRoom() + "/bob"} {
			bob.Send("<presence to='" + to + "' id='large'><x xmlns='" + nsMUC + "'/>" + children + "</presence>")
			got := bob.Await("<presence", "id='large'")
			if len(got) > 2000 {
				t.Errorf("%s is answered by %d bytes", what, len(got))
			}
			wantError(t, got, "modify", "policy-violation")
		}
	}
	if n := counted(t, "limit.room") - before; n != 10 {
		t.Errorf("%v of 10 were counted", n)
	}
	// One change of nickname in five seconds. Three at once can take less than five even here.
	bob.Send("<presence to='"+room+"/bob1' id='r1'/>", "<presence to='"+room+"/bob2' id='r2'/>", "<presence to='"+room+"/bob3' id='r3'/>")
	bob.Await("<presence", "from='"+room+"/bob1'", "code='110'")
	refused := 0
	for _, e := range heard(t, bob, room) {
		if strings.Contains(e, "type='error'") {
			wantError(t, e, "cancel", "not-acceptable")
			refused++
		}
	}
	if refused == 0 {
		t.Error("three changes of nickname at once")
	}
	came := heard(t, ann, room)
	nothingOf(t, "ann", came, strings.Repeat("x", 100), "<a/>")
	changes := 0
	for _, e := range came {
		changes += strings.Count(e, "code='303'")
	}
	if changes != 3-refused {
		t.Errorf("ann saw %d changes of nickname, %d were refused", changes, refused)
	}
}

// TestHM4Creation: where only accounts create rooms, guests do not; and nobody creates without end.
func TestHM4Creation(t *testing.T) {
	t.Parallel()
	at, login := startServer(t, strict, 1)
	stranger, owner := login(-1), login(0)
	before := countedAt(t, at, "room.deny")
	room := newRoom()
	stranger.Send(joining(room, "g", ""))
	wantError(t, stranger.Await("id='join'"), "cancel", "not-allowed")
	if got := ask(t, stranger, "set", "focus.localhost", "<conference xmlns='http://jitsi.org/protocol/focus' room='"+room+"' machine-uid='m'/>"); !strings.Contains(got, "type='error'") && !strings.Contains(got, "ready='false'") {
		t.Errorf("a guest's conference request is answered %s", got)
	}
	if at.Metric("parley_rooms", "") != 0 || countedAt(t, at, "room.deny") == before {
		t.Error("a room is there, or it was not counted")
	}
	for i := range 6 {
		owner.Send("<presence to='" + newRoom() + "/o' id='join'><x xmlns='" + nsMUC + "'/></presence>")
		for got := owner.Await("<presence"); ; got = owner.Await("<presence") {
			if strings.Contains(got, "code='110'") && i < 4 {
				break
			}
			if strings.Contains(got, "type='error'") && i >= 4 {
				wantError(t, got, "wait", "resource-constraint")
				break
			}
			t.Fatalf("room %d is answered %s", i, got)
		}
	}
	if n := at.Metric("parley_rooms", ""); n != 4 {
		t.Errorf("%v rooms", n)
	}
}

// TestHM8ConferenceRequests: rooms that are born by a conference request count like those that are born by entering.
func TestHM8ConferenceRequests(t *testing.T) {
	t.Parallel()
	at, login := startServer(t, strict, 1)
	owner := login(0)
	made := 0
	for range 10 {
		got := ask(t, owner, "set", "focus.localhost", "<conference xmlns='http://jitsi.org/protocol/focus' room='"+newRoom()+"' machine-uid='m'/>")
		if strings.Contains(got, "ready='true'") {
			made++
		}
	}
	if n := at.Metric("parley_rooms", ""); made != 4 || n != 4 {
		t.Errorf("%d requests were granted, and there are %v rooms", made, n)
	}
}

// TestHM8ConferenceRequestsByHTTP: who asks without a session makes no rooms without end, and keeps nobody else from it.
func TestHM8ConferenceRequestsByHTTP(t *testing.T) {
	t.Parallel()
	at := peertest.StartParley(t, peertest.ParleyOptions{})
	post := func(from string) (status int, retry string) {
		t.Helper()
		client := http.Client{Timeout: peertest.Patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext}}
		res, err := client.Post("http://"+at.HTTP+"/conference-request/v1", "application/json", strings.NewReader(`{"room":"`+newRoom()+`","machineUid":"m"}`))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode, res.Header.Get("Retry-After")
	}
	flooder, made, refused := source(), 0, 0
	began := time.Now()
	for range 190 { // within the rate of connections
		switch status, retry := post(flooder); {
		case status == http.StatusOK:
			made++
		case status == http.StatusServiceUnavailable && retry != "":
			refused++
		default:
			t.Fatalf("answered %d", status)
		}
	}
	if most := 60 + int(10*time.Since(began).Seconds()); made > most {
		t.Errorf("%d rooms were made in %v, %d requests refused", made, time.Since(began), refused)
	}
	if status, _ := post(source()); status != http.StatusOK {
		t.Errorf("another source is answered %d", status)
	}
}

// TestHM12Ghosts: who is gone without a word leaves the room with status 333, and what it is told when it asks for
// itself is true.
func TestHM12Ghosts(t *testing.T) {
	t.Parallel()
	at, login := startServer(t, attentive, 1)
	owner := login(0)
	room := open(t, owner)
	ping := func(t testing.TB, p *peertest.Client, nick string) string {
		t.Helper()
		return ask(t, p, "get", room+"/"+nick, "<ping xmlns='urn:xmpp:ping'/>")
	}
	var came []string
	// leaves keeps the owner alive until the room has said that somebody has left.
	leaves := func(nick string) string {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			came = append(came, heard(t, owner, room)...)
			for _, e := range came {
				if strings.Contains(e, "from='"+room+"/"+nick+"'") && strings.Contains(e, "type='unavailable'") {
					return e
				}
			}
		}
		t.Fatalf("%s does not leave", nick)
		return ""
	}
	before := countedAt(t, at, "room.ghost")
	silent, reset, clean, away := login(-1), login(-1), login(-1), login(-1)
	away.Send("<enable xmlns='urn:xmpp:sm:3' resume='true' max='1'/>")
	away.Await("<enabled")
	for nick, p := range map[string]*peertest.Client{"silent": silent, "reset": reset, "clean": clean, "away": away} {
		comeIn(t, p, room, nick)
		if got := ping(t, p, nick); !strings.Contains(startTag(got), "type='result'") {
			t.Errorf("an occupant's self-ping is answered %s", got)
		}
	}
	clean.Send("</stream:stream>")
	if got := leaves("clean"); strings.Contains(got, "code='333'") {
		t.Errorf("who says goodbye leaves as %s", got)
	}
	reset.Conn.(*net.TCPConn).SetLinger(0)
	reset.Conn.Close()
	away.Conn.Close()
	for _, nick := range []string{"reset", "away", "silent"} {
		if got := leaves(nick); !strings.Contains(got, "code='333'") {
			t.Errorf("%s leaves as %s", nick, got)
		}
	}
	if n := countedAt(t, at, "room.ghost") - before; n != 3 {
		t.Errorf("%v of 3 were counted", n)
	}
	wantError(t, ping(t, owner, "silent"), "cancel", "item-not-found")
	// Thrown out, and told so when it asks.
	kicked := login(-1)
	comeIn(t, kicked, room, "kicked")
	ask(t, owner, "set", room, item("role", "none", "nick", "kicked"))
	wantError(t, ping(t, kicked, "kicked"), "cancel", "not-acceptable")
	wantError(t, ping(t, login(-1), "owner"), "cancel", "not-acceptable")
}

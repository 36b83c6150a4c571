package hostile

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/peertest"
)

// TestHF10ClockThatIsSet sets the wall clock an hour forward, then an hour back, then right again. Sessions, rooms, relayed calls and those
// who are about to resume do not notice; what was said is found in the order in which it was said; tokens go by the clock.
func TestHF10ClockThatIsSet(t *testing.T) {
	t.Parallel()
	at := peertest.StartParley(t, peertest.ParleyOptions{Config: config})
	for _, name := range []string{"ann", "bob", "carl"} {
		at.AddUser(name, name+"-password")
	}
	enter := func(name string) *peertest.Client {
		p := peertest.DialTLS(t, at.XMPPS, "localhost", tls.VersionTLS13)
		login(t, p, name)
		return p
	}
	ann := enter("ann").Bind("")
	bob := peertest.DialWS(t, at.HTTP, "localhost", "/xmpp-websocket")
	login(t, bob, "bob")
	bob.Bind("")
	bob.Send("<presence/>")
	bob.Await("<presence")
	room := open(t, ann, "persistentroom", "1", "publicroom", "1")
	comeIn(t, bob, room, "bob")
	caller := dialRelay(t, at, "udp", relayCredential(t, ann))
	caller.allocate()
	a, b := relay(t, at, "udp", relayCredential(t, ann)), relay(t, at, "tls", relayCredential(t, bob))
	call(t, a, b, "before")
	soon := token(t, time.Now().Add(30*time.Minute))

	var words []string
	say := func(word string) {
		words = append(words, word)
		for to, typ := range map[string]string{"bob@localhost": "chat", room: "groupchat"} {
			ann.Send("<message to='" + to + "' type='" + typ + "'><body>" + word + "</body></message>")
			bob.Await("<message", "type='"+typ+"'", "<body>"+word+"</body>")
		}
	}
	say("before")
	for i, step := range []struct {
		name  string
		wrong time.Duration
		token bool // one that ends in half an hour is taken
	}{
		{"an hour forward", time.Hour, false},
		{"two hours back", -time.Hour, true},
		{"right again", 0, true},
	} {
		carl := enter("carl").Bind(fmt.Sprint("r", i))
		carl.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		id := peertest.Attr(carl.Await("<enabled"), "id")
		carl.Send("<presence/>")
		carl.Await("<presence")
		carl.Drop()
		eventually(t, step.name+": carl is not away", func() bool { return at.Metric("parley_sessions_away", "") == 1 })
		jumps := countedAt(t, at, "clock.jump")
		eventually(t, step.name+": there are more sessions than people", func() bool { return at.Metric("parley_sessions", "") == 3 })

		at.SetClock(step.wrong)
		say(strings.ReplaceAll(step.name, " ", "-"))
		code, m := caller.ask(refresh)
		if code == 438 { // the nonce is old
			caller.challenged(m)
			code, _ = caller.ask(refresh)
		}
		if code != 0 {
			t.Errorf("%s: a relayed address is not refreshed: %d", step.name, code)
		}
		call(t, a, b, step.name)
		if got := at.Metric("parley_sessions", ""); got != 3 {
			t.Errorf("%s: of 3 sessions %v are left", step.name, got)
		}
		back := enter("carl")
		back.Send("<resume xmlns='urn:xmpp:sm:3' h='1' previd='" + id + "'/>")
		back.Await("<resumed", "previd='"+id+"'")
		back.Ping()
		back.Send("</stream:stream>")
		back.Await("</stream:stream>")
		if got := taken(t, at, soon); got != step.token {
			t.Errorf("%s: a token that ends in half an hour is taken: %v", step.name, got)
		}
		eventually(t, step.name+": nobody has noticed", func() bool { return countedAt(t, at, "clock.jump") == jumps+1 })
	}
	if got := ask(t, bob, "get", room, "<query xmlns='http://jabber.org/protocol/disco#items'/>"); strings.Count(got, "<item ") != 2 {
		t.Errorf("in the room are %s", got)
	}
	for _, archive := range []string{"bob@localhost", room} {
		found, last := "", ""
		before, answer := meanwhile(t, bob, "set", archive, "<query xmlns='urn:xmpp:mam:2'/>")
		for _, e := range before {
			if !strings.Contains(e, "<result xmlns='urn:xmpp:mam:2'") || !strings.Contains(e, "<body>") {
				continue
			}
			_, body, _ := strings.Cut(e, "<body>")
			body, _, _ = strings.Cut(body, "<")
			found += " " + body
			_, result, _ := strings.Cut(e, "<result")
			if id := peertest.Attr(result, "id"); archive != room && id <= last {
				t.Errorf("the id %s comes behind %s", id, last)
			} else {
				last = id
			}
		}
		if want := " " + strings.Join(words, " "); found != want {
			t.Errorf("the archive of %s has%s, want%s: %s", archive, found, want, answer)
		}
	}
	if n := countedAt(t, at, "panic"); n > 0 {
		t.Errorf("%v panics", n)
	}
}

// token is one that another service gave, good until then.
func token(t *testing.T, until time.Time) string {
	t.Helper()
	raw, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(map[string]any{"iss": "outside", "exp": until.Unix(), "room": "*"})).SignedString([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// taken reports that somebody comes in with a token.
func taken(t *testing.T, at *peertest.Parley, raw string) bool {
	t.Helper()
	p := peertest.DialFrom(t, source(), at.HTTP, "localhost")
	p.WS = true
	if res := p.Upgrade("/xmpp-websocket?room=standup&token=" + url.QueryEscape(raw)); res.StatusCode != http.StatusSwitchingProtocols {
		return false
	}
	p.Open()
	p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	return strings.HasPrefix(p.Read(), "<success")
}

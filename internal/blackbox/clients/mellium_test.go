package clients

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/disco"
	"mellium.im/xmpp/disco/info"
	"mellium.im/xmpp/disco/items"
	"mellium.im/xmpp/history"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/muc"
	"mellium.im/xmpp/mux"
	"mellium.im/xmpp/roster"
	"mellium.im/xmpp/stanza"
	"mellium.im/xmpp/upload"

	"parley/internal/peertest"
)

type chatMessage struct {
	stanza.Message
	Body string `xml:"body"`
}

// person is a session of the Go library mellium.im/xmpp.
type person struct {
	*xmpp.Session
	addr     jid.JID
	archive  *history.Handler
	messages chan chatMessage
	presence chan stanza.Presence
}

func enterMellium(ctx context.Context, t *testing.T, server *peertest.Parley, user string, roots *tls.Config) *person {
	t.Helper()
	addr := jid.MustParse(user + "@localhost/mellium")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", server.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	session, err := xmpp.NewClientSession(ctx, addr, conn,
		xmpp.StartTLS(roots), xmpp.SASL("", user+"-password", sasl.ScramSha256Plus, sasl.ScramSha256), xmpp.BindResource())
	if err != nil {
		t.Fatal(err)
	}
	p := &person{Session: session, addr: session.LocalAddr(), messages: make(chan chatMessage, 64), presence: make(chan stanza.Presence, 64)}
	inner := mux.MessageHandlerFunc(func(_ stanza.Message, r xmlstream.TokenReadEncoder) error {
		var m chatMessage
		if err := xml.NewTokenDecoder(r).Decode(&m); err != nil {
			return err
		}
		if m.Body != "" {
			p.messages <- m
		}
		return nil
	})
	heard := func(pr stanza.Presence, _ xmlstream.TokenReadEncoder) error { p.presence <- pr; return nil }
	p.archive = history.NewHandler(inner)
	m := mux.New(stanza.NSClient, history.Handle(p.archive),
		mux.Message(stanza.ChatMessage, xml.Name{Local: "body"}, inner), mux.Message(stanza.GroupChatMessage, xml.Name{Local: "body"}, inner),
		mux.PresenceFunc(stanza.AvailablePresence, xml.Name{}, heard), mux.PresenceFunc(stanza.SubscribePresence, xml.Name{}, heard), mux.PresenceFunc(stanza.SubscribedPresence, xml.Name{}, heard))
	go session.Serve(m)
	t.Cleanup(func() { session.Close() })
	return p
}

func (p *person) say(ctx context.Context, t *testing.T, to jid.JID, kind stanza.MessageType, body string) {
	t.Helper()
	if err := p.Encode(ctx, chatMessage{stanza.Message{To: to, Type: kind}, body}); err != nil {
		t.Fatal(err)
	}
}

// share finds the service for files, uploads one and returns its address.
func (p *person) share(ctx context.Context, t *testing.T, name, content string) string {
	t.Helper()
	var services []jid.JID
	list := disco.FetchItems(ctx, items.Item{JID: p.addr.Domain()}, p.Session)
	for list.Next() {
		services = append(services, list.Item().JID)
	}
	if err := list.Close(); err != nil {
		t.Fatal(err)
	}
	for _, service := range services {
		about, err := disco.GetInfo(ctx, "", service, p.Session)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(about.Features, func(f info.Feature) bool { return f.Var == upload.NS }) {
			continue
		}
		slot, err := upload.GetSlot(ctx, upload.File{Name: name, Size: len(content), Type: "image/png"}, service, p.Session)
		if err != nil {
			t.Fatal(err)
		}
		put, err := slot.Put(ctx, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(put)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatalf("PUT: %s", res.Status)
		}
		return slot.GetURL.String()
	}
	t.Fatalf("none of %v takes files", services)
	return ""
}

// TestMellium: two sessions of the Go library log in with channel binding, become contacts, talk, share a file, meet in a room, and
// read the archive.
func TestMellium(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	var people []*person
	for _, user := range []string{"ann", "bob"} {
		server.AddUser(user, user+"-password")
		people = append(people, enterMellium(ctx, t, server, user, server.TLS()))
	}
	ann, bob := people[0], people[1]
	hears := func(p *person, kind stanza.PresenceType, from jid.JID) {
		t.Helper()
		for {
			select {
			case pr := <-p.presence:
				if pr.Type == kind && pr.From.Bare().Equal(from.Bare()) {
					return
				}
			case <-ctx.Done():
				t.Fatalf("%v does not hear %q of %v", p.addr, kind, from)
			}
		}
	}
	reads := func(p *person, body string) {
		t.Helper()
		for {
			select {
			case m := <-p.messages:
				if m.Body == body {
					return
				}
			case <-ctx.Done():
				t.Fatalf("%v does not read %q", p.addr, body)
			}
		}
	}
	send := func(p *person, kind stanza.PresenceType, to jid.JID) {
		t.Helper()
		if err := p.Send(ctx, stanza.Presence{To: to, Type: kind}.Wrap(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range people {
		if err := roster.Fetch(ctx, p.Session).Close(); err != nil {
			t.Fatal(err)
		}
		send(p, stanza.AvailablePresence, jid.JID{})
	}
	for _, pair := range [][2]*person{{ann, bob}, {bob, ann}} {
		send(pair[0], stanza.SubscribePresence, pair[1].addr.Bare())
		hears(pair[1], stanza.SubscribePresence, pair[0].addr)
		send(pair[1], stanza.SubscribedPresence, pair[0].addr.Bare())
		hears(pair[0], stanza.SubscribedPresence, pair[1].addr)
	}
	known := roster.Fetch(ctx, ann.Session)
	var contacts []roster.Item
	for known.Next() {
		contacts = append(contacts, known.Item())
	}
	if err := known.Close(); err != nil || len(contacts) != 1 || contacts[0].Subscription != "both" {
		t.Fatalf("the roster is %v, %v", contacts, err)
	}

	ann.say(ctx, t, bob.addr.Bare(), stanza.ChatMessage, "first words")
	reads(bob, "first words")

	content := "\x89PNG\r\n\x1a\n" + strings.Repeat("rose", 10_000)
	link := ann.share(ctx, t, "a red rose.png", content)
	ann.say(ctx, t, bob.addr.Bare(), stanza.ChatMessage, link)
	reads(bob, link)
	res, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err != nil || string(got) != content || res.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%s: %s %v, %d bytes, %v", link, res.Status, res.Header, len(got), err)
	}

	room := jid.MustParse("coven@muc.localhost")
	for i, p := range people {
		at, err := room.WithResource([]string{"ann", "bob"}[i])
		if err != nil {
			t.Fatal(err)
		}
		// By hand: the library's own Join has a data race in v0.22.0, and hangs now and then.
		enter := xmlstream.Wrap(nil, xml.StartElement{Name: xml.Name{Space: muc.NS, Local: "x"}})
		if err := p.Send(ctx, stanza.Presence{To: at}.Wrap(enter)); err != nil {
			t.Fatal(err)
		}
		hears(p, stanza.AvailablePresence, room)
		if i == 0 { // whose room it is: she opens it
			form, err := muc.GetConfig(ctx, room, p.Session)
			if err == nil {
				err = muc.SetConfig(ctx, room, form, p.Session)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	bob.say(ctx, t, room, stanza.GroupChatMessage, "words in the room")
	reads(ann, "words in the room")

	found := bob.archive.Fetch(ctx, history.Query{With: ann.addr.Bare()}, jid.JID{}, bob.Session)
	n := 0
	for found.Next() {
		n++
	}
	if err := found.Close(); err != nil || n != 2 || !found.Result().Complete {
		t.Fatalf("the archive has %d messages, %+v, %v", n, found.Result(), err)
	}
}

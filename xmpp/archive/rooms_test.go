package archive

import (
	"context"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// XEP-0313 §6.1.2: a room's archive, with the real addresses for those who may know them.
func TestRoomArchive(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	const room = "coven@muc.x.net"
	epoch, err := w.store.Claim(ctx, room, "node")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	message := func(i int, nick, author, children string) store.Message {
		return store.Message{ID: "id-" + string(rune('0'+i)), At: start.Add(time.Duration(i) * time.Minute), Sender: room + "/" + nick, Author: author,
			Subject: strings.Contains(children, "<subject>"), Tail: []byte(" from='" + room + "/" + nick + "' type='groupchat'>" + children + "</message>")}
	}
	done := make(chan error, 1)
	w.store.Write(store.Change{Room: room, Epoch: epoch, Put: &store.Room{Addr: room, Created: start}, Messages: []store.Message{
		message(1, "first", "crone1@x.net/a", "<body>1</body>"),
		message(2, "first", "", "<subject>witches</subject>"),
		message(3, "second", "wiccarocks@x.net/b", "<body>3</body>"),
		message(4, "first", "crone1@x.net/c", "<body>4</body>"),
	}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	rooms := NewRooms(w.store, nil)
	ask := func(real bool, typ, payload string) (messages []string, answer string) {
		me := &client{w: w, addr: "hag66@x.net/pda"}
		rooms.Answer(ctx, room, packet(t, "<iq to='"+room+"' from='hag66@x.net/pda' type='"+typ+"' id='q'>"+payload+"</iq>"), real,
			func(st wire.Stanza) { me.Deliver(nil, "", st) })
		last := len(me.got) - 1
		return me.got[:last], me.got[last]
	}
	query := func(content string) string {
		return "<query xmlns='urn:xmpp:mam:2' queryid='g27'>" + content + "</query>"
	}

	messages, fin := ask(true, "set", query(""))
	if len(messages) != 4 {
		t.Fatalf("got %q", messages)
	}
	holds(t, messages[0], "<message to='hag66@x.net/pda' from='"+room+"'><result xmlns='urn:xmpp:mam:2' queryid='g27' id='id-1'>",
		"stamp='2026-08-01T12:01:00.000Z'", "<message xmlns='jabber:client' from='"+room+"/first' type='groupchat'><body>1</body>"+
			"<x xmlns='http://jabber.org/protocol/muc#user'><item jid='crone1@x.net/a'/></x></message></forwarded>")
	holds(t, messages[1], "<subject>witches</subject></message></forwarded>") // whose it is, is not known
	holds(t, fin, "from='"+room+"'", "<first>id-1</first><last>id-4</last>", " complete='true'")
	messages, _ = ask(false, "set", query(""))
	if got := strings.Join(messages, ""); len(messages) != 4 || strings.Contains(got, "crone1") || strings.Contains(got, "wiccarocks") {
		t.Errorf("real addresses are shown: %s", got)
	}

	for _, c := range []struct {
		name, content string
		real          bool
		want          string // ids
	}{
		{"a real bare address", formOf("with", "crone1@x.net"), true, "1 4"},
		{"a real full address", formOf("with", "crone1@x.net/c"), true, "4"},
		{"a real address that one may not know", formOf("with", "crone1@x.net"), false, ""},
		{"somebody whose name only begins so", formOf("with", "crone@x.net"), true, ""},
		{"an occupant", formOf("with", room+"/first"), false, "1 2 4"},
		{"the room", formOf("with", room), false, "1 2 3 4"},
		{"times", formOf("start", "2026-08-01T12:02:00Z", "end", "2026-08-01T12:03:00Z"), false, "2 3"},
		{"from a time on", formOf("start", "2026-08-01T12:02:00.001Z"), false, "3 4"},
		{"up to a time", formOf("end", "2026-08-01T12:02:59.999Z"), false, "1 2"},
		{"later", formOf("start", "2026-08-02T00:00:00Z"), false, ""},
		{"earlier", formOf("end", "2026-07-02T00:00:00Z"), false, ""},
		{"ids", formOf("ids", "id-4 id-1"), false, "1 4"},
		{"behind an id", formOf("after-id", "id-2"), false, "3 4"},
		{"in front of an id", formOf("before-id", "id-2"), false, "1"},
		{"a page", rsm("<max>2</max><after>id-1</after>"), false, "2 3"},
		{"the last page", rsm("<max>2</max><before/>"), false, "3 4"},
		{"the page before", rsm("<max>2</max><before>id-3</before>"), false, "1 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			messages, _ := ask(c.real, "set", query(c.content))
			var got []string
			for _, m := range messages {
				_, rest, _ := strings.Cut(m, " id='id-")
				got = append(got, rest[:1])
			}
			equal(t, "messages", got, strings.Fields(c.want))
		})
	}

	_, answer := ask(false, "set", query(rsm("<max>0</max>")))
	holds(t, answer, "<count>4</count>")
	_, answer = ask(true, "set", query(rsm("<max>0</max>")+formOf("with", "crone1@x.net")))
	holds(t, answer, "<count>2</count>")
	_, answer = ask(false, "set", query(rsm("<max>0</max>")+formOf("with", "crone1@x.net")))
	holds(t, answer, "<count>0</count>")
	_, answer = ask(false, "get", "<metadata xmlns='urn:xmpp:mam:2'/>")
	holds(t, answer, "<start id='id-1' timestamp='2026-08-01T12:01:00.000Z'/><end id='id-4' timestamp='2026-08-01T12:04:00.000Z'/>")
	_, answer = ask(false, "get", "<query xmlns='urn:xmpp:mam:2'/>")
	holds(t, answer, "var='before-id'")
	_, answer = ask(false, "set", query(formOf("after-id", "id-9")))
	holds(t, answer, "type='error'", "from='"+room, "<item-not-found ")
}

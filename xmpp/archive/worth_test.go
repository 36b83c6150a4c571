package archive

import (
	"testing"

	"parley/xmpp/wire"
)

func TestWhatIsWorthArchiving(t *testing.T) {
	const body = "<body>x</body>"
	for _, c := range []struct {
		name, stanza string
		want         bool
	}{
		{"a message with a body", "<message>" + body + "</message>", true},
		{"of type chat", "<message type='chat'>" + body + "</message>", true},
		{"of type normal", "<message type='normal'>" + body + "</message>", true},
		{"of an unknown type, which is normal", "<message type='odd'>" + body + "</message>", true},
		{"with the namespace written out", "<message><body xmlns='jabber:client'>x</body></message>", true},
		{"an error", "<message type='error'>" + body + "<error/></message>", false},
		{"a headline", "<message type='headline'>" + body + "</message>", false},
		{"a room's", "<message type='groupchat'>" + body + "</message>", false},
		{"nothing", "<message/>", false},
		{"another's body", "<message><body xmlns='urn:x'>x</body></message>", false},
		{"a chat state", "<message type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", false},
		{"no-store", "<message>" + body + "<no-store xmlns='urn:xmpp:hints'/></message>", false},
		{"no-store in front", "<message><no-store xmlns='urn:xmpp:hints'/>" + body + "</message>", false},
		{"no-permanent-store", "<message>" + body + "<no-permanent-store xmlns='urn:xmpp:hints'/></message>", false},
		{"no-copy is about something else", "<message>" + body + "<no-copy xmlns='urn:xmpp:hints'/></message>", true},
		{"a hint of somebody else", "<message>" + body + "<no-store xmlns='urn:x'/></message>", true},
		{"store", "<message><x xmlns='urn:x'/><store xmlns='urn:xmpp:hints'/></message>", true},
		{"store and no-store", "<message><store xmlns='urn:xmpp:hints'/><no-store xmlns='urn:xmpp:hints'/></message>", false},
		{"store in an error", "<message type='error'><store xmlns='urn:xmpp:hints'/></message>", false},
		{"encrypted", "<message><encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/></message>", true},
		{"a receipt", "<message><received xmlns='urn:xmpp:receipts' id='1'/></message>", true},
		{"a wish for a receipt", "<message><request xmlns='urn:xmpp:receipts'/></message>", false},
		{"a marker", "<message><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/></message>", true},
		{"something taken back", "<message><retract xmlns='urn:xmpp:message-retract:1' id='1'/></message>", true},
		{"something taken back in another room's way", "<message><retract xmlns='urn:x' id='1'/></message>", false},
		{"a call", "<message><propose xmlns='urn:xmpp:jingle-message:0' id='1'/></message>", true},
		{"an invitation", "<message><x xmlns='jabber:x:conference' jid='r@muc.x'/></message>", true},
		{"an invitation by the room", "<message><x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@x'/></x></message>", true},
		{"a private message in a room", "<message type='chat'>" + body + "<x xmlns='http://jabber.org/protocol/muc#user'/></message>", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := worth(wire.ParseElem([]byte(c.stanza))); got != c.want {
				t.Errorf("%v: %s", got, c.stanza)
			}
		})
	}
}

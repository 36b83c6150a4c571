package pubsub

import (
	"strings"
	"testing"
)

const (
	theplay  = "<conference xmlns='urn:xmpp:bookmarks:1' name='The Play&apos;s the Thing' autojoin='1'><nick>JC</nick><extensions><state xmlns='http://myclient.example/bookmark/state' minimized='true'/></extensions></conference>"
	orchard  = "<conference xmlns='urn:xmpp:bookmarks:1' name='The Orchard'><password>x&lt;y</password></conference>"
	private  = "<query xmlns='jabber:iq:private'>%</query>"
	oldPlay  = "<conference jid='theplay@conference.shakespeare.lit' name='The Play&apos;s the Thing' autojoin='true'><nick>JC</nick></conference>"
	oldTree  = "<conference jid='orchard@conference.shakespeare.lit' name='The Orchard'><password>x&lt;y</password></conference>"
	aLink    = "<url xmlns='storage:bookmarks' name='Complete Works' url='http://the-tech.mit.edu/Shakespeare/'/>"
	document = "<storage xmlns='storage:bookmarks'>%</storage>"
)

func storage(inner ...string) string {
	return strings.Replace(document, "%", strings.Join(inner, ""), 1)
}

func inPrivate(inner string) string { return strings.Replace(private, "%", inner, 1) }

var emptyStorage = inPrivate("<storage xmlns='storage:bookmarks'/>")

func bookmarked(t *testing.T, w *world, nodes ...string) *session {
	s := w.login("juliet@capulet.lit/b", nodes...)
	s.ok("set", "", publishing(NSBookmarks, "theplay@conference.shakespeare.lit", theplay))
	s.ok("set", "", publishing(NSBookmarks, "orchard@conference.shakespeare.lit", orchard))
	s.take()
	return s
}

func TestBookmarksArePrivateByDefault(t *testing.T) { // XEP-0402 §4.3, §7
	w := shakespeare(t)
	other := w.login("nurse@capulet.lit/1", NSBookmarks, NSStorage)
	s := bookmarked(t, w)
	other.refused("get", juliet, asking(NSBookmarks, "/>"), "cancel", "not-allowed", "closed-node")
	other.refused("get", juliet, asking(NSStorage, "/>"), "cancel", "item-not-found", "")
	s.ok("set", "", publishing(NSStorage, "current", storage(oldPlay, aLink)))
	other.refused("get", juliet, asking(NSStorage, "/>"), "cancel", "not-allowed", "closed-node")
	other.refused("set", juliet, publishing(NSStorage, "current", storage()), "auth", "forbidden", "")
	expect(t, other)
	s.ok("set", "", with(publishing(NSBookmarks, "theplay@conference.shakespeare.lit", theplay), "pubsub#persist_items", "true",
		"pubsub#max_items", "max", "pubsub#send_last_published_item", "never", "pubsub#access_model", "whitelist"))
}

func TestOldClientsSeeBookmarks(t *testing.T) { // XEP-0048 §2 with XEP-0049, and in PEP
	w := shakespeare(t)
	s := bookmarked(t, w)
	want := storage(oldPlay, oldTree)
	if got := s.ok("get", "", emptyStorage); got != inPrivate(want) {
		t.Errorf("got %s", got)
	}
	if got := s.ok("get", "", asking(NSStorage, "/>")); got != "<pubsub xmlns='"+NS+"'><items node='storage:bookmarks'><item id='current'>"+want+"</item></items></pubsub>" {
		t.Errorf("got %s", got)
	}
}

func TestNobodysBookmarksAreEmpty(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/b", NSStorage)
	expect(t, s)
	if got := s.ok("get", "", emptyStorage); got != inPrivate(storage()) {
		t.Errorf("got %s", got)
	}
}

func TestBookmarksOfOldClients(t *testing.T) { // XEP-0411, both ways
	for name, set := range map[string]func(s *session, document string){
		"private XML": func(s *session, document string) { s.ok("set", "", inPrivate(document)) },
		"PEP":         func(s *session, document string) { s.ok("set", "", publishing(NSStorage, "current", document)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := shakespeare(t)
			s := bookmarked(t, w, NSBookmarks)
			old := w.login("juliet@capulet.lit/old", NSStorage)
			expect(t, old, eventOf(juliet, "<items node='storage:bookmarks'><item id='current'>"+storage(oldPlay, oldTree)+"</item></items>"))
			moved := strings.Replace(oldPlay, "The Play&apos;s the Thing", "Hamlet", 1)
			court := "<conference jid='court@conference.shakespeare.lit' autojoin='false'/>"
			set(s, storage(moved, court, aLink))
			newPlay := "<conference xmlns='urn:xmpp:bookmarks:1' name='Hamlet' autojoin='true'><nick>JC</nick>" +
				"<extensions xmlns='urn:xmpp:bookmarks:1'><state xmlns='http://myclient.example/bookmark/state' minimized='true'/></extensions></conference>"
			item := func(room, payload string) string {
				return "<items node='urn:xmpp:bookmarks:1'><item id='" + room + "@conference.shakespeare.lit'>" + payload + "</item></items>"
			}
			expect(t, s,
				eventOf(juliet, item("theplay", newPlay)),
				eventOf(juliet, item("court", "<conference xmlns='urn:xmpp:bookmarks:1'></conference>")),
				eventOf(juliet, "<items node='urn:xmpp:bookmarks:1'><retract id='orchard@conference.shakespeare.lit'/></items>"))
			after := storage(moved, "<conference jid='court@conference.shakespeare.lit'></conference>", aLink)
			expect(t, old, eventOf(juliet, "<items node='storage:bookmarks'><item id='current'>"+after+"</item></items>"))
			if got := s.ok("get", "", emptyStorage); got != inPrivate(after) {
				t.Errorf("got %s", got)
			}
			set(s, after) // nothing is different
			expect(t, s)
			set(s, storage())
			if got := s.ok("get", "", asking(NSBookmarks, "/>")); strings.Contains(got, "<item ") {
				t.Errorf("got %s", got)
			}
			if got := s.ok("get", "", emptyStorage); got != inPrivate(storage()) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestBookmarksOfNewClientsReachOldOnes(t *testing.T) {
	w := shakespeare(t)
	s := bookmarked(t, w)
	old := w.login("juliet@capulet.lit/old", NSStorage)
	old.take()
	is := func(inner ...string) {
		t.Helper()
		expect(t, old, eventOf(juliet, "<items node='storage:bookmarks'><item id='current'>"+storage(inner...)+"</item></items>"))
	}
	s.ok("set", "", "<pubsub xmlns='"+NS+"'><retract node='"+NSBookmarks+"' notify='true'><item id='theplay@conference.shakespeare.lit'/></retract></pubsub>")
	is(oldTree)
	s.ok("set", "", publishing(NSBookmarks, "theplay@conference.shakespeare.lit", theplay))
	is(oldTree, oldPlay)
	s.ok("set", "", owning("<purge node='"+NSBookmarks+"'/>"))
	is()
	s.ok("set", "", publishing(NSBookmarks, "orchard@conference.shakespeare.lit", orchard))
	is(oldTree)
	s.ok("set", "", owning("<delete node='"+NSBookmarks+"'/>"))
	is()
}

func TestOldNodeIsRemovedAsAWhole(t *testing.T) {
	for _, request := range []string{
		"<pubsub xmlns='" + NS + "'><retract node='storage:bookmarks'><item id='current'/></retract></pubsub>",
		owning("<purge node='storage:bookmarks'/>"), owning("<delete node='storage:bookmarks'/>"),
	} {
		w := shakespeare(t)
		s := bookmarked(t, w)
		s.ok("set", "", request)
		if got := s.ok("get", "", asking(NSBookmarks, "/>")); strings.Contains(got, "<item ") {
			t.Errorf("after %s there is %s", request, got)
		}
	}
}

func TestBookmarksOfOldClientsMakeTheNodePrivate(t *testing.T) { // XEP-0411 §5
	w := shakespeare(t)
	s, other := w.login("juliet@capulet.lit/b"), w.login("nurse@capulet.lit/1")
	s.ok("set", "", with(publishing(NSBookmarks, "orchard@conference.shakespeare.lit", orchard), "pubsub#access_model", "open"))
	other.ok("get", juliet, asking(NSBookmarks, "/>"))
	s.ok("set", "", inPrivate(storage(oldPlay)))
	other.refused("get", juliet, asking(NSBookmarks, "/>"), "cancel", "not-allowed", "closed-node")
}

func TestStrangeDocuments(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/b")
	s.refused("set", "", publishing(NSStorage, "current", "<storage xmlns='u:x'/>"), "modify", "bad-request", "invalid-payload")
	s.refused("set", "", "<pubsub xmlns='"+NS+"'><publish node='"+NSStorage+"'/></pubsub>", "modify", "bad-request", "invalid-payload")
	s.refused("set", "", inPrivate(storage(oldPlay)+"<a xmlns='u:a'/>"), "cancel", "not-allowed", "")
	nowhere := "<conference xmlns='storage:bookmarks' jid='@' name='Nowhere'/>"
	s.ok("set", "", inPrivate(storage(nowhere, oldPlay, oldPlay)))
	if got := s.ok("get", "", emptyStorage); got != inPrivate(storage(oldPlay, nowhere)) {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", "<query xmlns='jabber:iq:private'><s:storage xmlns:s='storage:bookmarks'><s:conference jid='Court@Conference.shakespeare.lit/me' name='C'><s:nick>n</s:nick></s:conference></s:storage></query>")
	if got := s.ok("get", "", emptyStorage); got != inPrivate(storage("<conference jid='court@conference.shakespeare.lit' name='C'><nick>n</nick></conference>")) {
		t.Errorf("got %s", got)
	}
	limits := DefaultLimits
	limits.Items = 2
	small := newWorld(t, limits, juliet)
	s = small.login("juliet@capulet.lit/b")
	room := "<conference jid='%@x.lit'/>"
	s.refused("set", "", inPrivate(storage(strings.Replace(room, "%", "a", 1), strings.Replace(room, "%", "b", 1), strings.Replace(room, "%", "c", 1))),
		"wait", "resource-constraint", "")
}

func TestWhatADocumentCannotHoldStays(t *testing.T) {
	limits := DefaultLimits
	limits.Answer = len(orchard) + 1 // two bookmarks
	w := newWorld(t, limits, juliet)
	s := w.login("juliet@capulet.lit/b")
	for _, room := range []string{"a@x.lit", "b@x.lit", "c@x.lit"} {
		s.ok("set", "", publishing(NSBookmarks, room, orchard))
	}
	if got := s.ok("get", "", emptyStorage); !strings.Contains(got, "a@x.lit") || !strings.Contains(got, "b@x.lit") || strings.Contains(got, "c@x.lit") {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", inPrivate(storage())) // all that the client has seen
	if got := s.ok("get", "", emptyStorage); strings.Contains(got, "b@x.lit") || !strings.Contains(got, "c@x.lit") {
		t.Errorf("got %s", got)
	}
}

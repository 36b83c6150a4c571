package archive

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
)

var storedMessage = store.Archived{ID: "018f2f6e-9a00-7000-8000-000000000001", Tail: []byte(" to='b@x' from='a@x'><body>x</body></message>")}

// A small archive of romeo's: five messages to and from three addresses.
func small(t *testing.T) (w *world, romeo *client, ids []string) {
	w = newWorld(t)
	add := func(from, to, body string) {
		sender, recipient := w.say(from, to, "<body>%s</body>", body)
		if strings.HasPrefix(from, "romeo@") {
			ids = append(ids, sender)
		} else {
			ids = append(ids, recipient)
		}
		time.Sleep(2 * time.Millisecond) // so that they differ in time
	}
	add("romeo@x.net/orchard", "juliet@x.net/balcony", "1")
	add("juliet@x.net/balcony", "romeo@x.net/orchard", "2")
	add("juliet@x.net/chamber", "romeo@x.net", "3")
	add("nurse@x.net/n", "romeo@x.net", "4")
	add("romeo@x.net/orchard", "friar@y.net", "5")
	return w, &client{w: w, addr: "romeo@x.net/orchard"}, ids
}

// XEP-0313 §3.2, §4.2: the message as it was, its id and time, then the result.
func TestResultHoldsTheMessageItsIDAndItsTime(t *testing.T) {
	w := newWorld(t)
	before := time.Now().UTC().Truncate(time.Millisecond)
	own, other := w.say("romeo@x.net/a", "juliet@x.net/b", "<body xml:lang='it'>ciao &amp; <![CDATA[<]]></body><x xmlns='urn:x' y='1'/>")
	after := time.Now()
	if own == "" || other == "" || own == other {
		t.Fatalf("the ids are %q and %q", own, other)
	}
	for _, c := range []struct {
		addr, id string
	}{{"romeo@x.net/a", own}, {"juliet@x.net/b", other}} {
		me := &client{w: w, addr: wireAddr(c.addr)}
		messages, fin := me.ask("set", "<query xmlns='urn:xmpp:mam:2' queryid=\"f'27\"/>")
		if len(messages) != 1 {
			t.Fatalf("%d messages", len(messages))
		}
		bare, _, _ := strings.Cut(c.addr, "/")
		head := "<message to='" + c.addr + "' from='" + bare + "'><result xmlns='urn:xmpp:mam:2' queryid=\"f'27\" id='" + c.id +
			"'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='"
		rest, ok := strings.CutPrefix(messages[0], head)
		if !ok {
			t.Fatalf("got %s, want %s...", messages[0], head)
		}
		stamp, rest, _ := strings.Cut(rest, "'/>")
		if at, err := time.Parse(time.RFC3339, stamp); err != nil || at.Before(before) || at.After(after) {
			t.Errorf("stamp %s is not between %s and %s", stamp, before, after)
		}
		if want := "<message xmlns='jabber:client' to='juliet@x.net/b' from='romeo@x.net/a' type='chat'><body xml:lang='it'>ciao &amp; <![CDATA[<]]></body>" +
			"<x xmlns='urn:x' y='1'/></message></forwarded></result></message>"; rest != want {
			t.Errorf("got %s\nwant %s", rest, want)
		}
		holds(t, fin, "<iq to='"+c.addr+"' id='q' type='result'><fin xmlns='urn:xmpp:mam:2' complete='true'>"+
			"<set xmlns='http://jabber.org/protocol/rsm'><first>"+c.id+"</first><last>"+c.id+"</last></set></fin></iq>")
	}
}

// XEP-0313 §4.1: which messages come.
func TestConditions(t *testing.T) {
	w, romeo, ids := small(t)
	list, _, err := w.store.ArchivePage(context.Background(), store.ArchiveQuery{Owner: "romeo@x.net", Limit: 10})
	if err != nil || len(list) != 5 {
		t.Fatalf("%d messages are stored: %v", len(list), err)
	}
	at := func(i int) string { return stamp(list[i-1].At) }
	for _, c := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"all", nil, "1 2 3 4 5"},
		{"with a bare address (§4.1.1)", []string{"with", "juliet@x.net"}, "1 2 3"},
		{"with a full address", []string{"with", "juliet@x.net/chamber"}, "3"},
		{"with one of another server", []string{"with", "friar@y.net"}, "5"},
		{"with somebody else", []string{"with", "tybalt@x.net"}, ""},
		{"with an address in another spelling", []string{"with", "Juliet@X.NET"}, "1 2 3"},
		{"with oneself: only what one said to oneself", []string{"with", "romeo@x.net"}, ""},
		{"from a time on (§4.1.2)", []string{"start", at(3)}, "3 4 5"},
		{"up to a time", []string{"end", at(3)}, "1 2 3"},
		{"between times", []string{"start", at(2), "end", at(4)}, "2 3 4"},
		{"at one time", []string{"start", at(2), "end", at(2)}, "2"},
		{"between times the wrong way round", []string{"start", at(4), "end", at(2)}, ""},
		{"later than everything", []string{"start", "2999-01-01T00:00:00Z"}, ""},
		{"earlier than everything", []string{"end", "1969-01-01T00:00:00Z"}, ""},
		{"behind an id (§4.1.3)", []string{"after-id", ids[1]}, "3 4 5"},
		{"in front of an id", []string{"before-id", ids[1]}, "1"},
		{"between ids", []string{"after-id", ids[0], "before-id", ids[3]}, "2 3"},
		{"between ids the wrong way round", []string{"after-id", ids[3], "before-id", ids[0]}, ""},
		{"one id", []string{"ids", ids[2]}, "3"},
		{"ids in any order, one twice", []string{"ids", ids[4] + " " + ids[0] + " " + ids[4]}, "1 5"},
		{"ids and with", []string{"ids", ids[2] + " " + ids[3], "with", "nurse@x.net"}, "4"},
		{"ids behind an id", []string{"ids", ids[0] + " " + ids[3], "after-id", ids[1]}, "4"},
		{"everything together", []string{"with", "juliet@x.net", "start", at(1), "end", at(5), "after-id", ids[0]}, "2 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, fin := romeo.find("", c.fields...)
			equal(t, "messages", got, strings.Fields(c.want))
			holds(t, fin, " complete='true'")
			if c.want == "" {
				holds(t, fin, "<set xmlns='http://jabber.org/protocol/rsm'></set>")
			}
		})
	}
}

// XEP-0313 §4.1.1: what one says to oneself is found with one's own address, and is there once.
func TestNotesToOneself(t *testing.T) {
	w := newWorld(t)
	w.say("romeo@x.net/a", "juliet@x.net", "<body>other</body>")
	sender, recipient := w.say("romeo@x.net/a", "romeo@x.net", "<body>bare</body>")
	if sender == "" || sender != recipient {
		t.Errorf("one message has the ids %q and %q in one archive", sender, recipient)
	}
	w.say("romeo@x.net/a", "romeo@x.net/b", "<body>full</body>")
	romeo := &client{w: w, addr: "romeo@x.net/a"}
	for with, want := range map[string][]string{"romeo@x.net": {"bare", "full"}, "romeo@x.net/b": {"full"}} {
		got, _ := romeo.find("", "with", with)
		equal(t, "with "+with, got, want)
	}
	got, _ := romeo.find("")
	equal(t, "all", got, []string{"other", "bare", "full"})
}

// XEP-0313 §4.3, XEP-0059 §2: pages forward, backward and from the end, each way through the whole archive.
func TestPages(t *testing.T) {
	w := newWorld(t)
	var all []string
	for i := range 7 {
		body := string(rune('a' + i))
		all = append(all, body)
		w.say("romeo@x.net/a", "juliet@x.net", "<body>%s</body>", body)
	}
	romeo := &client{w: w, addr: "romeo@x.net/a"}
	field := func(fin, name string) string {
		_, rest, _ := strings.Cut(fin, "<"+name+">")
		text, _, _ := strings.Cut(rest, "</")
		return text
	}
	t.Run("forward", func(t *testing.T) {
		var got, sizes []string
		for page := rsm("<max>3</max>"); ; {
			list, fin := romeo.find(page)
			got = append(got, list...)
			sizes = append(sizes, string(rune('0'+len(list))))
			if strings.Contains(fin, " complete='true'") {
				break
			}
			page = rsm("<max>3</max><after>" + field(fin, "last") + "</after>")
		}
		equal(t, "messages", got, all)
		equal(t, "pages", sizes, []string{"3", "3", "1"})
	})
	t.Run("backward", func(t *testing.T) {
		var got, sizes []string
		for page := rsm("<max>3</max><before/>"); ; {
			list, fin := romeo.find(page)
			got = append(list, got...)
			sizes = append(sizes, string(rune('0'+len(list))))
			if strings.Contains(fin, " complete='true'") {
				break
			}
			page = rsm("<max>3</max><before>" + field(fin, "first") + "</before>")
		}
		equal(t, "messages", got, all)
		equal(t, "pages", sizes, []string{"3", "3", "1"})
	})
	t.Run("a page that ends with the last message is complete", func(t *testing.T) {
		_, fin := romeo.find(rsm("<max>7</max>"))
		holds(t, fin, " complete='true'")
		_, fin = romeo.find(rsm("<max>6</max>"))
		if strings.Contains(fin, "complete") {
			t.Errorf("it is not: %s", fin)
		}
	})
	t.Run("behind the last message", func(t *testing.T) {
		_, fin := romeo.find(rsm("<max>1</max><before/>"))
		got, fin := romeo.find(rsm("<after>" + field(fin, "last") + "</after>"))
		equal(t, "messages", got, nil)
		holds(t, fin, " complete='true'")
	})
	t.Run("after and before together", func(t *testing.T) {
		_, fin := romeo.find(rsm("<max>6</max>"))
		got, _ := romeo.find(rsm("<max>2</max><after>" + field(fin, "first") + "</after><before>" + field(fin, "last") + "</before>"))
		equal(t, "messages", got, []string{"d", "e"})
	})
	t.Run("flipped (§4.3.4)", func(t *testing.T) {
		messages, fin := romeo.ask("set", "<query xmlns='urn:xmpp:mam:2'>"+rsm("<max>3</max><before/>")+"<flip-page/></query>")
		got := strings.Join(messages, "")
		if g, f, e := strings.Index(got, ">g<"), strings.Index(got, ">f<"), strings.Index(got, ">e<"); len(messages) != 3 || g < 0 || f < g || e < f {
			t.Errorf("got %s", got)
		}
		_, plain := romeo.find(rsm("<max>3</max><before/>"))
		if fin != plain {
			t.Errorf("another page: %s and %s", fin, plain)
		}
	})
	t.Run("counted (XEP-0059 §2.7)", func(t *testing.T) {
		got, fin := romeo.find(rsm("<max>0</max>"))
		equal(t, "messages", got, nil)
		holds(t, fin, "<count>7</count>")
		_, last := romeo.find(rsm("<max>2</max>"))
		_, fin = romeo.find(rsm("<max>0</max>"), "after-id", field(last, "last"))
		holds(t, fin, "<count>5</count>")
		_, fin = romeo.find(rsm("<max>0</max>"), "with", "tybalt@x.net")
		holds(t, fin, "<count>0</count>", " complete='true'")
	})
}

func TestPagesAreBounded(t *testing.T) {
	w := newWorld(t)
	for range pageMessages + 5 {
		w.say("romeo@x.net/a", "juliet@x.net", "<body>x</body>")
	}
	large := strings.Repeat("y", pageBytes/4)
	for range 8 {
		w.say("romeo@x.net/a", "nurse@x.net", "<body>%s</body>", large)
	}
	romeo := &client{w: w, addr: "romeo@x.net/a"}
	for _, page := range []string{"", rsm("<max>1000</max>")} {
		got, fin := romeo.find(page)
		if len(got) != pageMessages || strings.Contains(fin, "complete") {
			t.Errorf("a page of %d messages: %s", len(got), fin)
		}
	}
	got, fin := romeo.find("", "with", "nurse@x.net")
	if len(got) != 4 || strings.Contains(fin, "complete") {
		t.Errorf("a page of %d large messages: %s", len(got), fin)
	}
	got, _ = romeo.find(rsm("<before/>"), "with", "nurse@x.net")
	if len(got) != 4 {
		t.Errorf("a last page of %d large messages", len(got))
	}
}

// XEP-0313 §4.1.5: the form says what can be asked for.
func TestForm(t *testing.T) {
	w := newWorld(t)
	_, answer := (&client{w: w, addr: "romeo@x.net/a"}).ask("get", "<query xmlns='urn:xmpp:mam:2'/>")
	holds(t, answer, "type='result'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='form'>", "<value>urn:xmpp:mam:2</value>",
		"var='with' type='jid-single'", "var='start' type='text-single'", "var='end' type='text-single'", "var='before-id' type='text-single'",
		"var='after-id' type='text-single'", "var='ids' type='list-multi'><validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/>",
		"var='include-groupchat' type='boolean'")
	if strings.Contains(answer, "required") {
		t.Errorf("something is required: %s", answer)
	}
}

// XEP-0313 §5.
func TestMetadata(t *testing.T) {
	w := newWorld(t)
	romeo := &client{w: w, addr: "romeo@x.net/a"}
	_, answer := romeo.ask("get", "<metadata xmlns='urn:xmpp:mam:2'/>")
	holds(t, answer, "type='result'><metadata xmlns='urn:xmpp:mam:2'/></iq>")
	w, romeo, ids := small(t)
	list, _, _ := w.store.ArchivePage(context.Background(), store.ArchiveQuery{Owner: "romeo@x.net", Limit: 10})
	_, answer = romeo.ask("get", "<metadata xmlns='urn:xmpp:mam:2'/>")
	holds(t, answer, "<metadata xmlns='urn:xmpp:mam:2'><start id='"+ids[0]+"' timestamp='"+stamp(list[0].At)+"'/><end id='"+ids[4]+"' timestamp='"+stamp(list[4].At)+"'/></metadata>")
}

// XEP-0313 §8.1: only the account's own sessions ask.
func TestWhoMayAsk(t *testing.T) {
	w, _, _ := small(t)
	const query = "<query xmlns='urn:xmpp:mam:2'/>"
	for _, c := range []struct {
		name  string
		who   client
		to    string
		found bool
	}{
		{"oneself", client{addr: "romeo@x.net/any"}, "", true},
		{"oneself, by address", client{addr: "romeo@x.net/any"}, " to='romeo@x.net'", true},
		{"oneself, in another spelling", client{addr: "romeo@x.net/any"}, " to='ROMEO@x.net'", true},
		{"one's own server", client{addr: "romeo@x.net/any"}, " to='x.net'", true},
		{"another server", client{addr: "romeo@x.net/any"}, " to='y.net'", false},
		{"this server, from another one", client{addr: "romeo@y.net/any"}, " to='x.net'", false},
		{"somebody else", client{addr: "juliet@x.net/any"}, " to='romeo@x.net'", false},
		{"a malformed address", client{addr: "juliet@x.net/any"}, " to='a@b@c'", false},
		{"an empty address", client{addr: "romeo@x.net/any"}, " to=''", false},
		{"a guest", client{addr: "romeo@x.net/any", guest: true}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			who := &client{w: w, addr: c.who.addr, guest: c.who.guest}
			w.s.Handle(nil, who, packet(t, "<iq type='set' id='q'"+c.to+">"+query+"</iq>"))
			if c.found && len(who.got) != 6 {
				t.Errorf("got %q", who.got)
			}
			if !c.found {
				if len(who.got) != 1 {
					t.Fatalf("got %q", who.got)
				}
				holds(t, who.got[0], "type='error'", "<service-unavailable ")
			}
		})
	}
}

func TestAnswersToWhomTheRequestWasSent(t *testing.T) {
	w, romeo, _ := small(t)
	w.s.Handle(nil, romeo, packet(t, "<iq type='set' id='q' to='romeo@x.net'><query xmlns='urn:xmpp:mam:2'/></iq>"))
	holds(t, romeo.got[5], "<iq to='romeo@x.net/orchard' from='romeo@x.net' id='q' type='result'>")
	w.s.Handle(nil, romeo, packet(t, "<iq type='set' id='q' to='x.net'><query xmlns='urn:xmpp:mam:2'/></iq>"))
	holds(t, romeo.got[11], "<iq to='romeo@x.net/orchard' from='x.net' id='q' type='result'>")
}

func TestTooManyRequests(t *testing.T) {
	w, romeo, _ := small(t)
	w.full = true
	_, answer := romeo.ask("set", "<query xmlns='urn:xmpp:mam:2'/>")
	holds(t, answer, "type='error'", "type='wait'", "<resource-constraint ")
}

// broken is a store that does not answer.
type broken struct{ Store }

var errBroken = errors.New("the disk is gone")

func (broken) ArchivePage(context.Context, store.ArchiveQuery) ([]store.Archived, bool, error) {
	return nil, false, errBroken
}
func (broken) ArchiveCount(context.Context, store.ArchiveQuery) (int, error) { return 0, errBroken }
func (broken) ArchiveEnds(context.Context, string) (store.ArchiveEnds, error) {
	return store.ArchiveEnds{}, errBroken
}
func (broken) ArchivePrefs(context.Context, string) (store.ArchivePrefs, error) {
	return store.ArchivePrefs{}, errBroken
}
func (broken) SetArchivePrefs(context.Context, string, store.ArchivePrefs) error { return errBroken }

func TestBrokenStoreIsNotShown(t *testing.T) {
	w, romeo, _ := small(t)
	w.start(broken{w.store})
	for _, c := range []struct{ typ, payload string }{
		{"set", "<query xmlns='urn:xmpp:mam:2'/>"},
		{"set", "<query xmlns='urn:xmpp:mam:2'>" + rsm("<max>0</max>") + "</query>"},
		{"set", "<query xmlns='urn:xmpp:mam:2'>" + formOf("with", "a@x") + rsm("<max>0</max>") + "</query>"},
		{"get", "<metadata xmlns='urn:xmpp:mam:2'/>"},
		{"get", "<prefs xmlns='urn:xmpp:mam:2'/>"},
		{"set", "<prefs xmlns='urn:xmpp:mam:2' default='never'/>"},
	} {
		messages, answer := romeo.ask(c.typ, c.payload)
		if len(messages) > 0 || strings.Contains(answer, "disk") {
			t.Errorf("%s: %q %s", c.payload, messages, answer)
		}
		holds(t, answer, "type='error'", "type='wait'", "<internal-server-error ")
	}
}

// slow is a store that commits when it is told to.
type slow struct {
	Store
	waiting []func()
}

func (s *slow) Append(list []store.Appended, done func(error)) {
	s.waiting = append(s.waiting, func() { s.Store.Append(list, done) })
	if list == nil { // somebody waits for what was queued before
		for _, f := range s.waiting {
			f()
		}
		s.waiting = nil
	}
}

func TestQueriesFindWhatWasDeliveredBefore(t *testing.T) {
	w := newWorld(t)
	w.start(&slow{Store: w.store})
	id, _ := w.s.Keep(Kept{Sender: "romeo@x.net", From: "romeo@x.net/a", To: "juliet@x.net", Stanza: stanza(t, "romeo@x.net/a", "<body>one</body>")}, func(error) {})
	if w.s.pending.empty() {
		t.Fatal("nothing waits")
	}
	got, fin := (&client{w: w, addr: "romeo@x.net/a"}).find("", "ids", id)
	equal(t, "messages", got, []string{"one"})
	holds(t, fin, id)
	if !w.s.pending.empty() {
		t.Error("it is counted as not committed for ever")
	}
}

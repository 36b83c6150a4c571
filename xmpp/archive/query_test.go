package archive

import (
	"strings"
	"testing"

	"parley/xmpp/wire"
)

// The requests that are refused, and how (XEP-0313 §4, XEP-0059).
func TestQueriesThatAreRefused(t *testing.T) {
	const unknown = "018f2f6e-9a00-7000-8000-000000000001"
	w := newWorld(t)
	w.say("romeo@x.net/a", "juliet@x.net", "<body>one</body>")
	romeo := &client{w: w, addr: "romeo@x.net/a"}
	for _, c := range []struct{ name, query, condition string }{
		{"an unknown field", formOf("{urn:x}text", "love"), "feature-not-implemented"},
		{"a form for something else", "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:x</value></field></x>", "bad-request"},
		{"a form that is not submitted", "<x xmlns='jabber:x:data' type='form'/>", "bad-request"},
		{"two forms", formOf() + formOf(), "bad-request"},
		{"a field twice", formOf("with", "a@x", "with", "b@x"), "bad-request"},
		{"a field with two values", formOf("with", "a@x b@x"), "bad-request"},
		{"a field without value", formOf("start", ""), "bad-request"},
		{"ids without value", formOf("ids", ""), "bad-request"},
		{"too many ids", formOf("ids", strings.Repeat(unknown+" ", mostIDs+1)), "bad-request"},
		{"an address that is none", formOf("with", "a@b@c"), "jid-malformed"},
		{"a time that is none", formOf("start", "yesterday"), "bad-request"},
		{"a date alone", formOf("end", "2026-08-01"), "bad-request"},
		{"a flag that is none", formOf("include-groupchat", "maybe"), "bad-request"},
		{"an id that is none, after", formOf("after-id", "nonsense"), "item-not-found"},
		{"an id that is none, before", formOf("before-id", "nonsense"), "item-not-found"},
		{"an id that is none, in ids", formOf("ids", "nonsense"), "item-not-found"},
		{"an unknown id, after", formOf("after-id", unknown), "item-not-found"},
		{"an unknown id, before", formOf("before-id", unknown), "item-not-found"},
		{"an unknown id, in ids", formOf("ids", unknown), "item-not-found"},
		{"an id in another spelling", formOf("after-id", "{"+unknown+"}"), "item-not-found"},
		{"a page after an unknown id", rsm("<after>" + unknown + "</after>"), "item-not-found"},
		{"a page before an unknown id", rsm("<before>" + unknown + "</before>"), "item-not-found"},
		{"a page by its number", rsm("<index>0</index>"), "feature-not-implemented"},
		{"a page of a size that is none", rsm("<max>many</max>"), "bad-request"},
		{"a page of a negative size", rsm("<max>-1</max>"), "bad-request"},
		{"what a page is after, outside of it", "<after>" + unknown + "</after>", "bad-request"},
		{"an unknown element of the namespace", "<with>a@x</with>", "bad-request"},
		{"two pages", rsm("<max>1</max>") + rsm("<max>2</max>"), "bad-request"},
		{"too many pages in one", rsm(strings.Repeat("<after>"+unknown+"</after>", mostIDs+1)), "bad-request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			messages, answer := romeo.ask("set", "<query xmlns='urn:xmpp:mam:2'>"+c.query+"</query>")
			if len(messages) > 0 {
				t.Errorf("messages came: %q", messages)
			}
			holds(t, answer, "type='error'", "<"+c.condition+" ")
		})
	}
	_, answer := romeo.ask("set", "<query xmlns='urn:xmpp:mam:2' node='urn:x'/>")
	holds(t, answer, "<feature-not-implemented ")
	_, answer = romeo.ask("set", "<query xmlns='urn:xmpp:mam:2' queryid='"+strings.Repeat("x", longestID+1)+"'/>")
	holds(t, answer, "<bad-request ")
	_, answer = romeo.ask("set", "<metadata xmlns='urn:xmpp:mam:2'/>")
	holds(t, answer, "<bad-request ")
}

// Fields that say nothing more than their absence are taken, and so is what old clients leave out.
func TestQueriesThatAreTaken(t *testing.T) {
	w := newWorld(t)
	w.say("romeo@x.net/a", "juliet@x.net", "<body>one</body>")
	romeo := &client{w: w, addr: "romeo@x.net/a"}
	for name, query := range map[string]string{
		"nothing":              "",
		"an empty form":        formOf(),
		"a form without type":  "<x xmlns='jabber:x:data' type='submit'><field var='with'><value>juliet@X.net</value></field></x>",
		"without rooms":        formOf("include-groupchat", "false"),
		"with rooms":           formOf("include-groupchat", "1"),
		"the first page":       rsm("<max> 10 </max><after/>"),
		"a large page":         rsm("<max>99999999</max>"),
		"a time with offset":   formOf("start", "2020-01-01T00:00:00+01:00"),
		"a time with fraction": formOf("start", "2020-01-01T00:00:00.123456789Z", "end", "9999-12-31T23:59:59.999Z"),
		"a very early time":    formOf("start", "0001-01-01T00:00:01Z"),
		"something else":       "<x xmlns='urn:x'/>",
	} {
		t.Run(name, func(t *testing.T) {
			messages, answer := romeo.ask("set", "<query xmlns='urn:xmpp:mam:2'>"+query+"</query>")
			if len(messages) != 1 {
				t.Errorf("%d messages came", len(messages))
			}
			holds(t, answer, "type='result'", " complete='true'")
		})
	}
}

// FuzzQuery gives the reader of queries anything that a client may send. What it takes is bounded.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{
		"<query xmlns='urn:xmpp:mam:2' queryid='f27'/>",
		"<query xmlns='urn:xmpp:mam:2'>" + formOf("with", "juliet@capulet.lit", "start", "2010-06-07T00:00:00Z", "end", "2010-07-07T13:23:54Z") + "</query>",
		"<query xmlns='urn:xmpp:mam:2'>" + formOf("after-id", "28482-98726-73623", "before-id", "09af3-cc343-b409f") + "</query>",
		"<query xmlns='urn:xmpp:mam:2'>" + formOf("ids", "28482-98726-73623 09af3-cc343-b409f") + rsm("<max>10</max><before/>") + "<flip-page/></query>",
		"<query xmlns='urn:xmpp:mam:2' node='n'>" + formOf("include-groupchat", "true", "{urn:x}y", "z") + rsm("<index>3</index>") + "</query>",
		"<q:query xmlns:q='urn:xmpp:mam:2' queryid=\"'\"><x xmlns='jabber:x:data' type='submit'><field><value><![CDATA[x]]></value></field></x><q:flip-page/></q:query>",
	} {
		f.Add("<iq type='set' id='1'>" + query + "</iq>")
	}
	f.Fuzz(func(t *testing.T, text string) {
		scanner := wire.Scanner{Limits: wire.AfterAuth}
		_, p, err := scanner.Next([]byte(text))
		if err != nil || p.Kind != wire.IQ {
			return
		}
		e := p.Elem().First()
		q, why := readQuery(e)
		readPrefs(e)
		if why != nil {
			if why.Condition == "" || why.Type == "" {
				t.Fatalf("an error without a name: %+v", why)
			}
			return
		}
		if q.Limit < 0 || q.Limit > pageMessages || q.Bytes != pageBytes {
			t.Fatalf("a page of %d messages and %d bytes", q.Limit, q.Bytes)
		}
		if len(q.IDs) > mostIDs || len(q.After)+len(q.Before) > mostIDs+2 {
			t.Fatalf("%d ids, %d after, %d before", len(q.IDs), len(q.After), len(q.Before))
		}
		if a, err := wire.ParseAddr(q.With); q.With != "" && (err != nil || string(a) != q.With) {
			t.Fatalf("with %q", q.With)
		}
		// What it says of the query comes back as a stanza.
		s := shelf{owner: "a@x"}
		raw := append([]byte("<message"), s.result(&q, &storedMessage).Tail...)
		again := wire.Scanner{Limits: wire.AfterAuth}
		if n, _, err := again.Next(raw); err != nil || n != len(raw) {
			t.Fatalf("%v: %s", err, raw)
		}
	})
}

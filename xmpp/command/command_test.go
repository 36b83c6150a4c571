package command

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/xmpp/form"
	"parley/xmpp/route"
	"parley/xmpp/route/routetest"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const purpose = "urn:example:travel"

// travel has two forms: where to, then how; a way of travelling that does not exist is found when it is done.
func travel(log *[]string) Command {
	field := func(name string) Stage {
		return Stage{Type: purpose,
			Form: func(_ context.Context, x *Execution, f *form.Sheet) *wire.Error {
				f.Required(name, "text-single", "After "+x.Answers.One("where"))
				return nil
			},
			Check: func(_ context.Context, _ *Execution, a form.Answers) *wire.Error {
				if a.One(name) == "" {
					return Bad(name + " is needed")
				}
				return nil
			},
		}
	}
	return Command{
		Node: "travel", Name: "Travel <far>", May: func(who wire.Addr) bool { return who.Local() != "eve" },
		Stages: []Stage{field("where"), field("how")},
		Do: func(_ context.Context, x *Execution) (Outcome, *wire.Error) {
			if x.Answers.One("how") == "teleport" {
				return Outcome{}, Bad("not yet")
			}
			*log = append(*log, string(x.Account())+" to "+x.Answers.One("where")+" by "+x.Answers.One("how"))
			return Outcome{Note: "bon voyage"}, nil
		},
	}
}

func world(t testing.TB) (s *Service, log *[]string) {
	log = new([]string)
	now := func(_ wire.Addr, work func(*wire.Batch)) bool { work(&wire.Batch{}); return true }
	s = New("x.net", now, nil)
	s.Add(travel(log), Command{
		Node: "at-once", Name: "At once", May: func(wire.Addr) bool { return true },
		Do: func(context.Context, *Execution) (Outcome, *wire.Error) {
			return Outcome{Form: form.New(nil, "result", purpose).End()}, nil
		},
	}, Command{
		Node: "broken", Name: "Broken", May: func(who wire.Addr) bool { return who.Local() == "ann" },
		Do: func(context.Context, *Execution) (Outcome, *wire.Error) {
			return Outcome{}, &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError}
		},
	})
	return s, log
}

// ask sends a command and returns the answer.
func (s *Service) ask(t testing.TB, who *routetest.Session, node, attrs, content string) string {
	t.Helper()
	who.Got = ""
	s.Handle(&wire.Batch{}, who, routetest.Packet(t, "<iq type='set' id='1' to='x.net'><command xmlns='"+NS+"' node='"+node+"' "+attrs+">"+content+"</command></iq>"))
	return who.Got
}

func submit(name, value string) string {
	return "<x xmlns='jabber:x:data' type='submit'><field var='" + name + "'><value>" + value + "</value></field></x>"
}

func sessionOf(t testing.TB, answer string) string {
	t.Helper()
	_, id, ok := strings.Cut(answer, "sessionid='")
	if !ok {
		t.Fatalf("no session in %s", answer)
	}
	id, _, _ = strings.Cut(id, "'")
	return id
}

func TestStages(t *testing.T) {
	s, log := world(t)
	ann := &routetest.Session{Address: "ann@x.net/a"}
	first := s.ask(t, ann, "travel", "action='execute'", "")
	id := "sessionid='" + sessionOf(t, first) + "'"
	if !strings.Contains(first, "status='executing'><actions execute='next'><next/></actions><x xmlns='jabber:x:data' type='form'>") || !strings.Contains(first, "<field var='where'") {
		t.Fatal(first)
	}
	for _, c := range []struct{ name, attrs, content, want string }{
		{"the end is not in sight", id + " action='complete'", submit("where", "Rome"), "<bad-action "},
		{"there is nothing before", id + " action='prev'", "", "<bad-action "},
		{"no such action", id + " action='jump'", "", "<malformed-action "},
		{"no form", id + " action='next'", "", "<bad-payload "},
		{"a cancelled form", id + " action='next'", "<x xmlns='jabber:x:data' type='cancel'/>", "<bad-payload "},
		{"a form for something else", id, "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:other</value></field></x>", "<bad-payload "},
		{"nothing filled in", id + " action='next'", submit("where", ""), "where is needed"},
		{"on", id + " action='next'", submit("where", "Rome"), "<actions execute='complete'><prev/><complete/></actions>"},
		{"no further", id + " action='next'", submit("how", "foot"), "<bad-action "},
		{"back", id + " action='prev'", "", "<field var='where' type='text-single' label='After '>"},
		{"on again, elsewhere", id, submit("where", "Verona"), "label='After Verona'"},
		{"what is wrong may be done again", id + " action='complete'", submit("how", "teleport"), "not yet"},
		{"done", id, submit("how", "foot"), "status='completed'><note type='info'>bon voyage</note></command>"},
		{"over", id, submit("how", "foot"), "<bad-sessionid "},
	} {
		if got := s.ask(t, ann, "travel", c.attrs, c.content); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if strings.Join(*log, ", ") != "ann@x.net to Verona by foot" {
		t.Errorf("travelled: %q", *log)
	}
}

func TestOneStep(t *testing.T) {
	s, _ := world(t)
	ann := &routetest.Session{Address: "ann@x.net/a"}
	if got := s.ask(t, ann, "at-once", "", ""); !strings.Contains(got, "node='at-once'") || !strings.Contains(got, "status='completed'><x ") {
		t.Error(got)
	}
	if got := s.ask(t, ann, "at-once", "action='complete'", ""); !strings.Contains(got, "<bad-action ") {
		t.Error(got)
	}
	if got := s.ask(t, ann, "broken", "", ""); !strings.Contains(got, "<internal-server-error ") {
		t.Error(got)
	}
	if n := len(s.sessions.all); n != 0 {
		t.Errorf("%d executions are left", n)
	}
}

func TestCancel(t *testing.T) {
	s, log := world(t)
	ann := &routetest.Session{Address: "ann@x.net/a"}
	id := sessionOf(t, s.ask(t, ann, "travel", "", ""))
	if got := s.ask(t, ann, "travel", "action='cancel' sessionid='"+id+"'", ""); !strings.Contains(got, "status='canceled'") {
		t.Error(got)
	}
	if len(s.sessions.all)+len(s.sessions.own)+len(*log) != 0 {
		t.Error("something is left")
	}
}

func TestWhoMay(t *testing.T) {
	s, log := world(t)
	ann := &routetest.Session{Address: "ann@x.net/a"}
	id := sessionOf(t, s.ask(t, ann, "travel", "", ""))
	for _, who := range []*routetest.Session{{Address: "eve@x.net/e"}, {Address: "ann@y.net/a"}, {Address: "1234@x.net/g", Anonymous: true}, {Address: "x.net"}} {
		for _, attrs := range []string{"", "sessionid='" + id + "' action='cancel'"} {
			if got := s.ask(t, who, "travel", attrs, ""); !strings.Contains(got, "<forbidden ") {
				t.Errorf("%s: %s", who.Address, got)
			}
		}
	}
	// Somebody else who may, and the same person elsewhere, do not go on with an execution of hers.
	for _, who := range []*routetest.Session{{Address: "bob@x.net/b"}, {Address: "ann@x.net/other"}} {
		if got := s.ask(t, who, "travel", "sessionid='"+id+"'", submit("where", "Hell")); !strings.Contains(got, "<bad-sessionid ") {
			t.Errorf("%s: %s", who.Address, got)
		}
	}
	if got := s.ask(t, ann, "at-once", "sessionid='"+id+"'", ""); !strings.Contains(got, "<bad-sessionid ") {
		t.Errorf("an execution of another command: %s", got)
	}
	if got := s.ask(t, ann, "none", "", ""); !strings.Contains(got, "<item-not-found ") {
		t.Error(got)
	}
	for _, stanza := range []string{"<iq type='get' id='1' to='x.net'>", "<iq type='set' id='1' to='ann@x.net'>", "<iq type='set' id='1'>"} {
		ann.Got = ""
		s.Handle(&wire.Batch{}, ann, routetest.Packet(t, stanza+"<command xmlns='"+NS+"' node='at-once'/></iq>"))
		if !strings.Contains(ann.Got, "type='error'") {
			t.Errorf("%s: %s", stanza, ann.Got)
		}
	}
	if len(*log) != 0 {
		t.Errorf("%q", *log)
	}
}

func TestDiscover(t *testing.T) {
	s, _ := world(t)
	ask := func(who, ns, node string) string {
		p := &routetest.Session{Address: wire.Addr(who)}
		if !s.Discover(&wire.Batch{}, p, routetest.Packet(t, "<iq type='get' id='1' to='x.net'><query xmlns='"+ns+"' node='"+node+"'/></iq>")) {
			return "not ours"
		}
		return p.Got
	}
	for _, c := range []struct{ who, ns, node, want, not string }{
		{"ann@x.net/a", nsItems, NS, "<item jid='x.net' node='travel' name='Travel &lt;far&gt;'/><item jid='x.net' node='at-once'", "none"},
		{"eve@x.net/a", nsItems, NS, "<item jid='x.net' node='at-once' name='At once'/></query>", "travel"},
		{"ann@y.net/a", nsItems, NS, "node='" + NS + "'></query>", "<item"},
		{"ann@x.net/a", nsInfo, NS, "type='command-list'", "error"},
		{"ann@x.net/a", nsInfo, "travel", "<identity category='automation' type='command-node' name='Travel &lt;far&gt;'/><feature var='" + NS + "'/>", "error"},
		{"ann@x.net/a", nsItems, "travel", "node='travel'></query>", "error"},
		{"eve@x.net/a", nsInfo, "travel", "<forbidden ", "identity"},
		{"ann@x.net/a", nsInfo, "other", "not ours", "<"},
	} {
		if got := ask(c.who, c.ns, c.node); !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("%s asks %s of %s: %s, want %s", c.who, c.ns, c.node, got, c.want)
		}
	}
}

// TestHM5ExecutionsAreBounded: those of one account, all of them, and in time.
func TestHM5ExecutionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := world(t)
		ann := &routetest.Session{Address: "ann@x.net/a"}
		first := sessionOf(t, s.ask(t, ann, "travel", "", ""))
		for range mostOwn {
			s.ask(t, ann, "travel", "", "")
		}
		if n := len(s.sessions.all); n != mostOwn {
			t.Errorf("%d executions of one account", n)
		}
		if got := s.ask(t, ann, "travel", "sessionid='"+first+"'", submit("where", "Rome")); !strings.Contains(got, "<bad-sessionid ") {
			t.Errorf("the oldest goes on: %s", got)
		}
		last := sessionOf(t, s.ask(t, ann, "travel", "", ""))
		time.Sleep(lifetime + time.Second)
		if got := s.ask(t, ann, "travel", "sessionid='"+last+"'", submit("where", "Rome")); !strings.Contains(got, "<session-expired ") {
			t.Errorf("it goes on for ever: %s", got)
		}
		for i := range mostSessions + 10 {
			s.ask(t, &routetest.Session{Address: wire.Addr(fmt.Sprintf("p%d@x.net/r", i))}, "travel", "", "")
		}
		if n := len(s.sessions.all); n != mostSessions {
			t.Errorf("%d executions", n)
		}
		late := &routetest.Session{Address: "late@x.net/l"}
		if got := s.ask(t, late, "travel", "", ""); !strings.Contains(got, "<resource-constraint ") {
			t.Errorf("one more than there may be: %s", got)
		}
		time.Sleep(lifetime + time.Second)
		if got := s.ask(t, late, "travel", "", ""); !strings.Contains(got, "executing") {
			t.Errorf("those that expired are in the way: %s", got)
		}
		if len(s.sessions.all) != 1 || len(s.sessions.own) != 1 {
			t.Errorf("%d executions, %d accounts", len(s.sessions.all), len(s.sessions.own))
		}
	})
}

func TestBusyAccount(t *testing.T) {
	s := New("x.net", func(wire.Addr, func(*wire.Batch)) bool { return false }, nil)
	s.Add(Command{Node: "n", May: func(wire.Addr) bool { return true }})
	ann := &routetest.Session{Address: "ann@x.net/a"}
	if got := s.ask(t, ann, "n", "", ""); !strings.Contains(got, "<resource-constraint ") {
		t.Error(got)
	}
}

var _ route.Sender = (*routetest.Session)(nil)

// FuzzHandle: whatever a request holds, it gets one answer, and nothing is left behind that it did not begin.
func FuzzHandle(f *testing.F) {
	f.Add("<command xmlns='" + NS + "' node='travel' action='execute'/>")
	f.Add("<command xmlns='" + NS + "' node='travel' sessionid='x' action='next'>" + submit("where", "Rome") + "</command>")
	f.Add("<command xmlns='" + NS + "' node='at-once' action='cancel'/>")
	f.Add("<c:command xmlns:c='" + NS + "' node='travel'/>")
	f.Fuzz(func(t *testing.T, payload string) {
		scan := wire.Scanner{Limits: wire.AfterAuth}
		_, p, err := scan.Next([]byte("<iq type='set' id='1' to='x.net'>" + payload + "</iq>"))
		if err != nil {
			return
		}
		s, _ := world(t)
		ann := &routetest.Session{Address: "ann@x.net/a"}
		s.Handle(&wire.Batch{}, ann, p)
		if ann.Got == "" || len(s.sessions.all) > 1 {
			t.Fatalf("%q, %d executions", ann.Got, len(s.sessions.all))
		}
		if raw := "<iq" + ann.Got; true {
			if _, _, err := (&wire.Scanner{Limits: wire.AfterAuth}).Next([]byte(raw)); err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
		}
	})
}

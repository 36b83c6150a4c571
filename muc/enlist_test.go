package muc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// applies sends an application of this nickname.
func (c *client) applies(room, nick string, more ...string) {
	c.w.t.Helper()
	c.send("<iq to='%s@muc.x' type='set' id='reg'><query xmlns='"+NSRegister+"'><x xmlns='"+NSData+"' type='submit'><field var='FORM_TYPE'><value>"+NSEnlist+
		"</value></field><field var='"+regNick+"'><value>%s</value></field>%s</x></query></iq>", room, nick, strings.Join(more, ""))
}

// decides answers an application.
func (c *client) decides(room, jid, nick, allow string) {
	c.w.t.Helper()
	who := "<field var='" + regNick + "'><value>" + nick + "</value></field>"
	if jid != "" {
		who += "<field var='" + regJID + "'><value>" + jid + "</value></field>"
	}
	c.send("<message to='%s@muc.x' id='d'><x xmlns='"+NSData+"' type='submit'><field var='FORM_TYPE'><value>"+NSEnlist+"</value></field>%s<field var='"+regAllow+
		"'><value>%s</value></field></x></message>", room, who, allow)
}

// founded is a lasting, listed room of romeo's that people may ask to become members of.
func founded(w *world) (romeo *client) {
	romeo = w.client("romeo@x/1")
	romeo.join("r", "romeo")
	romeo.configure("r", cfgPersistent, "1", cfgPublic, "1", cfgMembers, "1", cfgEnlist, "1")
	romeo.take()
	return romeo
}

func TestWhoMayAskToBecomeAMember(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo := founded(w)
		romeo.admin("r", "<item affiliation='outcast' jid='tybalt@x'/>")
		guest, tybalt, juliet := w.client("guest@x/1"), w.client("tybalt@x/1"), w.client("juliet@x/1")
		guest.guest = true
		for _, c := range []*client{guest, tybalt} {
			c.applies("r", "me")
			c.want("type='error'", "<not-allowed ")
		}
		juliet.applies("r", "romeo")
		juliet.want("<conflict ")
		juliet.applies("r", "")
		juliet.want("<bad-request ")
		juliet.applies("r", "juliet", "<field var='muc#register_first'><value>"+strings.Repeat("x", longestWord+1)+"</value></field>")
		juliet.want("<not-acceptable ")
		romeo.take()
		juliet.applies("r", "juliet", "<field var='muc#register_first'><value>J&lt;</value></field><field var='other'><value>x</value></field>")
		juliet.want("type='result'")
		if got := romeo.want("<value>juliet@x</value>", "<value>juliet</value>", "<value>J&lt;</value>", regAllow); strings.Contains(got, "other") {
			t.Errorf("what nobody asked for is passed on: %s", got)
		}
		// The nickname is spoken for, and the form remembers it.
		nurse := w.client("nurse@x/1")
		nurse.applies("r", "Juliet")
		nurse.want("<conflict ")
		juliet.send("<iq to='r@muc.x' type='get' id='g'><query xmlns='" + NSRegister + "'/></iq>")
		juliet.want("<value>juliet</value>")
		// Off again, nobody may ask.
		romeo.configure("r", cfgEnlist, "0")
		nurse.applies("r", "nurse")
		nurse.want("<not-allowed ")
	})
}

func TestAnswersToApplications(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet, nurse := founded(w), w.client("juliet@x/1"), w.client("nurse@x/1")
		romeo.admin("r", "<item affiliation='member' jid='benvolio@x'/>")
		benvolio := w.client("benvolio@x/1")
		benvolio.join("r", "benvolio")
		juliet.applies("r", "juliet")
		juliet.want("type='result'")
		nurse.applies("r", "nurse")
		romeo.take()
		if got := strings.Join(benvolio.take(), ""); strings.Contains(got, regAllow) {
			t.Errorf("a member is asked: %s", got)
		}
		// Who is no admin decides nothing, least of all about oneself.
		benvolio.decides("r", "juliet@x", "juliet", "1")
		benvolio.want("<forbidden ")
		juliet.decides("r", "juliet@x", "juliet", "1")
		juliet.want("<forbidden ")
		juliet.send("<presence to='r@muc.x/juliet'><x xmlns='" + NSMUC + "'/></presence>")
		juliet.want("<registration-required ")

		romeo.decides("r", "mercutio@x", "juliet", "1")
		romeo.want("<item-not-found ")
		romeo.decides("r", "juliet@x", "juliet", "perhaps")
		romeo.want("<bad-request ")
		romeo.send("<message to='r@muc.x'><x xmlns='" + NSData + "' type='cancel'><field var='FORM_TYPE'><value>" + NSEnlist + "</value></field></x></message>")
		if got := romeo.take(); len(got) > 0 {
			t.Errorf("an answer that is put off: %q", got)
		}
		romeo.decides("r", "", "nurse", "0")
		romeo.decides("r", "", "nurse", "1")
		romeo.want("<item-not-found ") // it was refused
		if got := nurse.take(); len(got) != 1 {
			t.Errorf("who was refused got %q", got)
		}
		romeo.decides("r", "", "juliet", "1")
		juliet.want("<invite from='r@muc.x'>")
		juliet.join("r", "juliet")

		// A request that was taken back is gone.
		nurse.applies("r", "nurse")
		nurse.send("<iq to='r@muc.x' type='set' id='reg'><query xmlns='" + NSRegister + "'><remove/></query></iq>")
		nurse.want("type='result'")
		romeo.take()
		romeo.decides("r", "nurse@x", "nurse", "1")
		romeo.want("<item-not-found ")
	})
}

// What somebody asked for outlives the room's stay in memory; what nobody answers ends.
func TestApplicationsAreKept(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := founded(w), w.client("juliet@x/1")
		romeo.gone()
		w.pass(time.Hour)
		juliet.applies("r", "juliet")
		juliet.want("type='result'")
		w.pass(time.Hour)
		w.s.mu.Lock()
		inMemory := len(w.s.cells)
		w.s.mu.Unlock()
		if inMemory != 0 {
			t.Fatalf("%d rooms are in memory", inMemory)
		}
		romeo = w.client("romeo@x/2")
		romeo.send("<presence to='r@muc.x/romeo'><x xmlns='" + NSMUC + "'/></presence>")
		romeo.want(regAllow, "<value>juliet@x</value>")
		romeo.gone()
		w.pass(appliedFor)
		romeo = w.client("romeo@x/3")
		romeo.send("<presence to='r@muc.x/romeo'><x xmlns='" + NSMUC + "'/></presence>")
		if got := strings.Join(romeo.take(), ""); !strings.Contains(got, "code='110'") || strings.Contains(got, regAllow) {
			t.Errorf("asked about what is long past: %s", got)
		}
	})
}

// TestHM5ApplicationsAreBounded: by number, and by rate.
func TestHM5ApplicationsAreBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo := founded(w)
		granted := 0
		for i := range 3 * mostApplications {
			c := w.client(fmt.Sprintf("p%d@x/1", i))
			c.applies("r", fmt.Sprintf("p%d", i))
			if strings.Contains(c.want("id='reg'"), "type='result'") {
				granted++
			}
			w.pass(time.Minute)
		}
		if granted != mostApplications {
			t.Errorf("%d applications wait", granted)
		}
		romeo.take()
	})
	inWorld(t, func(t *testing.T, w *world) {
		founded(w)
		c := w.client("p@x/1")
		for range 1000 {
			c.applies("r", "p")
			if strings.Contains(c.want("id='reg'"), "<resource-constraint ") {
				return
			}
		}
		t.Error("admins can be asked without end")
	})
}

// A room whose store fails takes no applications and grants none.
func TestApplicationsThatAreNotStored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := founded(w), w.client("juliet@x/1")
		w.store.slow = true
		juliet.applies("r", "juliet")
		if got := append(juliet.take(), romeo.take()...); len(got) > 0 {
			t.Errorf("told before it is committed: %q", got)
		}
		w.store.commit(errors.New("no"))
		juliet.want("<internal-server-error ")
		if got := romeo.take(); len(got) > 0 {
			t.Errorf("asked about nothing: %q", got)
		}
		juliet.applies("r", "juliet")
		w.store.commit(nil)
		juliet.want("type='result'")
		romeo.take()
		romeo.decides("r", "juliet@x", "juliet", "1")
		w.store.commit(errors.New("no"))
		romeo.want("<internal-server-error ")
		romeo.decides("r", "juliet@x", "juliet", "1")
		w.store.commit(nil)
		juliet.want("<invite ")
		w.store.slow = false
	})
}

// A hidden room is as one that is not there, also for who asks to become a member (hardening HM7).
func TestHM7HiddenRoomsTakeNoApplications(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := founded(w), w.client("juliet@x/1")
		romeo.configure("r", cfgPublic, "0")
		juliet.applies("r", "juliet")
		hidden := strings.ReplaceAll(juliet.want("id='reg'"), "r@muc.x", "room")
		juliet.applies("other", "juliet")
		if absent := strings.ReplaceAll(juliet.want("id='reg'"), "other@muc.x", "room"); hidden != absent {
			t.Errorf("a hidden room answers %s, one that is not there %s", hidden, absent)
		}
	})
}

// The form holds the whole lists of owners and admins (XEP-0045 §10.2).
func TestAffiliationsInTheForm(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields map[string]string // values are parted by commas
		want   string            // owners; admins; members, or the error's condition
	}{
		{"nothing is said", nil, "a,romeo;b;c"},
		{"more admins", map[string]string{cfgAdmins: "b@x,c@x,d@x"}, "a,romeo;b,c,d;"},
		{"fewer admins", map[string]string{cfgAdmins: ""}, "a,romeo;;b,c"},
		{"an owner who becomes an admin", map[string]string{cfgOwners: "romeo@x"}, "romeo;a,b;c"},
		{"an owner who becomes a member", map[string]string{cfgOwners: "romeo@x", cfgAdmins: "b@x"}, "romeo;b;a,c"},
		{"on both lists", map[string]string{cfgOwners: "romeo@x,b@x", cfgAdmins: "a@x,b@x"}, "b,romeo;a;c"},
		{"an owner on the list of admins alone stays", map[string]string{cfgAdmins: "a@x,b@x"}, "a,romeo;b;c"},
		{"full addresses", map[string]string{cfgAdmins: " b@x/1 "}, "a,romeo;b;c"},
		{"no owner", map[string]string{cfgOwners: ""}, "conflict"},
		{"no address", map[string]string{cfgAdmins: "a@b@c"}, "jid-malformed"},
		{"a domain", map[string]string{cfgAdmins: "x"}, "jid-malformed"},
		{"nobody of that nickname", map[string]string{cfgAdmins: "r@muc.x/nobody"}, "item-not-found"},
	} {
		for _, persistent := range []string{"0", "1"} {
			inWorld(t, func(t *testing.T, w *world) {
				romeo := w.client("romeo@x/1")
				romeo.join("r", "romeo")
				romeo.configure("r", cfgPersistent, persistent)
				romeo.admin("r", "<item affiliation='owner' jid='a@x'/><item affiliation='admin' jid='b@x'/><item affiliation='member' jid='c@x'/>")
				romeo.take()
				var form strings.Builder
				for name, values := range c.fields {
					fmt.Fprintf(&form, "<field var='%s'>", name)
					for v := range strings.SplitSeq(values, ",") {
						form.WriteString("<value>" + v + "</value>")
					}
					form.WriteString("</field>")
				}
				romeo.send("<iq to='r@muc.x' type='set' id='c'><query xmlns='"+NSOwner+"'><x xmlns='"+NSData+"' type='submit'>%s</x></query></iq>", form.String())
				answer := romeo.want("id='c'")
				var got []string
				for _, affiliation := range []string{"owner", "admin", "member"} {
					romeo.send("<iq to='r@muc.x' type='get' id='l'><query xmlns='"+NSAdmin+"'><item affiliation='%s'/></query></iq>", affiliation)
					list := romeo.want("id='l'")
					var names []string
					for _, name := range []string{"a", "b", "c", "d", "romeo"} {
						if strings.Contains(list, "jid='"+name+"@x'") {
							names = append(names, name)
						}
					}
					got = append(got, strings.Join(names, ","))
				}
				if persistent == "1" { // as the store has it
					stored := make(map[string][]string)
					_, list, err := w.store.Room(t.Context(), "r@muc.x")
					if err != nil {
						t.Fatal(err)
					}
					for _, a := range list {
						stored[a.Name] = append(stored[a.Name], a.Addr)
					}
					if n := len(stored["owner"]); n != len(strings.Split(got[0], ",")) {
						t.Errorf("%s: %v are stored, %v there", c.name, stored, got)
					}
				}
				switch result := strings.Join(got, ";"); {
				case !strings.Contains(c.want, ";"):
					if !strings.Contains(answer, "<"+c.want+" ") || result != "a,romeo;b;c" {
						t.Errorf("%s: %s, %s", c.name, answer, result)
					}
				case result != c.want:
					t.Errorf("%s, persistent %s: %s, want %s (%s)", c.name, persistent, result, c.want, answer)
				}
			})
		}
	}
}

package muc

import (
	"regexp"
	"strings"
	"testing"

	"parley/xmpp/wire"
)

// shownAs returns the address that a presence shows of an occupant.
func shownAs(t *testing.T, presence string) wire.Addr {
	t.Helper()
	found := regexp.MustCompile(`<item [^>]*jid='([^']*)'`).FindStringSubmatch(presence)
	if found == nil {
		t.Fatalf("no address in %s", presence)
	}
	a, err := wire.ParseAddr(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestPeopleOfOtherServersInConferences: a Jitsi client is shown an address of the room for them, also as the room's owner, and
// what it asks for by that address, or by its bare form, is meant for them. The others see what they always do.
func TestPeopleOfOtherServersInConferences(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tape := w.write()
		jitsi, romeo := w.client("ann@x/1"), w.client("romeo@far.example/1")
		w.meet(jitsi, FirstOwns)
		jitsi.join("r", "0f3a9c1e")
		romeo.join("r", "romeo")
		shown := shownAs(t, jitsi.want("<presence", "from='r@muc.x/romeo'"))
		if shown.Domain() != "muc.x" || shown.Resource() != "romeo" || shown.Bare() == "r@muc.x" {
			t.Fatalf("shown as %s", shown)
		}
		again := func(w *world, jitsi, romeo *client) {
			t.Helper()
			romeo.send("<presence to='r@muc.x/romeo'><show>away</show></presence>")
			if got := shownAs(t, jitsi.want("<presence", "from='r@muc.x/romeo'", "away")); got != shown {
				t.Fatalf("shown as %s and then as %s", shown, got)
			}
		}
		again(w, jitsi, romeo)
		// As lib-jitsi-meet makes its requests.
		rank := func(w *world, jitsi, romeo *client, affiliation, role string) {
			t.Helper()
			jitsi.admin("r", "<item affiliation='"+affiliation+"' jid='"+string(shown.Bare())+"'><reason/></item>")
			romeo.want("<presence", "from='r@muc.x/romeo'", "affiliation='"+affiliation+"'", "role='"+role+"'", "jid='romeo@far.example/1'")
			for _, got := range jitsi.take() {
				if strings.Contains(got, "far.example") {
					t.Errorf("the owner is sent %s", got)
				}
			}
		}
		rank(w, jitsi, romeo, "owner", "moderator")
		rank(w, jitsi, romeo, "member", "participant")
		jitsi.send("<iq to='r@muc.x' type='get' id='l'><query xmlns='" + NSAdmin + "'><item affiliation='member'/></query></iq>")
		jitsi.want("type='result'", "jid='romeo@far.example'") // it is romeo who has it, and admins may know
		jitsi.send("<iq to='r@muc.x' type='get' id='l'><query xmlns='" + NSAdmin + "'><item role='participant'/></query></iq>")
		jitsi.want("type='result'", "nick='romeo'", "jid='"+string(shown)+"'")

		// Another room has another address for him, which says nothing here.
		w.client("eve@far.example/1").join("other", "eve")
		jitsi.admin("r", "<item affiliation='owner' jid='"+strings.Repeat("0", 32)+"@muc.x'/>")
		if got := jitsi.take(); len(got) == 0 || strings.Contains(strings.Join(got, ""), "romeo") {
			t.Errorf("%q", got)
		}

		// An invitation reaches the person.
		jitsi.send("<message to='r@muc.x'><x xmlns='"+NSUser+"'><invite to='%s'/></x></message>", shown)
		romeo.want("<message", "<invite from='r@muc.x/0f3a9c1e'")

		// The process that comes after this one knows him by the same address.
		next, _ := w.again(tape.all(), all)
		ann2, romeo2 := next.clients["ann@x/1"], next.clients["romeo@far.example/1"]
		again(next, ann2, romeo2)
		rank(next, ann2, romeo2, "admin", "moderator")
		next.close()

		// A ban holds for whoever he is at his server.
		jitsi.admin("r", "<item affiliation='outcast' jid='"+string(shown)+"'/>")
		romeo.want("type='unavailable'", "code='301'")
		other := w.client("romeo@far.example/2")
		other.send("<presence to='r@muc.x/montague'>%s</presence>", join)
		other.want(refusedWith("auth", "forbidden")...)
	})
}

// TestPeopleOfOtherServersInOtherRooms: where the room shows real addresses it shows theirs, and admins with other clients see them.
func TestPeopleOfOtherServersInOtherRooms(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner, nurse, romeo := w.client("owner@x/1"), w.client("nurse@x/1"), w.client("romeo@far.example/1")
		owner.join("r", "owner")
		nurse.join("r", "nurse")
		romeo.join("r", "romeo")
		if got := shownAs(t, owner.want("<presence", "from='r@muc.x/romeo'")); got != romeo.addr {
			t.Errorf("the owner sees %s", got)
		}
		if got := nurse.want("<presence", "from='r@muc.x/romeo'"); strings.Contains(got, "jid=") {
			t.Error(got)
		}
		owner.configure("r", cfgWhois, "anyone")
		romeo.send("<presence to='r@muc.x/romeo'><show>away</show></presence>")
		if got := shownAs(t, nurse.want("<presence", "from='r@muc.x/romeo'")); got != romeo.addr {
			t.Errorf("where all see addresses nurse sees %s", got)
		}
	})
}

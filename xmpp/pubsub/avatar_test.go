package pubsub

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

func hashOf(image string) string {
	b, err := base64.StdEncoding.DecodeString(image)
	if err != nil {
		panic(err)
	}
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}

var (
	pngHash = hashOf(png)
	pngMeta = "<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='70' id='" + pngHash + "' type='image/png'/></metadata>"
	pngData = "<data xmlns='urn:xmpp:avatar:data'>" + png + "</data>"
	update  = "<x xmlns='vcard-temp:x:update'><photo>" + pngHash + "</photo></x>"
	getCard = "<vCard xmlns='vcard-temp'/>"
	photoOf = "<PHOTO xmlns='vcard-temp'><TYPE>image/png</TYPE><BINVAL>" + png + "</BINVAL></PHOTO>"
)

// portrait publishes an avatar (XEP-0084 §3).
func portrait(s *session, options ...string) {
	s.ok("set", "", with(publishing(NSAvatar, pngHash, pngData), options...))
	s.ok("set", "", with(publishing(NSMetadata, pngHash, pngMeta), options...))
}

func TestPresenceNamesTheAvatar(t *testing.T) { // XEP-0398 §4
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "<presence/>", "<presence>" + update + "</presence>"},
		{"something", "<presence id='1' xml:lang='de'><show>away</show></presence>", "<presence id='1' xml:lang='de'><show>away</show>" + update + "</presence>"},
		{"directed", "<presence to='room@muc.capulet.lit/nick'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
			"<presence to='room@muc.capulet.lit/nick'><x xmlns='http://jabber.org/protocol/muc'/>" + update + "</presence>"},
		{"not ready", "<presence><x xmlns='vcard-temp:x:update'/><show>away</show></presence>", "<presence><show>away</show>" + update + "</presence>"},
		{"another hash", "<presence><x xmlns='vcard-temp:x:update'><photo>00</photo></x></presence>", "<presence>" + update + "</presence>"},
		{"the same hash", "<presence>" + update + "<show>away</show></presence>", "<presence>" + update + "<show>away</show></presence>"},
		{"no photo, by wish", "<presence><x xmlns='vcard-temp:x:update'><photo/></x></presence>", "<presence><x xmlns='vcard-temp:x:update'><photo/></x></presence>"},
		{"prefix", "<presence xmlns:p='u:p'><p:a/></presence>", "<presence xmlns:p='u:p'><p:a/>" + update + "</presence>"},
		{"unavailable", "<presence type='unavailable'/>", "<presence type='unavailable'/>"},
		{"subscription", "<presence type='subscribe' to='a@b'/>", "<presence type='subscribe' to='a@b'/>"},
		{"message", "<message/>", "<message/>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := shakespeare(t)
			s := w.login("juliet@capulet.lit/b")
			portrait(s)
			if got := string(w.s.Stamp(s, parse(t, c.text)).Raw()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestPresenceWithoutAvatar(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/b")
	p := parse(t, "<presence/>")
	if w.s.Stamp(s, p) != p {
		t.Error("it was changed")
	}
	if got := string(w.s.Stamp(s, parse(t, "<presence><x xmlns='vcard-temp:x:update'/></presence>")).Raw()); got != "<presence><x xmlns='vcard-temp:x:update'><photo></photo></x></presence>" {
		t.Errorf("got %s", got)
	}
	romeo := w.login("romeo@montague.lit/1")
	if w.s.Stamp(romeo, p) != p {
		t.Error("somebody else's was changed")
	}
}

func TestTheAvatarIsKnownAtLogin(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/1")
	portrait(s)
	s.leave()
	s = w.login("juliet@capulet.lit/2")
	if !strings.Contains(string(s.presence), update) {
		t.Errorf("presence is %s", s.presence)
	}
	s.ok("set", "", publishing(NSMetadata, "x", "<metadata xmlns='urn:xmpp:avatar:metadata'/>")) // XEP-0084 §4.4
	s.available()
	if strings.Contains(string(s.presence), NSUpdate) {
		t.Errorf("presence is %s", s.presence)
	}
	portrait(s)
	s.ok("set", "", owning("<delete node='"+NSAvatar+"'/>"))
	s.available()
	if strings.Contains(string(s.presence), NSUpdate) {
		t.Errorf("presence is %s", s.presence)
	}
}

func TestOnlyAnAvatarThatIsThereIsNamed(t *testing.T) { // XEP-0398 §3.1, §6
	for _, c := range []struct {
		name, data, meta string
		options          []string
		want             bool
	}{
		{"as it should be", pngData, pngMeta, nil, true},
		{"white space in the data", strings.Replace(pngData, "AAA", "A\n AA", 3), pngMeta, nil, true},
		{"hash in capitals", pngData, strings.Replace(pngMeta, pngHash, strings.ToUpper(pngHash), 1), nil, false}, // no such item
		{"of another place first", pngData, strings.Replace(pngMeta, "<info", "<info id='x' url='http://x/'/><info", 1), nil, true},
		{"of another place only", pngData, strings.Replace(pngMeta, "<info", "<info url='http://x/'", 1), nil, false},
		{"not base64", "<data xmlns='urn:xmpp:avatar:data'>!</data>", pngMeta, nil, false},
		{"another image", "<data xmlns='urn:xmpp:avatar:data'>AAAA</data>", pngMeta, nil, false},
		{"other data", "<data xmlns='u:x'>" + png + "</data>", pngMeta, nil, false},
		{"for contacts", pngData, pngMeta, []string{"pubsub#access_model", "presence"}, true},
		{"for chosen ones", pngData, pngMeta, []string{"pubsub#access_model", "whitelist"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := shakespeare(t)
			s := w.login("juliet@capulet.lit/b")
			s.ok("set", "", with(publishing(NSAvatar, pngHash, c.data), c.options...))
			s.ok("set", "", with(publishing(NSMetadata, pngHash, c.meta), c.options...))
			s.available()
			if got := strings.Contains(string(s.presence), NSUpdate); got != c.want || c.want && !strings.Contains(string(s.presence), pngHash) {
				t.Errorf("presence is %s", s.presence)
			}
		})
	}
}

func TestCard(t *testing.T) { // XEP-0054 §3
	w := shakespeare(t)
	s, paris := w.login("juliet@capulet.lit/b"), w.login("paris@capulet.lit/1")
	if got := s.ok("get", "", getCard); got != "<vCard xmlns='vcard-temp'></vCard>" {
		t.Errorf("got %s", got)
	}
	paris.refused("get", juliet, getCard, "cancel", "service-unavailable", "")
	card := "<vCard xmlns='vcard-temp' prodid='x'><FN>Juliet</FN><N><GIVEN>Juliet</GIVEN></N><odd xmlns='u:odd'/></vCard>"
	s.ok("set", "", card)
	for _, who := range []*session{s, paris} {
		if got := who.ok("get", juliet, getCard); got != card {
			t.Errorf("%s got %s", who.addr, got)
		}
	}
	paris.refused("set", juliet, card, "auth", "forbidden", "")
	if got := s.ok("get", juliet, "<query xmlns='"+NSItems+"'/>"); strings.Contains(got, NSVCard) {
		t.Errorf("the vCard is shown as a node: %s", got)
	}
	s.refused("get", "", asking(vcardNode, "/>"), "cancel", "item-not-found", "")
	s.refused("set", "", owning("<delete node='"+vcardNode+"'/>"), "cancel", "item-not-found", "")
	s.refused("set", "", "<pubsub xmlns='"+NS+"'><create node='"+vcardNode+"'/></pubsub>", "cancel", "not-allowed", "")
}

func TestAvatarIsThePhotoOfTheCard(t *testing.T) { // XEP-0398 §3.1, §5.2
	w := shakespeare(t)
	s, paris, nurse1 := w.login("juliet@capulet.lit/b"), w.login("paris@capulet.lit/1"), w.login("nurse@capulet.lit/1")
	s.ok("set", "", "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>")
	portrait(s)
	full := "<vCard xmlns='vcard-temp'><FN>Juliet</FN>" + photoOf + "</vCard>"
	for who, want := range map[*session]string{s: full, nurse1: full, paris: "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"} {
		if got := who.ok("get", juliet, getCard); got != want {
			t.Errorf("%s got %s", who.addr, got)
		}
	}
	s.ok("set", "", configuring(NSAvatar, "pubsub#access_model", "open"))
	if got := paris.ok("get", juliet, getCard); got != full {
		t.Errorf("got %s", got)
	}
}

func TestPhotoOfTheCardIsTheAvatar(t *testing.T) { // XEP-0398 §3.2
	w := shakespeare(t)
	s, romeo, paris := w.login("juliet@capulet.lit/b", NSMetadata), w.login("romeo@montague.lit/1", NSMetadata), w.login("paris@capulet.lit/1")
	card := "<vCard xmlns='vcard-temp'><FN>Juliet</FN>" + strings.Replace(photoOf, " xmlns='vcard-temp'", "", 1) + "</vCard>"
	card = strings.Replace(card, "AAAANSUhEUg", "AAAA\n    NSUhEUg", 1)
	s.ok("set", "", card)
	told := eventOf(juliet, "<items node='urn:xmpp:avatar:metadata'><item id='"+pngHash+"'>"+pngMeta+"</item></items>")
	expect(t, s, told)
	expect(t, romeo, told)
	if got := paris.ok("get", juliet, asking(NSAvatar, "><item id='"+pngHash+"'/></items>")); !strings.Contains(got, pngData) {
		t.Errorf("got %s", got)
	}
	s.available()
	if !strings.Contains(string(s.presence), update) {
		t.Errorf("presence is %s", s.presence)
	}
	if got := paris.ok("get", juliet, getCard); got != "<vCard xmlns='vcard-temp'><FN>Juliet</FN>"+photoOf+"</vCard>" {
		t.Errorf("got %s", got)
	}
	s.ok("set", "", card)
	expect(t, romeo) // the same photo
	s.ok("set", "", "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>")
	expect(t, romeo, eventOf(juliet, "<items node='urn:xmpp:avatar:metadata'><item id='*'><metadata xmlns='urn:xmpp:avatar:metadata'/></item></items>"))
	s.available()
	if strings.Contains(string(s.presence), NSUpdate) {
		t.Errorf("presence is %s", s.presence)
	}
	s.refused("set", "", "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>!</BINVAL></PHOTO></vCard>", "modify", "not-acceptable", "")
	s.ok("set", "", "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>"+png+"</BINVAL></PHOTO></vCard>") // without a type
	if got := s.take(); !strings.Contains(strings.Join(got, ""), pngMeta) {
		t.Errorf("got %q", got)
	}
}

func TestAPhotoElsewhereStaysInTheCard(t *testing.T) {
	w := shakespeare(t)
	s := w.login("juliet@capulet.lit/b")
	card := "<vCard xmlns='vcard-temp'><PHOTO><EXTVAL>http://x/</EXTVAL></PHOTO></vCard>"
	s.ok("set", "", card)
	if got := s.ok("get", "", getCard); got != card {
		t.Errorf("got %s", got)
	}
	portrait(s)
	if got := s.ok("get", "", getCard); got != "<vCard xmlns='vcard-temp'>"+photoOf+"</vCard>" {
		t.Errorf("got %s", got)
	}
}

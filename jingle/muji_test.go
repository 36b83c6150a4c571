package jingle

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// mujiOf is what Dino 0.4.2 shows in its presence, shortened.
const mujiOf = "<muji xmlns='urn:xmpp:jingle:muji:0'><content xmlns='urn:xmpp:jingle:1' name='audio'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>" +
	"<payload-type xmlns='urn:xmpp:jingle:apps:rtp:1' id='111' name='opus' clockrate='48000' channels='2'><parameter name='useinbandfec' value='1'/></payload-type></description></content>" +
	"<content xmlns='urn:xmpp:jingle:1' name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'><payload-type id='98' name='VP8' clockrate='90000'/></description></content></muji>"

func muji(t *testing.T, raw string) (*MujiPresence, error) {
	t.Helper()
	e, err := scan(raw)
	if err != nil {
		t.Fatal(err)
	}
	return ParseMuji(e)
}

func TestMujiPresence(t *testing.T) {
	m, err := muji(t, mujiOf)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Contents) != 2 || m.Preparing || m.Contents[0].Name != "audio" || m.Contents[1].Description.PayloadTypes[0].ID != 98 {
		t.Fatalf("%+v", m)
	}
	m.Preparing = true
	back, err := muji(t, string(m.Append(nil)))
	if err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("%v: got %+v, not %+v", err, back, m)
	}
	// As the XEP writes it, with the namespace of descriptions of today.
	m, err = muji(t, "<muji xmlns='urn:xmpp:jingle:muji:0'><preparing /><content creator='initiator' name='voice'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>"+
		"<payload-type id='97' name='speex' clockrate='8000'/><payload-type id='18' name='G729'/></description></content><content name='this-is-a-stub'><description xmlns='urn:xmpp:jingle:apps:stub:0'/></content></muji>")
	if err != nil || !m.Preparing || len(m.Contents) != 1 || m.Contents[0].Name != "voice" {
		t.Errorf("%v: %+v", err, m)
	}
	if text := string((&MujiPresence{}).Append(nil)); text != "<muji xmlns='urn:xmpp:jingle:muji:0'/>" {
		t.Error(text)
	}
}

func TestHostileMujiPresence(t *testing.T) {
	content := func(name, types string) string {
		return "<content xmlns='urn:xmpp:jingle:1' name='" + name + "'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>" + types + "</description></content>"
	}
	var many, types strings.Builder
	for n := range 1000 {
		many.WriteString(content(fmt.Sprint("c", n), ""))
		fmt.Fprintf(&types, "<payload-type id='%d' name='opus'/>", n%128)
	}
	for what, inner := range map[string]string{
		"a thousand contents":      many.String(),
		"a thousand payload types": content("a", types.String()),
		"an id that is none":       content("a", "<payload-type id='4711' name='opus'/>"),
		"an id below zero":         content("a", "<payload-type id='-1' name='opus'/>"),
		"two types of one id":      content("a", "<payload-type id='96' name='opus'/><payload-type id='96' name='speex'/>"),
		"two contents of one name": content("a", "") + content("a", ""),
		"a long name":              content(strings.Repeat("a", maxName+1), ""),
	} {
		if m, err := muji(t, "<muji xmlns='urn:xmpp:jingle:muji:0'>"+inner+"</muji>"); err == nil {
			t.Errorf("%s: taken for %+v", what, m)
		}
	}
	if _, err := muji(t, "<muji xmlns='urn:xmpp:jingle:muji:1'/>"); err == nil {
		t.Error("another element is taken")
	}
}

// What is accepted is written, read and written the same.
func FuzzMuji(f *testing.F) {
	f.Add(mujiOf)
	f.Add("<muji xmlns='urn:xmpp:jingle:muji:0'><preparing/></muji>")
	f.Add("<muji xmlns='urn:xmpp:jingle:muji:0'><content name='voice'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><payload-type id='18'/></description></content><preparing/></muji>")
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := scan(raw)
		if err != nil {
			return
		}
		m, err := ParseMuji(e)
		if err != nil {
			return
		}
		back, err := muji(t, string(m.Append(nil)))
		if err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%v: got %+v, not %+v", err, back, m)
		}
	})
}

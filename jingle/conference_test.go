package jingle

import (
	"reflect"
	"strings"
	"testing"
)

func TestConferenceInformation(t *testing.T) {
	element := func(inner string) string {
		return "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'>" + inner + "</jingle>"
	}
	whole := element("<conference-info xmlns='urn:xmpp:coin:1' isfocus='true'><users><user entity='xmpp:romeo@montague.lit'/>" +
		"<user entity='sip:a@b'><display-text>A &amp; B</display-text></user>" +
		"<user entity='sip:c@d'><endpoint entity='sip:c@d'><media id='v'><display-text>screen</display-text><type>video</type></media><media id='a'><type>audio</type></media></endpoint></user></users></conference-info><muji xmlns='urn:xmpp:jingle:muji:0' room='ball@chat.lit'/>")
	j := parse(t, whole)
	want := &Conference{Focus: true, Users: []User{{Entity: "xmpp:romeo@montague.lit"}, {Entity: "sip:a@b", Name: "A & B"}, {Entity: "sip:c@d", Media: []UserMedia{{"v", "screen", "video"}, {"a", "", "audio"}}}}}
	if !reflect.DeepEqual(j.Conference, want) || j.Muji == nil || j.Muji.Room != "ball@chat.lit" {
		t.Fatalf("%+v %+v", j.Conference, j.Muji)
	}
	if got := string(j.Append(nil)); got != whole {
		t.Errorf("written as %s", got)
	}
	if j := parse(t, element("<conference-info xmlns='urn:xmpp:coin:1' isfocus='true'/>")); !j.Conference.Focus || len(j.Conference.Users) != 0 {
		t.Errorf("%+v", j.Conference)
	}
	user := "<user entity='xmpp:a@b'/>"
	for name, inner := range map[string]string{
		"two":                strings.Repeat("<conference-info xmlns='urn:xmpp:coin:1' isfocus='true'/>", 2),
		"no boolean":         "<conference-info xmlns='urn:xmpp:coin:1' isfocus='perhaps'/>",
		"many users":         "<conference-info xmlns='urn:xmpp:coin:1'><users>" + strings.Repeat(user, maxUsers+1) + "</users></conference-info>",
		"nobody":             "<conference-info xmlns='urn:xmpp:coin:1'><users><user/></users></conference-info>",
		"an entity of lines": "<conference-info xmlns='urn:xmpp:coin:1'><users><user entity='a&#10;b'/></users></conference-info>",
		"a long name":        "<conference-info xmlns='urn:xmpp:coin:1'><users><user entity='a'><display-text>" + strings.Repeat("x", maxText+1) + "</display-text></user></users></conference-info>",
		"media of no type":   "<conference-info xmlns='urn:xmpp:coin:1'><users><user entity='a'><endpoint><media id='1'/></endpoint></user></users></conference-info>",
		"media of no name":   "<conference-info xmlns='urn:xmpp:coin:1'><users><user entity='a'><endpoint><media><type>video</type></media></endpoint></user></users></conference-info>",
		"much media":         "<conference-info xmlns='urn:xmpp:coin:1'><users><user entity='a'><endpoint>" + strings.Repeat("<media id='1'><type>video</type></media>", maxUserMedia+1) + "</endpoint></user></users></conference-info>",
		"a long room":        "<muji xmlns='urn:xmpp:jingle:muji:0' room='" + strings.Repeat("x", maxAddress+1) + "'/>",
		"two rooms":          strings.Repeat("<muji xmlns='urn:xmpp:jingle:muji:0'/>", 2),
	} {
		if _, err := Parse(elem(t, element(inner)), DefaultLimits); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

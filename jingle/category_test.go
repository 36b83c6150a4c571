package jingle

import (
	"slices"
	"strings"
	"testing"
)

// What a medium shows goes from XML to SDP and back (XEP-0507, RFC 4796 §5), and what is no token is refused.
func TestCategories(t *testing.T) {
	element := func(inner string) string {
		return "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content creator='initiator' name='v' senders='initiator'>" +
			"<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>" + inner + "<payload-type id='98' name='VP8' clockrate='90000'/></description>" +
			"<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'></transport></content></jingle>"
	}
	whole := element("<category xmlns='urn:xmpp:jingle:apps:category:0' name='slides'/><category xmlns='urn:xmpp:jingle:apps:category:0' name='alt'/>")
	j := parse(t, whole)
	want := []string{Slides, "alt"}
	if got := j.Contents[0].Description.Categories; !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
	if got := string(j.Append(nil)); got != whole {
		t.Errorf("written as %s", got)
	}
	text, err := j.AppendSDP(nil, Initiator, origin)
	if err != nil || !strings.Contains(string(text), "a=content:slides,alt\r\n") {
		t.Fatalf("%v in %s", err, text)
	}
	back, err := ParseSDP(string(text), Initiator, DefaultLimits)
	if err != nil || !slices.Equal(back.Contents[0].Description.Categories, want) {
		t.Errorf("%v, %+v", err, back)
	}
	for name, inner := range map[string]string{
		"no name":  "<category xmlns='urn:xmpp:jingle:apps:category:0'/>",
		"a comma":  "<category xmlns='urn:xmpp:jingle:apps:category:0' name='slides,alt'/>",
		"a line":   "<category xmlns='urn:xmpp:jingle:apps:category:0' name='a&#10;b'/>",
		"too many": strings.Repeat("<category xmlns='urn:xmpp:jingle:apps:category:0' name='alt'/>", maxCategories+1),
	} {
		if _, err := Parse(elem(t, element(inner)), DefaultLimits); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ParseSDP(strings.Replace(string(text), "slides,alt", strings.Repeat("a,", maxCategories)+"a", 1), Initiator, DefaultLimits); err == nil {
		t.Error("too many in SDP: accepted")
	}
}

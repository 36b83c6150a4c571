package jingle

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	mstanza "mellium.im/xmpp/stanza"

	"parley/xmpp/wire"
)

func TestDialectComesBackWhole(t *testing.T) {
	for i, raw := range dialect {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			j := parse(t, raw)
			out := string(j.Append(nil))
			got, want := elements(elem(t, out)), elements(elem(t, raw))
			if i == 1 {
				want = strings.Replace(want, "content name=video creator=responder", "content name=video creator=responder senders=both", 1)
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if back := parse(t, out); !reflect.DeepEqual(back, j) {
				t.Errorf("got %+v\nwant %+v", back, j)
			}
		})
	}
}

func TestOfferInDetail(t *testing.T) {
	j := parse(t, offer)
	audio, video, data := j.Content("audio"), j.Content("video"), j.Content("data")
	switch {
	case j.Action != SessionInitiate || j.SID != "8cq1" || j.Initiator != "r1@muc.meet.example/focus":
		t.Errorf("head: %+v", j)
	case !reflect.DeepEqual(j.Bundle().Contents, []string{"audio", "video", "data"}):
		t.Errorf("groups: %+v", j.Groups)
	case *j.Bridge != BridgeSession{ID: "b1f0", Region: "eu-1"}:
		t.Errorf("bridge session: %+v", j.Bridge)
	case len(j.Sources) != 2:
		t.Errorf("sources: %+v", j.Sources)
	case audio.Description.MaxPTime != 60 || !audio.Description.AllowMixed || !audio.Description.RTCPMux:
		t.Errorf("audio: %+v", audio.Description)
	case audio.Description.PayloadTypes[1].Parameters[0] != Parameter{"", "111/111"}:
		t.Errorf("red: %+v", audio.Description.PayloadTypes[1])
	case video.Description.Sources[0].Owner != "jvb" || video.Description.Sources[0].Name != "jvb-v0":
		t.Errorf("source: %+v", video.Description.Sources)
	case video.Transport.WebSockets[0] != "wss://meet.example/colibri-ws/n1/6f/0f3a9c1e?pwd=s3cr3t&x=1" || !video.Transport.RTCPMux:
		t.Errorf("transport: %+v", video.Transport)
	case *data.Transport.SCTP != SCTP{Port: 5000, Protocol: "webrtc-datachannel", Streams: 1024}:
		t.Errorf("data: %+v", data.Transport)
	}
}

func TestParseRefuses(t *testing.T) {
	wrap := func(inner string) string {
		return `<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" sid="s">` + inner + `</jingle>`
	}
	rtp := func(inner string) string {
		return wrap(`<content creator="initiator" name="a"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio">` + inner + `</description></content>`)
	}
	ice := func(attrs, inner string) string {
		return wrap(`<content creator="initiator" name="a"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ` + attrs + `>` + inner + `</transport></content>`)
	}
	pt := func(id int) string { return fmt.Sprintf(`<payload-type id="%d" name="x" clockrate="8000"/>`, id) }
	src := func(n string) string {
		return `<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="` + n + `"/>`
	}
	cand := `<candidate component="1" foundation="1" generation="0" id="c" ip="192.0.2.1" network="0" port="1" priority="1" protocol="udp" type="host"/>`
	with := func(name, value string) string {
		before, after, _ := strings.Cut(cand, name+`="`)
		_, after, _ = strings.Cut(after, `"`)
		return ice("", before+name+`="`+value+`"`+after)
	}
	fp := func(attrs, value string) string {
		return ice("", `<fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" `+attrs+`>`+value+`</fingerprint>`)
	}
	creds := `ufrag="abcd" pwd="0123456789abcdef012345"`
	for _, c := range []struct {
		name, in string
		want     mstanza.Condition
	}{
		{"another element", `<x xmlns="urn:xmpp:jingle:1"/>`, ""},
		{"another namespace", `<jingle xmlns="urn:xmpp:jingle:0" action="session-info" sid="s"/>`, ""},
		{"no action", `<jingle xmlns="urn:xmpp:jingle:1" sid="s"/>`, ""},
		{"unknown action", `<jingle xmlns="urn:xmpp:jingle:1" action="session-invent" sid="s"/>`, ""},
		{"no sid", `<jingle xmlns="urn:xmpp:jingle:1" action="session-info"/>`, ""},
		{"long sid", `<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="` + strings.Repeat("s", 257) + `"/>`, ""},
		{"no contents", wrap(``), ""},
		{"HB1 17 contents", wrap(numbered(`<content creator="initiator" name="c%d"/>`, 17)), mstanza.ResourceConstraint},
		{"HB1 two contents of one name", wrap(strings.Repeat(`<content creator="initiator" name="c"/>`, 2)), ""},
		{"HB1 content without name", wrap(`<content creator="initiator"/>`), ""},
		{"HB1 line break in a name", wrap(`<content creator="initiator" name="a&#13;&#10;a=x"/>`), ""},
		{"HB1 bad creator", wrap(`<content creator="focus" name="a"/>`), ""},
		{"HB1 bad senders", wrap(`<content creator="initiator" name="a" senders="all"/>`), ""},
		{"HB1 two descriptions", wrap(`<content creator="initiator" name="a">` + strings.Repeat(`<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio"/>`, 2) + `</content>`), ""},
		{"HB1 two transports", wrap(`<content creator="initiator" name="a">` + strings.Repeat(`<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1"/>`, 2) + `</content>`), ""},
		{"HB1 no media", wrap(`<content creator="initiator" name="a"><description xmlns="urn:xmpp:jingle:apps:rtp:1"/></content>`), ""},
		{"HB1 payload type twice", rtp(pt(96) + pt(96)), ""},
		{"HB1 payload type 128", rtp(pt(128)), ""},
		{"HB1 payload type without id", rtp(`<payload-type name="x"/>`), ""},
		{"HB1 payload name with a slash", rtp(`<payload-type id="96" name="x/1"/>`), ""},
		{"HB1 line break in a parameter", rtp(`<payload-type id="96" name="x"><parameter name="a" value="b&#10;a=c"/></payload-type>`), ""},
		{"HB1 65 parameters", rtp(`<payload-type id="96" name="x">` + strings.Repeat(`<parameter name="a" value="b"/>`, 65) + `</payload-type>`), mstanza.ResourceConstraint},
		{"HB1 129 payload types", rtp(strings.Repeat(pt(96), 129)), mstanza.ResourceConstraint},
		{"HB1 header extension 0", rtp(`<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="0" uri="u"/>`), ""},
		{"HB1 header extension 300", rtp(`<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="300" uri="u"/>`), ""},
		{"HB1 header extension twice", rtp(strings.Repeat(`<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="3" uri="u"/>`, 2)), ""},
		{"HB1 feedback without type", rtp(`<rtcp-fb xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0"/>`), ""},
		{"HB1 bandwidth of words", rtp(`<bandwidth type="AS">lots</bandwidth>`), ""},
		{"HB5 SSRC 0", rtp(src("0")), ""},
		{"HB5 SSRC of 33 bits", rtp(src("4294967296")), ""},
		{"HB5 negative SSRC", rtp(src("-1")), ""},
		{"HB5 SSRC with a sign", rtp(src("+1")), ""},
		{"HB5 SSRC twice", rtp(src("1") + src("1")), ""},
		{"HB5 21 SSRCs", rtp(numbered(`<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="1%d"/>`, 21)), mstanza.ResourceConstraint},
		{"HB5 21 groups", rtp(strings.Repeat(`<ssrc-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="X"/>`, 21)), mstanza.ResourceConstraint},
		{"HB5 group without semantics", rtp(`<ssrc-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0"/>`), ""},
		{"bad rid", rtp(`<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" rid="a b"/>`), ""},
		{"two rid groups", rtp(strings.Repeat(`<rid-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="SIM"><source rid="a"/></rid-group>`, 2)), ""},
		{"HB2 101 candidates", ice("", strings.Repeat(cand, 101)), mstanza.ResourceConstraint},
		{"HB2 bad port", with("port", "65536"), ""},
		{"HB2 no port", ice("", strings.Replace(cand, ` port="1"`, "", 1)), ""},
		{"HB2 bad address", with("ip", "192.0.2.1 a=b"), ""},
		{"HB2 no address", with("ip", ""), ""},
		{"HB2 bad type", with("type", "hots"), ""},
		{"HB2 bad component", with("component", "0"), ""},
		{"HB2 bad foundation", with("foundation", "a b"), ""},
		{"HB2 long foundation", with("foundation", strings.Repeat("a", 33)), ""},
		{"HB2 bad protocol", with("protocol", "u p"), ""},
		{"HB2 bad priority", with("priority", "4294967296"), ""},
		{"ufrag alone", ice(`ufrag="abcd"`, ""), ""},
		{"short ufrag", ice(`ufrag="abc" pwd="0123456789abcdef012345"`, ""), ""},
		{"short password", ice(`ufrag="abcd" pwd="0123"`, ""), ""},
		{"line break in a password", ice(`ufrag="abcd" pwd="0123456789abcdef012345&#10;"`, ""), ""},
		{"ICE generation of words", ice(creds+` ice-generation="next"`, ""), ""},
		{"HB4 weak hash", fp(`hash="sha-1"`, "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13"), ""},
		{"HB4 short hash", fp(`hash="sha-256"`, "00:01"), ""},
		{"HB4 hash that is no hexadecimal", fp(`hash="sha-256"`, strings.Replace(sha256, "00", "0G", 1)), ""},
		{"HB4 bad setup", fp(`hash="sha-256" setup="both"`, sha256), ""},
		{"HB4 9 fingerprints", ice("", strings.Repeat(`<fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256">`+sha256+`</fingerprint>`, 9)), mstanza.ResourceConstraint},
		{"SCTP port 0", ice("", `<sctpmap xmlns="urn:xmpp:jingle:transports:dtls-sctp:1" number="0" protocol="webrtc-datachannel"/>`), ""},
		{"content in two bundles", wrap(`<content creator="initiator" name="a"/>` + strings.Repeat(`<group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="BUNDLE"><content name="a"/></group>`, 2)), ""},
		{"two reasons", wrap(`<content creator="initiator" name="a"/>` + strings.Repeat(`<reason><success/></reason>`, 2)), ""},
		{"two bridge sessions", wrap(`<content creator="initiator" name="a"/>` + strings.Repeat(`<bridge-session xmlns="http://jitsi.org/protocol/focus"/>`, 2)), ""},
		{"two infos", wrap(`<content creator="initiator" name="a"/><ringing xmlns="urn:xmpp:jingle:apps:rtp:info:1"/><hold xmlns="urn:xmpp:jingle:apps:rtp:info:1"/>`), ""},
		{"two compact sources", wrap(strings.Repeat(`<json-message xmlns="http://jitsi.org/jitmeet">{"sources":{}}</json-message>`, 2)), ""},
		{"two SCTP maps", ice("", strings.Repeat(`<sctpmap xmlns="urn:xmpp:jingle:transports:dtls-sctp:1" number="5000" protocol="x"/>`, 2)), ""},
		{"two wishes for a last n", rtp(strings.Repeat(`<initial-last-n xmlns="jitsi:colibri2" value="1"/>`, 2)), ""},
		{"33 extensions", wrap(`<content creator="initiator" name="a"/>` + strings.Repeat(`<x xmlns="urn:x"/>`, 33)), mstanza.ResourceConstraint},
		{"restart of words", `<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="s"><bridge-session xmlns="http://jitsi.org/protocol/focus" restart="maybe"/></jingle>`, ""},
		{"HB6 bad compact sources", `<jingle xmlns="urn:xmpp:jingle:1" action="source-add" sid="s"><json-message xmlns="http://jitsi.org/jitmeet">{</json-message></jingle>`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := Parse(elem(t, c.in), DefaultLimits)
			e, ok := err.(*wire.Error)
			if j != nil || !ok {
				t.Fatalf("%+v, %v", j, err)
			}
			if c.want == "" {
				c.want = mstanza.BadRequest
			}
			if e.Condition != c.want {
				t.Errorf("%v", e)
			}
		})
	}
	// A strong hash beside a weak one is enough, and contents may have names that SDP cannot say.
	j := parse(t, ice("", `<fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-1">00</fingerprint>`+
		`<fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="active">`+strings.ToLower(sha256)+`</fingerprint>`))
	if f := j.Contents[0].Transport.Fingerprints; len(f) != 1 || f[0].Value != sha256 {
		t.Errorf("%+v", f)
	}
	parse(t, wrap(`<content creator="initiator" name="my voice"/><group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="LS"><content name="my voice"/></group>`))
	// What the cases above change must be right before.
	parse(t, ice(creds, cand))
	parse(t, rtp(pt(96)+src("1")))
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestExtensionsThatHangOnTheirSurroundingsAreDropped(t *testing.T) {
	for raw, want := range map[string]int{
		`<jingle xmlns="urn:xmpp:jingle:1" xmlns:p="urn:p" action="session-info" sid="s"><p:x/></jingle>`:                              0,
		`<jingle xmlns="urn:xmpp:jingle:1" xmlns:p="urn:p" action="session-info" sid="s"><x xmlns="urn:x"><p:y/></x></jingle>`:         0,
		`<jingle xmlns="urn:xmpp:jingle:1" xmlns:p="urn:p" action="session-info" sid="s"><x xmlns="urn:x" p:a="b"/></jingle>`:          0,
		`<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="s"><x xmlns="urn:x" xmlns:p="urn:p"><p:y p:a="b"/></x></jingle>`: 1,
		`<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="s"><p:x xmlns:p="urn:p"/></jingle>`:                              0,
		`<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="s"><x/></jingle>`:                                                1,
		`<j:jingle xmlns:j="urn:xmpp:jingle:1" xmlns="urn:y" action="session-info" sid="s"><x/></j:jingle>`:                            0,
		`<j:jingle xmlns:j="urn:xmpp:jingle:1" xmlns="urn:y" action="session-info" sid="s"><x xmlns="urn:xmpp:jingle:1"/></j:jingle>`:  1,
	} {
		j := parse(t, raw)
		if len(j.Extensions) != want {
			t.Errorf("%s: %+v", raw, j.Extensions)
		}
		parse(t, string(j.Append(nil)))
	}
}

func TestMessagesComeBackWhole(t *testing.T) {
	for _, raw := range messages {
		m, err := ParseMessage(elem(t, raw))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := elements(elem(t, string(m.Append(nil)))), elements(elem(t, raw)); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	if m, err := MessageIn(elem(t, `<message><body>hi</body></message>`)); m != nil || err != nil {
		t.Errorf("%v %v", m, err)
	}
}

func TestMessagesRefused(t *testing.T) {
	for name, raw := range map[string]string{
		"no id":                  `<proceed xmlns="urn:xmpp:jingle-message:0"/>`,
		"unknown":                `<hurry xmlns="urn:xmpp:jingle-message:0" id="a"/>`,
		"proposal of nothing":    `<propose xmlns="urn:xmpp:jingle-message:0" id="a"/>`,
		"proposal of 17":         `<propose xmlns="urn:xmpp:jingle-message:0" id="a">` + strings.Repeat(`<description xmlns="urn:x"/>`, 17) + `</propose>`,
		"another namespace":      `<propose xmlns="urn:x" id="a"/>`,
		"line break in an id":    `<proceed xmlns="urn:xmpp:jingle-message:0" id="a&#10;b"/>`,
		"long id":                `<proceed xmlns="urn:xmpp:jingle-message:0" id="` + strings.Repeat("a", 300) + `"/>`,
		"33 unknown children":    `<proceed xmlns="urn:xmpp:jingle-message:0" id="a">` + strings.Repeat(`<x xmlns="urn:x"/>`, 33) + `</proceed>`,
		"long id it migrated to": `<finish xmlns="urn:xmpp:jingle-message:0" id="a"><migrated to="` + strings.Repeat("a", 300) + `"/></finish>`,
	} {
		if m, err := ParseMessage(elem(t, raw)); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestErrorsOfSessions(t *testing.T) {
	raw := "<iq>" + string(ErrUnknownSession.Append(nil)) + "</iq>"
	e := elem(t, raw).First()
	if !e.Child("unknown-session", NSErrors).Ok() || !e.Child("item-not-found", wire.NSStanzas).Ok() {
		t.Error(raw)
	}
}

package focus

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

// lastOffer returns the last session-initiate to a member.
func (p *play) lastOffer(nick string) ask {
	p.t.Helper()
	for _, e := range slices.Backward(p.seen) {
		if a, ok := e.(ask); ok && a.nick == nick && strings.Contains(string(a.payload), "action='session-initiate'") {
			return a
		}
	}
	p.t.Fatalf("%s gets no offer", nick)
	return ask{}
}

// lines breaks XML between tags, so that a golden file can be read.
func lines(b []byte) string { return strings.ReplaceAll(string(b), "><", ">\n<") + "\n" }

// The golden files are jitsi.md §7 with the table of §7.1, line by line, and the sources of §8.2 and §8.3.
func TestSessionInitiateIsWhatJicofoSends(t *testing.T) {
	const dd = "64f125c7"
	for name, features := range map[string]Features{
		"offer.xml":           modern,
		"offer-rewriting.xml": modern | Rewriting,
		"offer-old.xml":       Audio | Video | REMB, // sources as XML, no retransmission, REMB
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t)
			p.join(dd, modern)
			p.join("aaaaaaaa", modern)
			if got := p.accept(dd, 3984908583); got != "" {
				t.Fatal(got)
			}
			p.jingle(dd, jingle.SourceAdd, only("video", // simulcast of three, of which receivers know one
				source(11, dd+"-v1", "m1 t")+source(12, dd+"-v1", "m1 t")+source(13, dd+"-v1", "m1 t")+source(14, dd+"-v1", "m1 t")+
					group("SIM", 11, 12)+group("FID", 11, 13)+group("FID", 12, 14)))
			p.seen = nil
			p.join("0f3a9c1e", features)
			got := lines(p.lastOffer("0f3a9c1e").payload)
			file := "testdata/" + name
			want, err := os.ReadFile(file)
			if os.Getenv("UPDATE") != "" {
				want, err = []byte(got), os.WriteFile(file, []byte(got), 0o644)
			}
			if err != nil || got != string(want) {
				t.Errorf("%v, offer:\n%s", err, got)
			}
		})
	}
}

func TestOfferWaitsForFeaturesAndTransport(t *testing.T) {
	p := newPlay(t)
	p.silent = true
	p.join("aaaaaaaa", 0)
	p.join("bbbbbbbb", 0)
	if e := p.endpoint("aaaaaaaa"); e == nil || e.Session == 0 || e.Remote != nil {
		t.Fatalf("the bridge is asked for %+v", p.wish)
	}
	var id string
	for _, e := range p.seen {
		if a, ok := e.(ask); ok && a.nick == "aaaaaaaa" && a.typ == "get" {
			id = a.id
		}
	}
	got := p.send(occupant("aaaaaaaa"), "result", id, "<query xmlns='"+NSDisco+"'><feature var='urn:xmpp:jingle:apps:rtp:audio'/></query>")
	if got != "none" || p.sent("aaaaaaaa") != "" {
		t.Fatalf("an offer without a transport, or %q", got)
	}
	e := p.endpoint("aaaaaaaa")
	p.do(func() { p.c.transport(transport(meeting, e.ID, e.Session+7, 0)) }) // of no session that is wished
	if got := p.sent("aaaaaaaa"); got != "" {
		t.Fatalf("%s without a transport", got)
	}
	p.do(func() { p.c.transport(transport(meeting, e.ID, e.Session, 0)) })
	if o := p.lastOffer("aaaaaaaa"); strings.Contains(string(o.payload), "media='video'") || !strings.Contains(string(o.payload), "media='audio'") {
		t.Errorf("a client with audio alone is offered %s", o.payload)
	}
	p.seen = nil
	// The other client does not answer: it is a modern one after 2 s.
	p.silent = false
	e = p.endpoint("bbbbbbbb")
	p.do(func() { p.c.transport(transport(meeting, e.ID, e.Session, 0)) })
	p.pass(patience - 1)
	if got := p.sent("bbbbbbbb"); got != "" {
		t.Fatalf("%s too early", got)
	}
	p.pass(1)
	if o := p.lastOffer("bbbbbbbb"); !strings.Contains(string(o.payload), "media='video'") {
		t.Errorf("offer %s", o.payload)
	}
}

func TestFeaturesAreLearnedByCapsHash(t *testing.T) {
	const (
		features = "<identity category='client' type='pc' name='Exodus 0.9.1'/><feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>" +
			"<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>"
		ver = "QgayPKawpkPSDYmwT/WM94uAlu0=" // XEP-0115 §5.2
	)
	query := func(inner string) wire.Elem {
		return element(t, []byte("<query xmlns='"+NSDisco+"'>"+inner+"</query>"))
	}
	if !verify(query(features), ver) {
		t.Error("the example of XEP-0115 §5.2 does not fit its hash")
	}
	for name, inner := range map[string]string{
		"one feature less":      strings.Replace(features, "<feature var='http://jabber.org/protocol/muc'/>", "", 1),
		"a feature twice":       features + "<feature var='http://jabber.org/protocol/muc'/>",
		"a feature as identity": strings.Replace(features, "<feature var='http://jabber.org/protocol/caps'/>", "<identity category='http:' type='' xml:lang='jabber.org' name='protocol/caps'/>", 1),
		"two features as one": strings.Replace(features, "<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>",
			"<feature var='http://jabber.org/protocol/caps&lt;http://jabber.org/protocol/disco#info'/>", 1),
		"features as form": strings.Replace(features, "<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>",
			"<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'><value>http://jabber.org/protocol/disco#items</value></field><field var='http://jabber.org/protocol/muc'/></x>", 1),
	} {
		if verify(query(inner), ver) {
			t.Errorf("%s fits the hash", name)
		}
	}
	var c capsCache
	for i := range maxCaps + 10 {
		c.put(digits(8), Features(i))
	}
	if len(c.known) != maxCaps {
		t.Errorf("%d hashes are remembered", len(c.known))
	}
}

func TestAcceptedSessionReachesTheBridge(t *testing.T) {
	p := newPlay(t)
	p.join("aaaaaaaa", modern|Rewriting|MidDemux)
	p.join("bbbbbbbb", modern)
	if got := p.accept("aaaaaaaa", 100); got != "" {
		t.Fatal(got)
	}
	e := p.endpoint("aaaaaaaa")
	r := e.Receive
	if !r.Rewriting || !r.MidDemux || !r.Mixed || r.AudioSSRC == 0 || r.VideoSSRC == 0 || r.AudioSSRC == r.VideoSSRC || len(r.Extensions) != 2 || r.Extensions[uriTCC] != 5 {
		t.Errorf("receive %+v", r)
	}
	if want := []api.Payload{{ID: 111, Name: "opus", Clock: 48000}, {ID: 41, Name: "AV1", Clock: 90000}, {ID: 100, Name: "VP8", Clock: 90000}, {ID: 96, Name: "rtx", Clock: 90000, Apt: 100}}; !slices.Equal(r.Payloads, want) {
		t.Errorf("payloads %+v", r.Payloads)
	}
	if e.Remote == nil || e.Remote.Ufrag != "abcd" || e.Remote.Setup != "active" || len(e.Remote.Fingerprints) != 1 {
		t.Errorf("remote %+v", e.Remote)
	}
	if s := e.Sources; len(s) != 2 || s[0].Name != "aaaaaaaa-a0" || s[0].Kind != api.Audio || !slices.Equal(s[1].SSRCs, []uint32{101, 102}) ||
		len(s[1].Groups) != 1 || s[1].Groups[0].Semantics != "FID" || s[1].VideoType != api.Camera {
		t.Errorf("sources %+v", s)
	}
	if got := p.accept("aaaaaaaa", 100); got != "unexpected-request" {
		t.Errorf("a second accept: %q", got)
	}
}

func TestHB1BadAnswersLeaveTheSession(t *testing.T) {
	good := contents("", "")
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not there", old)
		}
		return strings.ReplaceAll(good, old, new)
	}
	for name, c := range map[string]struct{ inner, want string }{
		"nothing":                  {"", "bad-request"},
		"content not offered":      {replace("name='video' senders", "name='data' senders"), "bad-request"},
		"content twice":            {replace("name='video' senders", "name='audio' senders"), "bad-request"},
		"other medium":             {replace("media='video'", "media='audio'"), "bad-request"},
		"no transport":             {replace(clientTransport, ""), "bad-request"},
		"no credentials":           {replace(" ufrag='abcd' pwd='0123456789012345678901'", ""), "bad-request"},
		"half the credentials":     {replace(" pwd='0123456789012345678901'", ""), "bad-request"},
		"no fingerprint":           {replace("<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='active'>"+print+"</fingerprint>", ""), "bad-request"},
		"HB4 weak hash":            {replace("hash='sha-256' setup='active'>"+print, "hash='sha-1' setup='active'>"+print[:59]), "bad-request"},
		"HB4 weaker hash":          {replace("hash='sha-256' setup='active'>"+print, "hash='sha-224' setup='active'>"+print[:83]), "bad-request"},
		"HB4 no role":              {replace("setup='active'", "setup='actpass'"), "bad-request"},
		"payload type twice":       {replace("id='41'", "id='100'"), "bad-request"},
		"payload type of other":    {replace("name='VP8'", "name='H264'"), "bad-request"},
		"no codec in common":       {replace("id='111' name='opus'", "id='9' name='G722'"), "not-acceptable"},
		"rtx of another":           {replace("value='100'", "value='41'"), "bad-request"},
		"extension of other":       {replace("id='5'", "id='3'"), "bad-request"},
		"10,000 payload types":     {replace("<payload-type id='41'", strings.Repeat("<payload-type id='1'/>", 4000)+"<payload-type id='41'"), "resource-constraint"},
		"10,000 candidates":        {replace("</transport>", strings.Repeat("<candidate component='1' foundation='1' generation='0' id='c' ip='1.2.3.4' network='0' port='1' priority='1' protocol='udp' type='host'/>", 500)+"</transport>"), "resource-constraint"},
		"duplicate ssrc in groups": {contents("", source(5, "aaaaaaaa-v0", "m t")+group("FID", 5, 5)), "bad-request"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t)
			p.join("aaaaaaaa", modern)
			p.join("bbbbbbbb", modern)
			before := p.wish.Version
			if got := p.jingle("aaaaaaaa", jingle.SessionAccept, c.inner); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if p.wish.Version != before {
				t.Error("the bridge was asked for something else")
			}
			if got := p.accept("aaaaaaaa", 100); got != "" {
				t.Errorf("the good answer behind it: %q", got)
			}
		})
	}
}

func TestHB2CandidatesThatAreNoAddresses(t *testing.T) {
	p := newPlay(t)
	p.join("aaaaaaaa", modern)
	p.join("bbbbbbbb", modern)
	p.accept("aaaaaaaa", 100)
	candidate := func(ip, port string) string {
		return "<candidate component='1' foundation='1' generation='0' id='c' ip='" + ip + "' network='0' port='" + port + "' priority='1' protocol='udp' type='host'/>"
	}
	inner := "<content creator='initiator' name='audio'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='abcd' pwd='0123456789012345678901'>" +
		candidate("198.51.100.1", "4000") + candidate("198.51.100.1", "4000") + candidate("a.local", "4000") + candidate("224.0.0.1", "4000") +
		candidate("0.0.0.0", "4000") + candidate("198.51.100.1", "0") + candidate("2001:db8::1", "4001") + "</transport></content>"
	if got := p.jingle("aaaaaaaa", jingle.TransportInfo, inner); got != "" {
		t.Fatal(got)
	}
	if got := p.endpoint("aaaaaaaa").Remote.Candidates; len(got) != 2 || got[0].IP != "198.51.100.1" || got[1].IP != "2001:db8::1" {
		t.Errorf("candidates %+v", got)
	}
	other := strings.Replace(inner, "abcd", "efgh", 1)
	if got := p.jingle("aaaaaaaa", jingle.TransportInfo, other); got != "bad-request" {
		t.Errorf("foreign credentials: %q", got)
	}
}

func TestWhatTheFocusDoesNotDo(t *testing.T) {
	p := newPlay(t)
	p.join("aaaaaaaa", modern)
	p.join("bbbbbbbb", modern)
	p.accept("aaaaaaaa", 100)
	video := only("video", "")
	for action, want := range map[jingle.Action]string{
		jingle.SessionInitiate: "feature-not-implemented", jingle.ContentModify: "feature-not-implemented",
		jingle.ContentAdd: "feature-not-implemented", jingle.TransportReplace: "feature-not-implemented", "rubbish": "bad-request",
	} {
		if got := p.jingle("aaaaaaaa", action, video); got != want {
			t.Errorf("%s: %q", action, got)
		}
	}
	for _, who := range []muc.Occupant{occupant("cccccccc"), {Room: room, Nick: "aaaaaaaa", Addr: "evil@x.net/2"}} {
		if got := p.send(who, "set", "x", "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='"+p.sid["aaaaaaaa"]+"'/>"); got != "item-not-found" {
			t.Errorf("a stranger's terminate: %q", got)
		}
	}
	if got := p.jingle("bbbbbbbb", jingle.SourceAdd, only("audio", microphone("bbbbbbbb", 7))); got != "unexpected-request" {
		t.Errorf("source-add before session-accept: %q", got)
	}
}

// TestOfferByTheTable holds the offer against the words of jitsi.md §7 and the table of §7.1, read by another way than it was
// written.
func TestOfferByTheTable(t *testing.T) {
	const audio = `<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" sid="8cq1"><content creator="initiator" name="audio" senders="both">
   <description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio" maxptime="60">
    <payload-type id="111" name="opus" clockrate="48000" channels="2">
      <parameter name="minptime" value="10"/><parameter name="useinbandfec" value="1"/>
      <rtcp-fb xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" type="transport-cc"/>
    </payload-type>
    <payload-type id="126" name="telephone-event" clockrate="8000"/>
    <rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="1" uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"/>
    <rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="10" uri="urn:ietf:params:rtp-hdrext:sdes:mid"/>
    <rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="5" uri="http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"/>
    <extmap-allow-mixed xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0"/>
    <rtcp-mux/>
   </description></content></jingle>`
	want, err := jingle.Parse(element(t, []byte(audio)), jingle.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlay(t)
	p.join("aaaaaaaa", modern)
	p.join("bbbbbbbb", modern)
	got, err := jingle.Parse(element(t, p.lastOffer("aaaaaaaa").payload), jingle.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Content("audio").Description, want.Contents[0].Description) {
		t.Errorf("audio\n%+v\nwant\n%+v", got.Content("audio").Description, want.Contents[0].Description)
	}
	var table []string
	for _, pt := range got.Content("video").Description.PayloadTypes {
		row := fmt.Sprintf("%d %s %d", pt.ID, pt.Name, pt.ClockRate)
		for _, q := range pt.Parameters {
			row += " " + q.Name + "=" + q.Value
		}
		for _, f := range pt.Feedback {
			row += "|" + strings.TrimSpace(f.Type+" "+f.Subtype)
		}
		table = append(table, row)
	}
	const fb = "|ccm fir|nack|nack pli|transport-cc"
	if want := []string{"41 AV1 90000" + fb, "100 VP8 90000" + fb, "107 H264 90000 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1;" + fb,
		"101 VP9 90000" + fb, "42 rtx 90000 apt=41", "96 rtx 90000 apt=100", "99 rtx 90000 apt=107", "97 rtx 90000 apt=101"}; !slices.Equal(table, want) {
		t.Errorf("video %q", table)
	}
	if got.Initiator != room+"/focus" || got.SID == "" || got.Bridge == nil || got.Bridge.Region != "eu-1" || got.Bundle() == nil || len(got.Bundle().Contents) != 2 {
		t.Errorf("jingle %+v", got)
	}
	for _, c := range got.Contents {
		tr := c.Transport
		if tr == nil || !tr.RTCPMux || len(tr.Fingerprints) != 1 || tr.Fingerprints[0].Setup != jingle.ActPass || !tr.Fingerprints[0].Required ||
			len(tr.Candidates) != 1 || len(tr.WebSockets) != 1 || !strings.HasPrefix(tr.WebSockets[0], "wss://meet.example/colibri-ws/n1/") {
			t.Errorf("transport %+v", tr)
		}
	}
}

// TestDataChannelWhereThereIsNoWebSocket: the bridge channel is offered as a data channel (jitsi.md §7.3) to a client that has
// them, where the server has no place for WebSockets; the client that has neither gets media alone.
func TestDataChannelWhereThereIsNoWebSocket(t *testing.T) {
	p := newPlay(t)
	p.c.channels = ""
	p.join("aaaaaaaa", modern|DataChannel)
	p.join("bbbbbbbb", modern)
	offers := make(map[string]*jingle.Jingle)
	for _, nick := range []string{"aaaaaaaa", "bbbbbbbb"} {
		j, err := jingle.Parse(element(t, p.lastOffer(nick).payload), jingle.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range j.Contents {
			if len(c.Transport.WebSockets) != 0 {
				t.Errorf("%s is offered %q", nick, c.Transport.WebSockets)
			}
		}
		if len(j.Bundle().Contents) != len(j.Contents) || !p.endpoint(nick).Data {
			t.Errorf("%s: bundle %q, the bridge is asked for %+v", nick, j.Bundle().Contents, p.endpoint(nick))
		}
		offers[nick] = j
	}
	data := offers["aaaaaaaa"].Content("data")
	if data == nil || data.Description.Media != "application" || data.Transport.SCTP == nil || *data.Transport.SCTP != (jingle.SCTP{Port: 5000, Protocol: "webrtc-datachannel", Streams: 1024}) {
		t.Fatalf("offered %+v", data)
	}
	if c := offers["bbbbbbbb"].Content("data"); c != nil {
		t.Errorf("a client without data channels is offered %+v", c)
	}
	sctp := "<sctpmap xmlns='urn:xmpp:jingle:transports:dtls-sctp:1' number='5000' protocol='webrtc-datachannel' streams='1024'/></transport>"
	answer := contents(microphone("aaaaaaaa", 100), camera("aaaaaaaa", 101)) + "<content creator='initiator' name='data' senders='both'>" +
		strings.Replace(clientTransport, "</transport>", sctp, 1) + "</content>"
	if got := p.jingle("bbbbbbbb", jingle.SessionAccept, strings.ReplaceAll(answer, "aaaaaaaa", "bbbbbbbb")); got != "bad-request" {
		t.Errorf("a data channel that was not offered: %q", got)
	}
	if got := p.jingle("aaaaaaaa", jingle.SessionAccept, answer); got != "" {
		t.Errorf("accepting: %q", got)
	}
	if e := p.endpoint("aaaaaaaa"); e.Remote == nil || len(e.Sources) != 2 || len(e.Receive.Payloads) == 0 {
		t.Errorf("the bridge is asked for %+v", e)
	}
}

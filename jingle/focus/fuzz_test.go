package focus

import (
	"os"
	"testing"

	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

// FuzzStanza: whatever an occupant sends to the focus, it is answered once if it is a request, and neither the other member's
// sources nor the order of versions suffer.
func FuzzStanza(f *testing.F) {
	iq := func(typ, inner string) string { return "<iq type='" + typ + "' id='f1'>" + inner + "</iq>" }
	j := func(action jingle.Action, inner string) string {
		return iq("set", "<jingle xmlns='urn:xmpp:jingle:1' action='"+string(action)+"' sid='SID'>"+inner+"</jingle>")
	}
	f.Add(j(jingle.SessionAccept, contents(microphone("bbbbbbbb", 7), camera("bbbbbbbb", 8))))
	f.Add(j(jingle.SourceAdd, only("video", camera("bbbbbbbb", 9))))
	f.Add(j(jingle.SourceRemove, only("video", camera("bbbbbbbb", 9))))
	f.Add(j(jingle.TransportInfo, "<content creator='initiator' name='audio'>"+clientTransport+"</content>"))
	f.Add(j(jingle.SessionTerminate, "<reason><gone/></reason><bridge-session xmlns='http://jitsi.org/protocol/focus' restart='true'/>"))
	f.Add(j(jingle.SessionInfo, "<ice-state xmlns='http://jitsi.org/protocol/focus'>failed</ice-state>"))
	f.Add(iq("set", "<mute xmlns='http://jitsi.org/jitmeet/audio' jid='r@muc.x.net/aaaaaaaa'>true</mute>"))
	f.Add(iq("result", "<query xmlns='"+NSDisco+"'><feature var='urn:xmpp:jingle:apps:rtp:audio'/></query>"))
	f.Add(iq("get", "<query xmlns='"+NSDisco+"'/>"))
	if b, err := os.ReadFile("testdata/offer.xml"); err == nil {
		f.Add(iq("set", string(b)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := wire.Scanner{Limits: wire.AfterAuth}
		_, pk, err := s.Next([]byte(text))
		if err != nil || pk.Kind != wire.IQ {
			return
		}
		p := newPlay(t)
		p.join("aaaaaaaa", modern)
		p.join("bbbbbbbb", 0)
		p.accept("aaaaaaaa", 100)
		p.pass(patience)
		for range 2 { // as offered, and accepted
			p.c.members.of("bbbbbbbb").sid = "SID"
			p.sid["bbbbbbbb"] = "SID"
			p.seen = nil
			p.do(func() { p.c.occurred(muc.FocusStanza{Occupant: occupant("bbbbbbbb"), Packet: pk}, p.now) })
			answers := 0
			for _, e := range p.seen {
				switch e.(type) {
				case answer, refuse:
					answers++
				}
			}
			typ := string(pk.Type())
			if request := typ == "get" || typ == "set"; request != (answers == 1) || answers > 1 {
				t.Fatalf("%d answers", answers)
			}
			if e := p.endpoint("aaaaaaaa"); e == nil || len(e.Sources) != 2 || e.MuteAudio || e.MuteVideo {
				t.Fatalf("the other member is hurt: %+v", e)
			}
			p.accept("bbbbbbbb", 200)
		}
	})
}

func FuzzSourceInfo(f *testing.F) {
	f.Add(`{"aaaaaaaa-a0":{"muted":false},"aaaaaaaa-v0":{"muted":true,"videoType":"desktop"}}`, "aaaaaaaa-a0")
	f.Add(`{}`, "aaaaaaaa-v12.en")
	f.Fuzz(func(t *testing.T, text, name string) {
		if kind := kindOf("aaaaaaaa", name); kind != "" && name[:9] != "aaaaaaaa-" {
			t.Errorf("%q is a name of %s", name, kind)
		}
		if kindOf("bbbbbbbb", name) != "" && kindOf("aaaaaaaa", name) != "" {
			t.Errorf("%q is a name of two", name)
		}
		mutedText("aaaaaaaa", "audio", text)
	})
}

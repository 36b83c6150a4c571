package focus

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"

	"pgregory.net/rapid"
)

// TestHB5SourcesByTheRules: each rule of jitsi.md §8.5, by source-add and by session-accept, and that nothing changes then.
func TestHB5SourcesByTheRules(t *testing.T) {
	many := func(n int, groups bool) (s string) {
		for i := range n {
			s += source(uint32(1000+2*i), "aaaaaaaa-v0", "m t")
			if groups {
				s += group("FID", uint32(1000+2*i), 1000+uint32(2*((i+1)%n)))
			}
		}
		return s
	}
	const ssma = "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' "
	for name, c := range map[string]struct{ media, inner, want string }{
		"21 SSRCs":              {"video", many(21, false), "resource-constraint"},
		"21 groups":             {"video", many(4, false) + strings.Repeat(group("FID", 1000, 1002), 21), "resource-constraint"},
		"SSRC 0":                {"video", ssma + "ssrc='0' name='aaaaaaaa-v0'/>", "bad-request"},
		"SSRC too large":        {"video", ssma + "ssrc='4294967296' name='aaaaaaaa-v0'/>", "bad-request"},
		"SSRC no number":        {"video", ssma + "ssrc='x' name='aaaaaaaa-v0'/>", "bad-request"},
		"SSRC twice":            {"video", source(5, "aaaaaaaa-v0", "m t") + source(5, "aaaaaaaa-v0", "m t"), "bad-request"},
		"SSRC of another":       {"video", source(500, "aaaaaaaa-v0", "m t"), "bad-request"},
		"SSRC of the bridge":    {"video", "JVB", "bad-request"},
		"group without source":  {"video", source(5, "aaaaaaaa-v0", "m t") + group("FID", 5, 6), "bad-request"},
		"group of another":      {"video", source(5, "aaaaaaaa-v0", "m t") + group("FID", 5, 501), "bad-request"},
		"group of two msids":    {"video", source(5, "aaaaaaaa-v0", "m t") + source(6, "aaaaaaaa-v0", "n t") + group("FID", 5, 6), "bad-request"},
		"group of two names":    {"video", source(5, "aaaaaaaa-v0", "") + source(6, "aaaaaaaa-v0", "") + source(7, "aaaaaaaa-v1", "") + group("SIM", 6, 7), "bad-request"},
		"FID of three":          {"video", source(5, "aaaaaaaa-v0", "m t") + source(6, "aaaaaaaa-v0", "m t") + source(7, "aaaaaaaa-v0", "m t") + group("FID", 5, 6, 7), "bad-request"},
		"group of one":          {"video", source(5, "aaaaaaaa-v0", "m t") + group("SIM", 5), "bad-request"},
		"msid of two names":     {"video", source(5, "aaaaaaaa-v0", "m t") + source(6, "aaaaaaaa-v1", "m t"), "bad-request"},
		"msid of another":       {"video", source(5, "aaaaaaaa-v0", "bbbbbbbb-video-0-1 t"), "bad-request"},
		"msid too long":         {"video", source(5, "aaaaaaaa-v0", strings.Repeat("m", maxMSID+1)), "bad-request"},
		"no name":               {"video", ssma + "ssrc='5'/>", "bad-request"},
		"name of another":       {"video", source(5, "bbbbbbbb-v0", "m t"), "bad-request"},
		"name of the bridge":    {"video", source(5, "jvb-v0", "m t"), "bad-request"},
		"name without a number": {"video", source(5, "aaaaaaaa-v", "m t"), "bad-request"},
		"name of audio":         {"video", source(5, "aaaaaaaa-a0", "m t"), "bad-request"},
		"name of video":         {"audio", source(5, "aaaaaaaa-v0", "m t"), "bad-request"},
		"name of text":          {"audio", source(5, "aaaaaaaa-t0", "m t"), "bad-request"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t)
			for _, nick := range []string{"aaaaaaaa", "bbbbbbbb", "cccccccc"} {
				p.join(nick, modern)
			}
			inner := c.inner
			if inner == "JVB" {
				inner = source(p.c.videoSSRC, "aaaaaaaa-v0", "m t")
			}
			p.accept("bbbbbbbb", 500)
			audio, video := "", inner
			if c.media == "audio" {
				audio, video = inner, ""
			}
			before := p.wish.Version
			if got := p.jingle("aaaaaaaa", jingle.SessionAccept, contents(audio, video)); got != c.want {
				t.Errorf("session-accept: %q, want %q", got, c.want)
			}
			if p.wish.Version != before || p.c.members.of("aaaaaaaa").stage != offered {
				t.Error("a bad answer changed something")
			}
			p.jingle("aaaaaaaa", jingle.SessionAccept, contents("", ""))
			before = p.wish.Version
			if got := p.jingle("aaaaaaaa", jingle.SourceAdd, only(c.media, inner)); got != c.want {
				t.Errorf("source-add: %q, want %q", got, c.want)
			}
			if p.wish.Version != before || len(p.endpoint("bbbbbbbb").Sources) != 2 || len(p.endpoint("aaaaaaaa").Sources) != 0 {
				t.Error("a bad source-add changed something")
			}
		})
	}
	t.Run("more than 20 in all", func(t *testing.T) {
		p := newPlay(t)
		p.join("aaaaaaaa", modern)
		p.join("bbbbbbbb", modern)
		p.accept("aaaaaaaa", 100)
		if got := p.jingle("aaaaaaaa", jingle.SourceAdd, only("video", strings.ReplaceAll(many(18, false), "v0", "v1"))); got != "resource-constraint" {
			t.Errorf("%q", got)
		}
		if got := p.jingle("aaaaaaaa", jingle.SourceAdd, only("video", strings.ReplaceAll(many(17, false), "v0", "v1"))); got != "" {
			t.Errorf("%q", got)
		}
	})
	t.Run("source-remove of unknown", func(t *testing.T) {
		p := newPlay(t)
		p.join("aaaaaaaa", modern)
		p.join("bbbbbbbb", modern)
		p.accept("aaaaaaaa", 100)
		p.accept("bbbbbbbb", 200)
		for _, ssrc := range []uint32{7, 200} {
			if got := p.jingle("aaaaaaaa", jingle.SourceRemove, only("audio", source(ssrc, "aaaaaaaa-a0", "m t"))); got != "bad-request" {
				t.Errorf("%d: %q", ssrc, got)
			}
		}
	})
	t.Run("visitors", func(t *testing.T) {
		p := newPlay(t)
		p.join("aaaaaaaa", modern)
		p.join("bbbbbbbb", modern)
		o := occupant("aaaaaaaa")
		o.Role = muc.Visitor
		accept := "<jingle xmlns='urn:xmpp:jingle:1' action='session-accept' sid='" + p.sid["aaaaaaaa"] + "'>"
		if got := p.send(o, "set", "1", accept+contents(microphone("aaaaaaaa", 1), "")+"</jingle>"); got != "forbidden" {
			t.Errorf("%q", got)
		}
		if got := p.send(o, "set", "2", accept+contents("", "")+"</jingle>"); got != "" {
			t.Errorf("a silent visitor: %q", got)
		}
	})
	t.Run("sender limits", func(t *testing.T) {
		p := newPlay(t)
		p.c.senders = senderLimits{audio: 1, video: 2}
		p.join("aaaaaaaa", modern)
		p.join("bbbbbbbb", modern)
		p.accept("aaaaaaaa", 100)
		if got := p.accept("bbbbbbbb", 200); got != "resource-constraint" {
			t.Errorf("%q", got)
		}
		if got := p.jingle("bbbbbbbb", jingle.SessionAccept, contents("", camera("bbbbbbbb", 201))); got != "" {
			t.Errorf("%q", got)
		}
	})
}

func TestSourcesGoToThoseWhoAccepted(t *testing.T) {
	p := newPlay(t)
	p.join("aaaaaaaa", modern)
	p.join("bbbbbbbb", modern&^CompactSources)
	p.join("cccccccc", modern|Rewriting)
	p.accept("aaaaaaaa", 100)
	if got := p.sent("bbbbbbbb") + p.sent("cccccccc"); got != "" {
		t.Errorf("%s before it accepted", got)
	}
	p.accept("bbbbbbbb", 200)
	if got := p.told["bbbbbbbb"]; len(got) != 5 || got[100] != "aaaaaaaa" {
		t.Errorf("b knows %v", got)
	}
	p.accept("cccccccc", 300)
	p.seen = nil
	if got := p.jingle("aaaaaaaa", jingle.SourceAdd, only("video", source(110, "aaaaaaaa-v1", "s t")+source(111, "aaaaaaaa-v1", "s t")+group("FID", 110, 111))); got != "" {
		t.Fatal(got)
	}
	var xml string
	for _, e := range p.seen {
		if a, ok := e.(ask); ok && a.nick == "bbbbbbbb" {
			xml = string(a.payload)
		} else if ok {
			t.Errorf("%s gets %s", a.nick, a.payload)
		}
	}
	for _, want := range []string{"action='source-add'", "ssrc='110'", "name='aaaaaaaa-v1'", "<ssrc-info xmlns='http://jitsi.org/jitmeet' owner='r@muc.x.net/aaaaaaaa'/>", "semantics='FID'"} {
		if !strings.Contains(xml, want) {
			t.Errorf("%s is missing in %s", want, xml)
		}
	}
	p.seen = nil
	p.leave("aaaaaaaa")
	seen := p.seen
	if got := p.sent("bbbbbbbb"); got != "source-remove" {
		t.Errorf("b is told %q", got)
	}
	p.seen = seen
	if got := p.sent("cccccccc"); got != "" {
		t.Errorf("c, for which the bridge picks SSRCs, is told %q", got)
	}
	if got := p.told["cccccccc"]; len(got) != 2 {
		t.Errorf("c knows %v", got)
	}
	// The SSRCs are free again.
	if got := p.jingle("cccccccc", jingle.SourceAdd, only("audio", source(100, "cccccccc-a1", "x t"))); got != "" {
		t.Error(got)
	}
}

// What a client adds to its sources beyond what they need burdens nobody else.
func TestSourcesAreRelayedLean(t *testing.T) {
	p := newPlay(t)
	p.join("aaaaaaaa", modern)
	p.join("bbbbbbbb", modern&^CompactSources)
	p.accept("bbbbbbbb", 200)
	fat := strings.Replace(source(5, "aaaaaaaa-v0", "m t"), "</source>", strings.Repeat("<parameter name='cname' value='EVIL'/>", 50)+"<ssrc-info xmlns='http://jitsi.org/jitmeet' owner='EVIL'/></source>", 1)
	fat = strings.Replace(fat, " name=", " videoType='EVIL' name=", 1) + source(6, "aaaaaaaa-v0", "m t") + group("EVIL", 5, 6)
	p.seen = nil
	if got := p.jingle("aaaaaaaa", jingle.SessionAccept, contents("", fat)); got != "" {
		t.Fatal(got)
	}
	if len(p.told["bbbbbbbb"]) != 4 {
		t.Errorf("b knows %v", p.told["bbbbbbbb"])
	}
	for _, e := range p.seen {
		if a, ok := e.(ask); ok && strings.Contains(string(a.payload), "EVIL") {
			t.Errorf("%s is told %s", a.nick, a.payload)
		}
	}
}

func TestDesktopKeepsItsType(t *testing.T) {
	p := newPlay(t)
	p.join("aaaaaaaa", modern)
	p.join("bbbbbbbb", modern)
	p.accept("aaaaaaaa", 100)
	p.accept("bbbbbbbb", 200)
	desktop := strings.Replace(source(110, "aaaaaaaa-v1", "s t"), " name=", " videoType='desktop' name=", 1)
	if got := p.jingle("aaaaaaaa", jingle.SourceAdd, only("video", desktop)); got != "" {
		t.Fatal(got)
	}
	if s := p.endpoint("aaaaaaaa").Sources; len(s) != 3 || s[2].VideoType != api.Desktop || s[1].VideoType != api.Camera {
		t.Errorf("sources %+v", s)
	}
	for _, e := range p.seen {
		if a, ok := e.(ask); ok && a.nick == "bbbbbbbb" && !strings.Contains(string(a.payload), "&quot;v&quot;:&quot;d&quot;") {
			t.Errorf("b is told %s", a.payload)
		}
	}
}

// TestEveryoneKnowsTheSourcesOfTheOthers: whatever the order of joins, accepts, changes and leaves, a client that has accepted
// knows exactly what the others send (simulcast stripped) and the bridge's own, and the bridge knows what all send.
func TestEveryoneKnowsTheSourcesOfTheOthers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(t)
		p.journal()
		nicks := []string{"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"}
		rewrites := make(map[string]bool)
		accepted := make(map[string]bool)
		sends := make(map[string]map[uint32]bool) // by endpoint: SSRC → the others are told of it
		owner := func(ssrc uint32) string {
			for nick, s := range sends {
				if _, ok := s[ssrc]; ok {
					return nick
				}
			}
			return ""
		}
		forget := func(nick string) {
			delete(accepted, nick)
			delete(sends, nick)
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			nick := rapid.SampledFrom(nicks).Draw(rt, "nick")
			there := p.c.members.of(nick) != nil
			switch rapid.SampledFrom([]string{"join", "accept", "accept", "add", "add", "add", "remove", "leave", "restart", "time", "bridge", "kill", "turn"}).Draw(rt, "what") {
			case "join":
				if !there {
					f := rapid.SampledFrom([]Features{modern, modern, modern &^ CompactSources, modern | Rewriting}).Draw(rt, "features")
					rewrites[nick] = f.Has(Rewriting)
					p.join(nick, f)
				}
			case "accept":
				if p.sid[nick] != "" && !accepted[nick] {
					ssrc := rapid.Uint32Range(1, 30).Draw(rt, "ssrc")
					free := owner(ssrc) == ""
					got := p.jingle(nick, jingle.SessionAccept, contents(source(ssrc, nick+"-a0", nick+" a"), ""))
					if free != (got == "") {
						rt.Fatalf("accept with SSRC %d, free: %v: %q", ssrc, free, got)
					}
					if got == "" {
						accepted[nick], sends[nick] = true, map[uint32]bool{ssrc: true}
					}
				}
			case "add":
				if accepted[nick] {
					n := rapid.Uint32Range(1, 27).Draw(rt, "ssrc")
					name := fmt.Sprintf("%s-v%d", nick, n)
					taken := owner(n) != "" || owner(n+1) != "" || owner(n+2) != "" || owner(n+3) != ""
					full := len(sends[nick])+4 > 20
					got := p.jingle(nick, jingle.SourceAdd, only("video", source(n, name, name)+source(n+1, name, name)+source(n+2, name, name)+source(n+3, name, name)+
						group("SIM", n, n+1)+group("FID", n, n+2)+group("FID", n+1, n+3)))
					if (got == "") == (taken || full) {
						rt.Fatalf("source-add of SSRC %d, taken: %v, full: %v: %q", n, taken, full, got)
					}
					if got == "" {
						sends[nick][n], sends[nick][n+1], sends[nick][n+2], sends[nick][n+3] = true, false, true, false
					}
				}
			case "remove":
				if m := p.c.members.of(nick); accepted[nick] && len(m.sources.Video) > 0 {
					name := rapid.SampledFrom(m.sources.Video).Draw(rt, "source").Name
					inner := ""
					for _, s := range m.sources.Video {
						if s.Name == name {
							inner += source(s.SSRC, s.Name, s.MSID())
							delete(sends[nick], s.SSRC)
						}
					}
					if got := p.jingle(nick, jingle.SourceRemove, only("video", inner)); got != "" {
						rt.Fatal(got)
					}
				}
			case "leave":
				if there {
					p.leave(nick)
					forget(nick)
				}
			case "restart":
				if p.sid[nick] != "" {
					p.jingle(nick, jingle.SessionTerminate, "<reason><connectivity-error/></reason><bridge-session xmlns='http://jitsi.org/protocol/focus' id='"+p.bridge[nick]+"' restart='true'/>")
					forget(nick)
					if m := p.c.members.of(nick); m.stage == barren {
						delete(p.sid, nick)
						delete(p.told, nick)
					}
				}
			case "time":
				p.pass(5e9)
				for _, m := range p.c.members {
					if m.stage != active {
						forget(m.endpoint)
					}
				}
			case "kill":
				p.kill()
			case "turn": // the journal is replaced
				p.tape = nil
				p.c.ledger.snapshot(meeting, p.tape.Append)
			case "bridge":
				p.do(func() {
					p.c.greeted(api.Hello{Bridge: rapid.SampledFrom([]string{"b1", "b2"}).Draw(rt, "bridge"), Conferences: map[string]uint64{meeting: 1}}, p.now)
				})
				for _, m := range p.c.members {
					if m.stage != active {
						forget(m.endpoint)
					}
				}
			}
			for nick := range accepted {
				want := map[uint32]string{p.c.audioSSRC: "jvb", p.c.videoSSRC: "jvb"}
				for other, s := range sends {
					for ssrc, told := range s {
						if told && other != nick && !rewrites[nick] {
							want[ssrc] = other
						}
					}
				}
				if !maps.Equal(p.told[nick], want) {
					rt.Fatalf("%s knows %v, should know %v", nick, p.told[nick], want)
				}
				e := p.endpoint(nick)
				var at []uint32
				for _, s := range e.Sources {
					at = append(at, s.SSRCs...)
				}
				slices.Sort(at)
				if !slices.Equal(at, slices.Sorted(maps.Keys(sends[nick]))) {
					rt.Fatalf("the bridge knows %v of %s, should know %v", at, nick, sends[nick])
				}
			}
		}
	})
}

// TestTheBridgeIsToldWhatClientsKnow: a source is forwarded to a receiver that has accepted or acknowledged it (jitsi.md §9.5).
func TestTheBridgeIsToldWhatClientsKnow(t *testing.T) {
	p := two(t)
	p.join("cccccccc", modern|Rewriting)
	var adds []string // ids of source-adds to aaaaaaaa that it has not answered
	play := func() {
		for _, x := range p.seen {
			if a, ok := x.(ask); ok && a.nick == "aaaaaaaa" && strings.Contains(string(a.payload), "source-add") {
				adds = append(adds, a.id)
			}
		}
		p.seen = nil
	}
	knows := func(who, source string) bool {
		t.Helper()
		for _, e := range p.wish.Endpoints {
			for _, s := range e.Sources {
				if s.Name == source {
					if s.Since == 0 {
						t.Fatalf("%s has no revision", source)
					}
					return s.Since <= p.endpoint(who).Receive.Known
				}
			}
		}
		t.Fatalf("no source %s", source)
		return false
	}
	p.accept("bbbbbbbb", 200)
	play()
	if knows("aaaaaaaa", "bbbbbbbb-v0") {
		t.Error("a knows a source that it has not acknowledged")
	}
	p.join("dddddddd", modern)
	if knows("dddddddd", "aaaaaaaa-v0") {
		t.Error("d knows a source by an offer that it has not accepted")
	}
	p.accept("dddddddd", 600)
	play()
	if !knows("dddddddd", "aaaaaaaa-v0") || !knows("dddddddd", "bbbbbbbb-v0") {
		t.Error("d does not know what it was offered and has accepted")
	}
	first := adds[0]
	p.jingle("bbbbbbbb", jingle.SourceAdd, only("video", source(300, "bbbbbbbb-v1", "screen")))
	play()
	p.jingle("aaaaaaaa", jingle.SourceAdd, only("video", source(301, "aaaaaaaa-v1", "own")))
	play()
	p.send(occupant("bbbbbbbb"), "result", first, "") // somebody else's answer is none
	if knows("aaaaaaaa", "bbbbbbbb-v0") || len(adds) != 3 {
		t.Errorf("a knows a source by the answer of another; told by %q", adds)
	}
	p.send(occupant("aaaaaaaa"), "result", first, "")
	if !knows("aaaaaaaa", "bbbbbbbb-v0") || knows("aaaaaaaa", "bbbbbbbb-v1") {
		t.Error("the first answer is for the first sources alone, and the second source takes nothing from the first")
	}
	p.send(occupant("aaaaaaaa"), "result", adds[2], "")
	if !knows("aaaaaaaa", "bbbbbbbb-v1") {
		t.Error("a has acknowledged all")
	}
	before := p.endpoint("aaaaaaaa").Receive.Known
	p.accept("cccccccc", 500)
	p.jingle("bbbbbbbb", jingle.SourceRemove, only("video", source(300, "bbbbbbbb-v1", "screen")))
	p.jingle("bbbbbbbb", jingle.SourceAdd, only("video", source(300, "bbbbbbbb-v1", "screen")))
	if knows("aaaaaaaa", "bbbbbbbb-v1") || p.endpoint("aaaaaaaa").Receive.Known != before {
		t.Error("what was removed and added again is new")
	}
	play()
	p.send(occupant("aaaaaaaa"), "result", adds[len(adds)-1], "") // of the last: it stands for all
	if !knows("aaaaaaaa", "bbbbbbbb-v1") || !knows("aaaaaaaa", "cccccccc-v0") {
		t.Error("a has acknowledged the last of all")
	}
}

package jingle

import (
	"reflect"
	"testing"
)

// A description that is accepted becomes the same description however often it goes through Jingle, with XML or without.
func FuzzSDP(f *testing.F) {
	for _, name := range captures(f, "*/*.sdp", 100) {
		f.Add(read(f, name), sideOf(name) == Initiator)
	}
	f.Add(bundleOnly, true)
	for _, s := range moreSDP {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, initiator bool) {
		by := Responder
		if initiator {
			by = Initiator
		}
		j, err := ParseSDP(text, by, DefaultLimits)
		if err != nil {
			return
		}
		if u, err := j.Unified(by); err != nil {
			if len(j.Groups) > 0 && len(j.Contents) == 1 && j.Bundle() != nil && len(j.Bundle().Contents) == 1 {
				t.Fatalf("in a bundle of all: %v\n%q", err, text)
			}
		} else if _, err := u.AppendSDP(nil, by, origin); err != nil && len(text) < 3000 && len(u.Contents) <= 16 {
			t.Fatalf("we cannot write what we read: %v\n%q", err, text)
		}
		fixed(t, j, by, DefaultLimits)

		j.Action, j.SID = SessionAccept, "s"
		if err := j.Check(DefaultLimits); err != nil {
			t.Fatalf("not what Check allows: %v", err)
		}
		xml := string(j.Append(nil))
		back := parse(t, xml)
		for i := range j.Contents {
			if tr := j.Contents[i].Transport; tr != nil {
				tr.Lite = false // XML has no word for it
			}
		}
		if !reflect.DeepEqual(back, j) {
			t.Fatalf("XML changes the values\n got %+v\nwant %+v\n%s", back, j, xml)
		}
	})
}

// fixed checks that the SDP of j can be read, and that from the second time on it is the same. The first may differ: a
// parameter that holds a semicolon becomes two.
func fixed(t *testing.T, j *Jingle, by Role, l Limits) {
	t.Helper()
	j, err := j.Unified(by)
	if err != nil {
		return
	}
	first, err := j.AppendSDP(nil, by, origin)
	if err != nil {
		return
	}
	second, err := ParseSDP(string(first), by, l)
	if err != nil {
		t.Fatalf("we do not read what we wrote: %v\n%s", err, first)
	}
	text, err := second.AppendSDP(nil, by, origin)
	if err != nil {
		t.Fatalf("we cannot write what we read: %v\n%s", err, first)
	}
	third, err := ParseSDP(string(text), by, l)
	if err != nil {
		t.Fatalf("we do not read what we wrote twice: %v\n%s", err, text)
	}
	if again := toSDP(t, third, by); again != string(text) {
		t.Fatalf("got\n%s\nwant\n%s", again, text)
	}
	if !reflect.DeepEqual(second, third) {
		t.Fatalf("got %+v\nwant %+v", third, second)
	}
}

// A Jingle element that is accepted is written, read and written the same; so is the SDP of it, where there is one.
func FuzzJingle(f *testing.F) {
	f.Add("<jingle xmlns='urn:xmpp:jingle:1' action='content-add' sid='s'><content creator='initiator' name='v'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>" +
		"<category xmlns='urn:xmpp:jingle:apps:category:0' name='slides'/></description></content></jingle>")
	f.Add("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'><conference-info xmlns='urn:xmpp:coin:1' isfocus='true'><users><user entity='sip:a@b'>" +
		"<display-text>A</display-text><endpoint entity='sip:a@b'><media id='v'><display-text>screen</display-text><type>video</type></media></endpoint></user></users></conference-info><muji xmlns='urn:xmpp:jingle:muji:0' room='ball@chat.lit'/></jingle>")
	for _, name := range captures(f, "[dg][ia]*/*.xml", 15) {
		if e := jingleIn(f, name); e.Ok() {
			f.Add(string(e.Raw()))
		}
	}
	for _, name := range captures(f, "*/*.sdp", 100)[:20] {
		j := fromSDP(f, read(f, name), sideOf(name))
		j.Action, j.SID = SessionInitiate, "s"
		f.Add(string(j.Append(nil)))
	}
	for _, s := range dialect {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := scan(raw)
		if err != nil {
			return
		}
		j, err := Parse(e, DefaultLimits)
		if err != nil {
			return
		}
		xml := string(j.Append(nil))
		back := parse(t, xml)
		if !reflect.DeepEqual(back, j) {
			t.Fatalf("got %+v\nwant %+v\n%s", back, j, xml)
		}
		if again := string(back.Append(nil)); again != xml {
			t.Fatalf("got %s\nwant %s", again, xml)
		}
		fixed(t, j, Initiator, DefaultLimits)
		fixed(t, j, Responder, DefaultLimits)
		s := SourcesIn(j.Contents)
		if s.Check(DefaultLimits) == nil {
			strip(t, s)
			changes(t, s, s.StripSimulcast())
		}
	})
}

func strip(t *testing.T, s Sources) {
	t.Helper()
	if err := s.StripSimulcast().Check(DefaultLimits); err != nil {
		t.Fatalf("%v: %+v", err, s)
	}
}

// changes checks that the difference of two sets of sources leads from one to the other.
func changes(t *testing.T, before, after Sources) {
	t.Helper()
	add, remove := Changes(before, after)
	rest, err := before.Remove(remove)
	if err != nil {
		t.Fatalf("%v: %+v of %+v", err, remove, before)
	}
	got, err := rest.Add(add, DefaultLimits)
	if err != nil {
		t.Fatalf("%v: %+v to %+v", err, add, rest)
	}
	if a, b := canonical(got), canonical(after); !reflect.DeepEqual(a, b) {
		t.Fatalf("got %+v\nwant %+v", a, b)
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range messages {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := scan(raw)
		if err != nil {
			return
		}
		m, err := ParseMessage(e)
		if err != nil {
			return
		}
		xml := string(m.Append(nil))
		back, err := ParseMessage(elem(t, xml))
		if err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%v: got %+v\nwant %+v\n%s", err, back, m, xml)
		}
	})
}

func FuzzCompact(f *testing.F) {
	f.Add(compactExample)
	f.Add(`{"sources":{}}`)
	f.Add(`{"sources":{"a":[],"b":[[],[],[{"s":1}]]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseCompact(text, DefaultLimits)
		if err != nil {
			return
		}
		out := string(AppendCompact(nil, all))
		back, err := ParseCompact(out, DefaultLimits)
		if err != nil || !reflect.DeepEqual(back, all) {
			t.Fatalf("%v: got %+v\nwant %+v\n%s", err, back, all, out)
		}
	})
}

func FuzzCandidate(f *testing.F) {
	for _, s := range candidates {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := ParseCandidate(text)
		if err != nil {
			return
		}
		back, _, err := ParseCandidate(c.SDP())
		if err != nil || back != c {
			t.Fatalf("%v: got %+v, want %+v", err, back, c)
		}
	})
}

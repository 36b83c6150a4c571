package transcript

import (
	"strings"
	"testing"
)

func TestScriptsAreRead(t *testing.T) {
	s, err := parseScript("x", []byte(`About this. XEP-0045 §1
-- a scene --
# a comment
Romeo creates the room.

Romeo sets membersonly=1 roomsecret=

Juliet/phone sends:
	<presence to='${room}/juliet'>
	</presence>
	<iq/>

Differs: XEP-0045 §7.2.3: a reason.
Only prosody: Juliet/phone receives in any order:
	<presence/>

Romeo receives nothing.
`))
	if err != nil {
		t.Fatal(err)
	}
	steps := s.Scenes[0].steps
	if len(steps) != 6 || steps[3].who != "Juliet/phone" || len(steps[3].stanzas) != 2 || steps[4].only != "prosody" || !s.Scenes[0].Differs() {
		t.Errorf("%+v", steps)
	}
}

func TestBadScriptsAreRefused(t *testing.T) {
	for name, scene := range map[string]string{
		"not a step":                     "Romeo dances.\n",
		"stanzas missing":                "Romeo sends:\n",
		"stanzas too many":               "Romeo vanishes.\n\t<iq/>\n",
		"not XML":                        "Romeo sends:\n\t<iq>\n",
		"difference unexplained":         "Only parley: Romeo vanishes.\n",
		"difference without a paragraph": "Differs: Prosody is odd.\nOnly parley: Romeo vanishes.\n",
		"unknown server":                 "Differs: XEP-0045 §1: so.\nOnly ejabberd: Romeo vanishes.\n",
		"name in lower case":             "romeo vanishes.\n",
	} {
		if _, err := parseScene(scene); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWhatMatches(t *testing.T) {
	for _, c := range []struct {
		name, want, got string
		ok              bool
	}{
		{"order of attributes", "<a x='1' y='2'/>", "<a y='2' x='1'/>", true},
		{"more than wanted", "<a/>", "<a x='1'><b/>text</a>", true},
		{"attribute missing", "<a x='1'/>", "<a/>", false},
		{"attribute differs", "<a x='1'/>", "<a x='2'/>", false},
		{"any value", "<a x='*'/>", "<a x='2'/>", true},
		{"no value", "<a x='!'/>", "<a x='2'/>", false},
		{"child missing", "<a><b/></a>", "<a/>", false},
		{"child of another namespace", "<a><b xmlns='u'/></a>", "<a><b xmlns='v'/></a>", false},
		{"two children want two", "<a><b/><b/></a>", "<a><b/></a>", false},
		{"children in another order", "<a><b x='1'/><b x='2'/></a>", "<a><b x='2'/><b x='1'/></a>", true},
		{"no child", "<a><b>!</b></a>", "<a><b/></a>", false},
		{"no child is there", "<a><b>!</b></a>", "<a><c/></a>", true},
		{"text", "<a>t</a>", "<a>u</a>", false},
		{"prefix", "<a><b xmlns='u'/></a>", "<a xmlns:p='u'><p:b/></a>", true},
		{"status codes", "<x><status code='110'/></x>", "<x><status code='110'/><status code='201'/></x>", false},
		{"expanded", "<a x='${v}'/>", "<a x='1'/>", true},
	} {
		want, err := parseNodes(c.want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseNodes(c.got)
		if err != nil {
			t.Fatal(err)
		}
		err = match(want[0], got[0], func(s string) string { return strings.ReplaceAll(s, "${v}", "1") })
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

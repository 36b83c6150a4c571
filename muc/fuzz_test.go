package muc

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"parley/xmpp/wire"
)

// FuzzRoom gives a room two stanzas, one from its owner and one from an occupant. Whatever they are, the room does not
// panic, finishes what it was given, and everything that it says is a stanza for two parsers.
func FuzzRoom(f *testing.F) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	stanza := regexp.MustCompile(`(?s)(?:sends:\n\t)(<(?:message|presence|iq).*?)\n\n`)
	for _, script := range scripts {
		b, err := os.ReadFile(script)
		if err != nil {
			f.Fatal(err)
		}
		for _, m := range stanza.FindAllSubmatch(b, -1) {
			s := strings.NewReplacer("${room}", "r@muc.x", "${Juliet.bare}", "juliet@x", "${Romeo.bare}", "romeo@x", "/juliet", "/juliet").Replace(string(m[1]))
			f.Add([]byte(s), []byte("<message to='r@muc.x' type='groupchat'><body>Hi</body></message>"))
			f.Add([]byte("<presence to='r@muc.x/romeo'><p:x xmlns:p='urn:p' p:a=\"'\"/></presence>"), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		limits := DefaultLimits()
		limits.Unlocked, limits.CoalesceAbove = true, 1
		r := newRoom("r@muc.x", &limits)
		now := time.Unix(1e9, 0)
		var fx effects
		held := 0
		give := func(from wire.Addr, raw []byte) {
			scanner := wire.Scanner{Limits: wire.AfterAuth}
			_, p, err := scanner.Next(raw)
			if err != nil || p.Kind == wire.Other {
				return
			}
			to, err := wire.ParseRawAddr(p.To())
			if err != nil || to.Bare() != "r@muc.x" {
				to = "r@muc.x"
			}
			held++
			in := &input{now: now, packet: p.Clone(), from: from, to: to, quota: true, release: func() { held-- }}
			in.joins = p.Kind == wire.Presence && p.Elem().Child("x", NSMUC).Ok()
			fx.reset()
			r.step(in, &fx)
			now = now.Add(time.Second)
			check(t, &fx)
			fx.reset()
			r.step(&input{now: now, tick: true}, &fx)
			check(t, &fx)
		}
		enter := "<x xmlns='" + NSMUC + "'/></presence>"
		give("romeo@x/1", []byte("<presence to='r@muc.x/romeo'>"+enter))
		give("juliet@x/1", []byte("<presence to='r@muc.x/juliet'>"+enter))
		give("romeo@x/1", one)
		give("juliet@x/1", two)
		for len(r.pending) > 0 && r.phase == open { // a persistent room: the store says yes
			fx.reset()
			r.step(&input{now: now, committed: r.pending[0].seq}, &fx)
			check(t, &fx)
		}
		give("nurse@x/1", []byte("<presence to='r@muc.x/nurse'>"+enter))
		if held != 0 && len(r.pending) == 0 {
			t.Errorf("%d stanzas are not finished", held)
		}
	})
}

// check reads what the room says.
func check(t *testing.T, fx *effects) {
	t.Helper()
	for _, d := range fx.deliver {
		raw := append(wire.AppendStart(nil, d.stanza.Kind, "", d.to), d.stanza.Tail...)
		limits := wire.AfterAuth
		limits.Size, limits.Depth, limits.Attrs, limits.Children = 2*limits.Size+8192, limits.Depth+1, limits.Attrs+8, limits.Children+8
		scanner := wire.Scanner{Limits: limits}
		if n, _, err := scanner.Next(raw); err != nil || n != len(raw) {
			t.Fatalf("%v: %s", err, raw)
		}
		for dec := xml.NewDecoder(strings.NewReader(string(raw))); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v: %s", err, raw)
			}
		}
	}
	for _, release := range fx.released {
		release()
	}
}

// FuzzNick: nicknames that are the same to compare look the same, and comparing is stable.
func FuzzNick(f *testing.F) {
	for _, nick := range []string{"alice", "ALICE", "аlice", "ali\u200bce", "0f3a9c1e", " a  b ", "\u202Ex", "ﬁ", "İ", "ß", "\u0345"} {
		f.Add(nick)
	}
	f.Fuzz(func(t *testing.T, nick string) {
		key, err := nickKey(nick)
		if err != nil {
			return
		}
		again, err := nickKey(key)
		if err != nil || again != key {
			t.Errorf("the key of %q is %q, of that %q, %v", nick, key, again, err)
		}
		if plainNick(nick) && skeleton(nick) == "" {
			t.Errorf("%q has no look", nick)
		}
	})
}

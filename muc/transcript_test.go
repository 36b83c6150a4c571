package muc

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"parley/internal/peertest"
	"parley/internal/transcript"
	"parley/xmpp/wire"
)

// stage plays scenes on rooms in memory.
type stage struct{ w *world }

func (s stage) Name() string  { return "parley" }
func (s stage) Host() string  { return "x" }
func (s stage) Rooms() string { return "muc.x" }

func (s stage) Login(account, resource string) (transcript.Session, error) {
	return actor{s.w.client(account + "@x/" + resource)}, nil
}

type actor struct{ c *client }

func (a actor) Addr() string { return string(a.c.addr) }

func (a actor) Send(stanza string) error {
	p := parse(a.c.w.t, stanza)
	to, err := wire.ParseRawAddr(p.To())
	if err != nil {
		return err
	}
	if to.Domain() != "muc.x" {
		a.c.w.Deliver(nil, to, p.Stanza(a.c.addr)) // as a router does
		return nil
	}
	a.c.w.s.Handle(nil, a.c, to, p)
	synctest.Wait()
	return nil
}

func (a actor) Receive() ([]string, error) { return a.c.take(), nil }

func (a actor) Vanish() error {
	a.c.gone()
	return nil
}

func scripts(t *testing.T) []transcript.Script {
	t.Helper()
	list, err := transcript.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("there are no scripts")
	}
	return list
}

// roomOf names the room of a scene.
func roomOf(script, scene string, n int) string {
	plain := func(c rune) rune {
		if c < 'a' || c > 'z' {
			return '-'
		}
		return c
	}
	return fmt.Sprintf("%s-%s-%d", script, strings.Map(plain, strings.ToLower(scene)), n)
}

func TestTranscripts(t *testing.T) {
	for _, script := range scripts(t) {
		for i, scene := range script.Scenes {
			t.Run(script.Name+"/"+scene.Name, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					scene.Play(t, stage{w}, roomOf(script.Name, scene.Name, i))
				}, func(c *Config) { c.Limits.Unlocked = false })
			})
		}
	}
}

// TestTranscriptsAgainstProsody shows that the scripts tell what another server does too.
func TestTranscriptsAgainstProsody(t *testing.T) {
	p := peertest.Prosody(t, "romeo", "juliet", "mercutio", "benvolio", "nurse", "tybalt")
	for _, script := range scripts(t) {
		for i, scene := range script.Scenes {
			t.Run(script.Name+"/"+scene.Name, func(t *testing.T) {
				server := &transcript.TCP{
					T: t, Label: "prosody", Addr: p.Addr, Domain: p.Domain, Conference: p.Rooms, Secret: p.Secret,
				}
				scene.Play(t, server, roomOf(script.Name, scene.Name, i))
			})
		}
	}
}

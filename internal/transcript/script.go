package transcript

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Script is one file.
type Script struct {
	Name   string // of the file, without its ending
	About  string
	Scenes []Scene
}

// Scene is a scene of a script.
type Scene struct {
	Name  string
	steps []step
}

// Differs reports that the scene says where servers differ.
func (s *Scene) Differs() bool {
	for _, st := range s.steps {
		if st.only != "" {
			return true
		}
	}
	return false
}

// step is one thing to do or to see.
type step struct {
	line    int
	who     string // account, or account/resource
	act     act
	only    string // name of the server that it is for, "" for all
	stanzas []*node
}

type act uint8

const (
	sends act = iota
	receives
	receivesAnyOrder
	receivesNothing
	ignores
	vanishes
	creates
	enters
)

var acts = []struct {
	words string
	act   act
	block bool
}{
	{" sends:", sends, true},
	{" receives:", receives, true},
	{" receives in any order:", receivesAnyOrder, true},
	{" receives nothing.", receivesNothing, false},
	{" ignores the rest.", ignores, false},
	{" vanishes.", vanishes, false},
	{" creates the room.", creates, false},
	{" enters the room.", enters, false},
}

// Load reads all scripts of a folder.
func Load(dir string) ([]Script, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	var list []Script
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s, err := parseScript(strings.TrimSuffix(filepath.Base(file), ".txtar"), b)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func parseScript(name string, b []byte) (Script, error) {
	a := txtar.Parse(b)
	s := Script{Name: name, About: string(a.Comment)}
	for _, f := range a.Files {
		steps, err := parseScene(string(f.Data))
		if err != nil {
			return s, fmt.Errorf("%s, scene %s: %w", name, f.Name, err)
		}
		s.Scenes = append(s.Scenes, Scene{f.Name, steps})
	}
	if len(s.Scenes) == 0 || strings.TrimSpace(s.About) == "" {
		return s, fmt.Errorf("%s: a script has a comment and at least one scene", name)
	}
	return s, nil
}

var (
	citation = regexp.MustCompile(`^Differs: XEP-\d{4} §[0-9.]+.*: .`)
	setting  = regexp.MustCompile(`^([A-Z][a-z]+) sets ([a-z_]+=\S*(?: [a-z_]+=\S*)*)$`)
	naming   = regexp.MustCompile(`^[A-Z][a-z]+(/[a-z]+)?$`)
)

// parseScene reads the steps of a scene.
func parseScene(text string) (steps []step, err error) {
	lines := strings.Split(text, "\n")
	cited := false
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		st := step{line: i + 1}
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "Differs:"):
			if cited = citation.MatchString(line); !cited {
				return nil, fmt.Errorf("line %d: a difference cites a paragraph of a XEP and says why", i+1)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(line, "Only "); ok {
			st.only, line, ok = strings.Cut(rest, ": ")
			if !ok || !cited || st.only != "parley" && st.only != "prosody" {
				return nil, fmt.Errorf("line %d: what is for one server only needs its name, and a line Differs before it", i+1)
			}
		}
		if m := setting.FindStringSubmatch(line); m != nil {
			if st.stanzas, err = configuration(m[2]); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			st.who, st.act = m[1], sends
			steps = append(steps, st, step{line: i + 1, who: everybody, act: ignores, only: st.only})
			continue
		}
		block, ok := false, false
		for _, a := range acts {
			if who, found := strings.CutSuffix(line, a.words); found && naming.MatchString(who) {
				st.who, st.act, block, ok = who, a.act, a.block, true
			}
		}
		if !ok {
			return nil, fmt.Errorf("line %d is no step: %s", i+1, line)
		}
		var xml strings.Builder
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\t") {
			i++
			xml.WriteString(lines[i] + "\n")
		}
		if block == (xml.Len() == 0) {
			return nil, fmt.Errorf("line %d: stanzas are missing or too many", st.line)
		}
		if block {
			if st.stanzas, err = parseNodes(xml.String()); err != nil {
				return nil, fmt.Errorf("line %d: %w", st.line, err)
			}
		}
		steps = append(steps, st)
	}
	return steps, nil
}

// everybody stands for all who are logged in.
const everybody = "Everybody"

// configuration makes the form that sets fields, written as name=value with spaces between.
func configuration(fields string) ([]*node, error) {
	var b strings.Builder
	b.WriteString("<iq to='${room}' type='set' id='setting'><query xmlns='http://jabber.org/protocol/muc#owner'>" +
		"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>")
	for _, f := range strings.Fields(fields) {
		name, value, _ := strings.Cut(f, "=")
		fmt.Fprintf(&b, "<field var='muc#roomconfig_%s'><value>%s</value></field>", name, value)
	}
	b.WriteString("</x></query></iq>")
	return parseNodes(b.String())
}

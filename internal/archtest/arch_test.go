// Package archtest holds the tests of the house: who may import whom, which modules are allowed, and that each package
// says what it is.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "parley/"

// rooms are the folders that may stand at the top (design: the house).
var rooms = []string{"cmd", "xmpp", "muc", "jingle", "bridge", "turn", "portal", "docker", "docs", "internal"}

// may lists, for each room, what of this module it may import. The longest matching prefix decides.
var may = map[string][]string{
	"cmd":            {""},
	"portal":         {"internal", "jingle", "muc", "xmpp", "turn", "bridge"},
	"portal/api":     {"internal", "jingle", "muc", "xmpp", "turn", "bridge", "portal/report", "portal/hook", "portal/oidc"},
	"portal/oidc":    {"portal/oidc"},
	"portal/records": {"internal", "portal/report"},
	"portal/report":  {"internal"},
	"portal/alert":   {"internal", "portal/report"},
	"jingle/gateway": {"internal", "jingle", "muc", "xmpp", "bridge", "turn"},
	"jingle/focus":   {"internal", "jingle", "muc", "xmpp", "bridge", "turn"},
	"jingle/call":    {"internal", "jingle", "muc", "xmpp"},
	"jingle/seat":    {"internal", "muc", "xmpp"},
	"jingle":         {"internal", "xmpp/wire", "jingle/sdp"},
	"muc":            {"internal", "xmpp/wire", "xmpp/form"},
	"xmpp/wire":      {},
	"xmpp/form":      {"xmpp/wire"},
	"xmpp":           {"internal", "xmpp"},
	"bridge":         {"internal", "bridge", "jingle"},
	"turn":           {"internal", "turn"},
	"internal":       {"internal"},
	"internal/stun":  {},

	// Parts of the bridge that know little of it.
	"bridge/congestion": {"internal", "bridge/rtp"},

	// Composed of every room's own Config, and started by cmd alone.
	"internal/config": {"internal", "xmpp", "muc", "jingle", "turn", "bridge", "portal"},
	"internal/doctor": {"internal", "turn"},
	"internal/bench":  {"internal", "xmpp", "bridge"},
}

// fences lists libraries that only some rooms may import.
var fences = map[string][]string{
	"github.com/pion/":               {"bridge", "turn", "internal/peertest"},
	"modernc.org/sqlite":             {"internal/store"},
	"github.com/lib/pq":              {"internal/store"},
	"github.com/pressly/":            {"internal/store"},
	"github.com/nats-io/":            {"internal/cluster"},
	"github.com/golang-jwt/":         {"internal/token"},
	"github.com/caddyserver/":        {"internal/acme"},
	"go.uber.org/zap":                {"internal/acme"},
	"github.com/danielgtaylor/huma/": {"portal/api"},
	"github.com/wneessen/":           {"portal/report"},
	"github.com/oschwald/":           {"internal/geo"},
	"github.com/coreos/":             {"portal/oidc"},
	"github.com/thesyncim/":          {"bridge/loudness"},
}

// direct are the modules that go.mod may require directly. A new one needs a page in docs/decisions.
var direct = []string{
	"github.com/BurntSushi/toml", "github.com/alecthomas/kong", "github.com/caddyserver/certmagic", "github.com/coder/websocket", "github.com/coreos/go-oidc/v3", "github.com/danielgtaylor/huma/v2", "github.com/go-chi/chi/v5",
	"github.com/golang-jwt/jwt/v5", "github.com/google/uuid", "github.com/lib/pq", "github.com/oschwald/maxminddb-golang/v2", "github.com/pion/datachannel", "github.com/pion/dtls/v3",
	"github.com/pion/ice/v4", "github.com/pion/interceptor", "github.com/pion/logging", "github.com/pion/rtcp", "github.com/pion/rtp",
	"github.com/pion/sctp", "github.com/pion/srtp/v3", "github.com/pion/stun/v4", "github.com/pion/turn/v5", "github.com/pion/webrtc/v4",
	"github.com/pressly/goose/v3", "github.com/prometheus/client_golang", "github.com/rogpeppe/go-internal", "github.com/thesyncim/gopus", "github.com/wneessen/go-mail", "go.uber.org/goleak", "go.uber.org/zap",
	"golang.org/x/crypto", "golang.org/x/net", "golang.org/x/sys", "golang.org/x/text", "mellium.im/sasl", "mellium.im/xmlstream", "mellium.im/xmpp", "modernc.org/sqlite", "pgregory.net/rapid",
}

type source struct {
	dir  string // slash-separated, from the root
	name string
	test bool
	file *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	root := "../.."
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") && p != root) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, filepath.Dir(p))
		all = append(all, source{filepath.ToSlash(rel), name, strings.HasSuffix(name, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d files found", len(all))
	}
	return all
}

// rule finds the entry of may for a folder.
func rule(dir string) (allowed []string, ok bool) {
	for d := dir; d != "."; d = path.Dir(d) {
		if allowed, ok := may[d]; ok {
			return allowed, true
		}
	}
	return nil, false
}

func within(dir, room string) bool {
	return room == "" || dir == room || strings.HasPrefix(dir, room+"/")
}

func TestImportsPointDown(t *testing.T) {
	for _, s := range sources(t) {
		allowed, ok := rule(s.dir)
		if !ok {
			t.Errorf("%s/%s: the folder is no room of the house", s.dir, s.name)
			continue
		}
		for _, imp := range s.file.Imports {
			p := strings.Trim(imp.Path.Value, `"`)
			if local, ok := strings.CutPrefix(p, module); ok {
				if s.test || local == s.dir || within(s.dir, "internal/peertest") || within(s.dir, "internal/transcript") {
					continue // tests may look around
				}
				if !slices.ContainsFunc(allowed, func(room string) bool { return within(local, room) }) {
					t.Errorf("%s/%s imports %s", s.dir, s.name, p)
				}
				continue
			}
			for prefix, rooms := range fences {
				if strings.HasPrefix(p, prefix) && !slices.ContainsFunc(rooms, func(r string) bool { return within(s.dir, r) }) && !s.test {
					t.Errorf("%s/%s imports %s", s.dir, s.name, p)
				}
			}
		}
	}
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	said := make(map[string]bool)
	for _, s := range sources(t) {
		if doc := s.file.Doc; doc != nil && len(doc.Text()) > 40 {
			said[s.dir] = true
		} else if !said[s.dir] {
			said[s.dir] = false
		}
	}
	for dir, ok := range said {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

func TestTopLevelFolders(t *testing.T) {
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "parley-data" && !slices.Contains(rooms, e.Name()) {
			t.Errorf("folder %s is no room of the house", e.Name())
		}
	}
}

func TestDirectModules(t *testing.T) {
	b, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:require |\t)(\S+) v\S+(.*)$`).FindAllStringSubmatch(string(b), -1) {
		if !strings.Contains(m[2], "indirect") && !slices.Contains(direct, m[1]) {
			t.Errorf("module %s is not on the list", m[1])
		}
	}
	if strings.Contains(string(b), "\nreplace ") {
		t.Error("go.mod replaces a module")
	}
}

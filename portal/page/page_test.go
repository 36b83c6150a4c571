package page

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

func walk(t *testing.T, do func(name, content string)) {
	t.Helper()
	n := 0
	err := fs.WalkDir(Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(Files(), name)
		n++
		do(name, string(content))
		return err
	})
	if err != nil || n < 20 {
		t.Fatalf("%d files, %v", n, err)
	}
}

func TestEveryFileThatIsNamedExists(t *testing.T) {
	named := regexp.MustCompile(`(?:from|import|import\() ?'(\.[^']+)'|(?:src|href)="/static/([^"]+)"`)
	walk(t, func(name, content string) {
		if strings.HasPrefix(name, "vendor/") {
			return
		}
		for _, m := range named.FindAllStringSubmatch(content, -1) {
			target := m[2]
			if m[1] != "" {
				target = path.Join(path.Dir(name), m[1])
			}
			if _, err := fs.Stat(Files(), target); err != nil {
				t.Errorf("%s names %s: %v", name, target, err)
			}
		}
	})
}

// The policy that the portal sends allows files of ours and nothing else (hardening HW4).
func TestHW4NothingInlineAndNothingFromElsewhere(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\sstyle="|\son[a-z]+="|javascript:|innerHTML|outerHTML =|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|\beval\(|new Function`)
	elsewhere := regexp.MustCompile(`(?i)(?:src|href|url\(|import|from|fetch\()\s*=?\s*["'(]?\s*(?:https?:)?//`)
	walk(t, func(name, content string) {
		if strings.HasPrefix(name, "vendor/") {
			return
		}
		if found := inline.FindString(content); found != "" {
			t.Errorf("%s: %q", name, found)
		}
		if found := elsewhere.FindString(content); found != "" {
			t.Errorf("%s loads from elsewhere: %q", name, found)
		}
	})
}

func TestVendoredFilesHaveTheirLicences(t *testing.T) {
	walk(t, func(name, content string) {
		base, isScript := strings.CutSuffix(name, ".js")
		if !isScript || !strings.HasPrefix(name, "vendor/") {
			return
		}
		licence, err := fs.ReadFile(Files(), base+".LICENSE")
		if err != nil || len(licence) < 500 {
			t.Errorf("%s has no licence: %v", name, err)
		}
	})
	versions, err := fs.ReadFile(Files(), "vendor/VERSIONS")
	if err != nil || !regexp.MustCompile(`(?m)^strophe\.js +npm strophe\.js +\d`).Match(versions) {
		t.Errorf("VERSIONS: %v\n%s", err, versions)
	}
}

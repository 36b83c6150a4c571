package upload

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

var names = map[string]string{
	"rose.jpg":                        "rose.jpg",
	"très cool.jpg":                   "très cool.jpg",
	"../../etc/passwd":                "_.._etc_passwd",
	`..\..\x.exe`:                     `_.._x.exe`,
	"":                                "file",
	"..":                              "file",
	" . ":                             "file",
	"a%2e%2e":                         "a_2e_2e",
	"a;b?c#d":                         "a_b_c_d",
	"x\r\nSet-Cookie: a=b":            "x__Set-Cookie_ a=b",
	"photo\u202egpj.exe":              "photo_gpj.exe",
	"\xff\xfe.png":                    "__.png",
	"<img src=x>.png":                 "_img src=x_.png",
	".htaccess":                       "htaccess",
	strings.Repeat("é", 100) + ".tar": strings.Repeat("é", 58) + ".tar",
	strings.Repeat("a", 300):          strings.Repeat("a", 120),
	"a." + strings.Repeat("b", 300):   "a." + strings.Repeat("b", 118),
}

func TestHW1NamesAreNoPaths(t *testing.T) {
	for name, want := range names {
		if got := cleanName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for name := range names {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := cleanName(name)
		if got == "" || got == "." || got == ".." || len(got) > longestName || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\%;?#\x00\r\n\"'<>") {
			t.Errorf("%q: %q", name, got)
		}
		if again := cleanName(got); again != got {
			t.Errorf("%q: %q becomes %q", name, got, again)
		}
		u, err := url.Parse("https://x.net/upload/id/" + url.PathEscape(got))
		if err != nil || u.Path != "/upload/id/"+got {
			t.Errorf("%q: %v %v", got, u, err)
		}
	})
}

func FuzzCleanType(f *testing.F) {
	for _, s := range []string{"image/jpeg", "Text/HTML; charset=utf-8", "a", "image/", "/", "x/y; z", "image/jpeg\r\nX: y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := cleanType(s)
		if strings.ContainsAny(got, " ;\r\n\x00") || got != "" && cleanType(got) != got {
			t.Errorf("%q: %q", s, got)
		}
		if kind, inline := asServed(got); inline && !strings.HasPrefix(kind, "image/") && !strings.HasPrefix(kind, "audio/") && !strings.HasPrefix(kind, "video/") {
			t.Errorf("%q is shown as %q", s, kind)
		}
	})
}

func TestHW7TypesThatMayRunAreSaved(t *testing.T) {
	for kind, want := range map[string]string{
		"image/jpeg": "image/jpeg inline", "video/mp4": "video/mp4 inline", "text/plain": "text/plain; charset=utf-8 attachment",
		"application/pdf": "application/pdf attachment", "text/html": "application/octet-stream attachment", "image/svg+xml": "application/octet-stream attachment",
		"application/xhtml+xml": "application/octet-stream attachment", "text/javascript": "application/octet-stream attachment", "": "application/octet-stream attachment",
	} {
		got, inline := asServed(cleanType(kind))
		if inline {
			got += " inline"
		} else {
			got += " attachment"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", kind, got, want)
		}
	}
}

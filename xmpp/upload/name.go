package upload

import (
	"mime"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestName is how long a file's name is at most, in bytes. Percent-encoded it is three times that.
const longestName = 120

// cleanName returns the name of a file as it stands in its address: what is no part of a path in somebody's eyes, and what
// makes a name look like another one, is replaced. The ending stays (XEP-0363 §4).
func cleanName(name string) string {
	var b strings.Builder
	for _, c := range name {
		switch {
		case c == utf8.RuneError, !unicode.IsPrint(c), strings.ContainsRune(`/\%;:?#*"'<>|&`, c):
			c = '_'
		}
		b.WriteRune(c)
	}
	name = strings.Trim(b.String(), " .")
	if len(name) > longestName {
		ending := path.Ext(name)
		if len(ending) > 16 {
			ending = ""
		}
		name = cut(name[:len(name)-len(ending)], longestName-len(ending)) + ending
	}
	if name == "" {
		return "file"
	}
	return name
}

// cut returns the first n bytes at most, whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimRight(s[:n], " .")
}

// cleanType returns the media type of a content type in lower case and without parameters; "" for what is none.
func cleanType(s string) string {
	if len(s) > 255 {
		return ""
	}
	kind, _, err := mime.ParseMediaType(s)
	if major, minor, ok := strings.Cut(kind, "/"); err != nil || !ok || major == "" || minor == "" {
		return ""
	}
	return kind
}

// shown are the types that are told, since nothing in them runs as a script of ours; all others are bytes to a browser (hardening
// HW7). With true it shows the file, with false it saves it.
var shown = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "image/avif": true, "image/apng": true, "image/bmp": true,
	"audio/mpeg": true, "audio/mp4": true, "audio/aac": true, "audio/ogg": true, "audio/opus": true, "audio/webm": true, "audio/wav": true,
	"audio/x-wav": true, "audio/flac": true, "audio/x-m4a": true,
	"video/mp4": true, "video/webm": true, "video/ogg": true, "video/quicktime": true, "video/x-matroska": true, "video/3gpp": true,
	"image/heic": false, "image/heif": false, "image/jxl": false, "image/tiff": false,
	"text/plain": false, "application/pdf": false, "application/zip": false, "application/gzip": false,
}

// asServed returns how a file of a declared type is served.
func asServed(kind string) (contentType string, inline bool) {
	inline, known := shown[kind]
	switch {
	case !known:
		return "application/octet-stream", false
	case kind == "text/plain":
		return "text/plain; charset=utf-8", false
	}
	return kind, inline
}

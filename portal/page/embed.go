// Package page is the web page: static files, embedded as they are. There is no build step; what is in static/vendor are
// the released files of Preact, htm and Strophe.js with their licences.
package page

import (
	"embed"
	"io/fs"
)

//go:embed static
var static embed.FS

// Files returns the files of the page. index.html is served for "/" and for each room, admin.html and rs.html at places of their own;
// all others below "/static/".
func Files() fs.FS {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}

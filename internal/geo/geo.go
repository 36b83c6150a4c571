// Package geo tells the country of an address by a file in the MaxMind DB format, version 2, such as GeoLite2-Country or
// GeoLite2-City. The file is the administrator's; without one every country is unknown.
package geo

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/oschwald/maxminddb-golang/v2"
)

// DB is a file that was read. It does not change, and is safe for concurrent use. A nil DB knows no country.
type DB struct{ reader *maxminddb.Reader }

// ErrFormat says that a file is none of this format, or is damaged.
var ErrFormat = errors.New("not a file in the MaxMind DB format")

// Open reads a file.
func Open(path string) (*DB, error) {
	file, err := os.ReadFile(path) // not mapped: one that is cut while it is used would end the process
	if err != nil {
		return nil, err
	}
	db, err := Parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// Parse reads the bytes of a file, and keeps them. The error is ErrFormat.
func Parse(file []byte) (*DB, error) {
	r, err := maxminddb.OpenBytes(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return &DB{r}, nil
}

// Country is the code of an address's country (ISO 3166-1, two letters), "" if it is not known.
func (db *DB) Country(a netip.Addr) string {
	if db == nil || !a.IsValid() {
		return ""
	}
	return countryOf(db.reader.Lookup(a.Unmap()))
}

func countryOf(found maxminddb.Result) string {
	for _, name := range []string{"country", "registered_country"} {
		code := ""
		if found.DecodePath(&code, name, "iso_code") == nil && len(code) == 2 && upper(code[0]) && upper(code[1]) {
			return code
		}
	}
	return ""
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

package roomserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

var errValue = errors.New("roomserver: a value of the wrong type, or out of its range")

// Longest values in bytes; uids count in characters.
const (
	maxUID   = 64
	maxText  = 256
	maxLong  = 4096
	maxToken = 16 << 10
)

func absent(raw json.RawMessage) bool { return len(raw) == 0 || raw[0] == 'n' }

// readText reads a string without control characters.
func readText(raw json.RawMessage, most int) (string, error) {
	if absent(raw) {
		return "", nil
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil || len(s) > most || !printable(s) {
		return "", errValue
	}
	return s, nil
}

// printable reports that a text can be shown, and can stand in XML.
func printable(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) || r == '\uFFFE' || r == '\uFFFF' {
			return false
		}
	}
	return true
}

// readInt reads a whole number or a string that holds one.
func readInt(raw json.RawMessage, least, most int) (int, error) {
	n, err := strconv.ParseFloat(strings.TrimSpace(unquote(raw)), 64)
	if err != nil || n != float64(int(n)) || int(n) < least || int(n) > most {
		return 0, errValue
	}
	return int(n), nil
}

// readFlag reads true, false, 1, 0, and strings that hold them.
func readFlag(raw json.RawMessage) (bool, error) {
	switch strings.ToLower(unquote(raw)) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, errValue
}

// unquote is the text of a string, or of a number or word as it stands.
func unquote(raw json.RawMessage) string {
	var s string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// millisecondsFrom is the number from which on a time counts milliseconds, and not seconds: as seconds it is the year 5138.
const millisecondsFrom = 100_000_000_000

// readTime reads a Unix time in seconds or milliseconds, written as digits in a string or as a number. It reports false for
// anything else; nothing hangs on a client's clock.
func readTime(raw json.RawMessage) (time.Time, bool) {
	n, err := strconv.ParseInt(unquote(raw), 10, 64)
	switch {
	case err != nil || n < 0 || n > 1e15:
		return time.Time{}, false
	case n >= millisecondsFrom:
		return time.UnixMilli(n), true
	}
	return time.Unix(n, 0), true
}

// readRate reads what a quality report measures: a number, or a string that holds one; NaN, -1 and null are no measurement.
func readRate(raw json.RawMessage) (v float64, ok bool) {
	n, err := strconv.ParseFloat(unquote(raw), 64)
	return n, err == nil && n >= 0 && n <= 1e12
}

// pair is one member of a JSON object.
type pair struct {
	key   string
	value json.RawMessage
}

// membersMost bounds the members of a client's object.
const membersMost = 64

var errObject = errors.New("roomserver: not one JSON object")

// readObject reads one JSON object in UTF-8. A key that comes twice, whatever its case, is an error (hardening HN2).
func readObject(text []byte) ([]pair, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, errObject
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errObject
	}
	var list []pair
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok || len(list) == membersMost || len(key) > maxText {
			return nil, errObject
		}
		for _, m := range list {
			if strings.EqualFold(m.key, key) {
				return nil, errObject
			}
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, errObject
		}
		list = append(list, pair{key, raw})
	}
	return list, nil
}

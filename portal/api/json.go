package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
)

// strictJSON reads JSON in which no name stands twice in an object (hardening HN2), and nothing behind it.
var strictJSON = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error {
		if err := checkJSON(data); err != nil {
			return err
		}
		if err := json.Unmarshal(data, v); err != nil {
			return errJSON // the library's error may show what it read
		}
		return nil
	},
}

const mostDepth = 8

var (
	errJSON  = errors.New("this is not JSON, or not of the right types")
	errTwice = errors.New("a name stands twice in an object")
	errDeep  = errors.New("this is nested too deeply")
)

func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return errJSON
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errJSON
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return errJSON
	}
	opening, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == mostDepth {
		return errDeep
	}
	var seen map[string]bool
	if opening == '{' {
		seen = make(map[string]bool)
	}
	for dec.More() {
		if seen != nil {
			name, err := dec.Token()
			if err != nil {
				return errJSON
			}
			if seen[name.(string)] { // the decoder has seen to it that it is a string
				return errTwice
			}
			seen[name.(string)] = true
		}
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return errJSON
	}
	return nil
}

// tame reports that a name of a room, tenant or account holds nothing that means more than itself somewhere else: in a path, in
// markup, in a query. Letters and digits of all scripts and "-._~+!" are; a space is, written as %20, as the Jitsi client does.
// The rooms' own rules come on top.
func tame(name string) bool {
	name = strings.ReplaceAll(name, "%20", "-")
	if name == "" || len(name) > 1023 || !utf8.ValidString(name) || name[0] == '.' || strings.Contains(name, "..") {
		return false
	}
	for _, c := range name {
		if !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-._~+!", c) {
			return false
		}
	}
	return true
}

// plain reports that a text for people has no control characters and no characters that reverse the direction of others.
func plain(text string) bool {
	for _, c := range text {
		if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == utf8.RuneError {
			return false
		}
	}
	return true
}

func newRoute() *chi.Context { return chi.NewRouteContext() }

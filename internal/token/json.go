package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

const maxDepth = 16 // objects and arrays inside one another

var (
	errDepth  = errors.New("nested too deeply")
	errSyntax = errors.New("not JSON")

	errTooMany = errors.New("too many features")
)

// object is a JSON object in which no name stands twice.
type object map[string]any

// parseObject reads a JSON object strictly: valid UTF-8, nothing behind it, no member twice in any object (RFC 8259 §4
// leaves that open, and two readers that differ about it are an attack), no more than maxDepth levels. Values are
// object, []any, string, json.Number, bool or nil.
func parseObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, errSyntax
	}
	// The scanner below recurses, and so does the standard library up to 10,000 levels: count brackets first.
	if err := checkDepth(data); err != nil {
		return nil, err
	}
	if !json.Valid(data) {
		return nil, errSyntax
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := readValue(dec)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, errSyntax
	}
	return o, nil
}

// checkDepth bounds the nesting without building anything. On text that is not JSON its answer means nothing, but it
// never lets more levels pass than there are.
func checkDepth(data []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return errDepth
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

func readValue(dec *json.Decoder) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, errSyntax
	}
	switch t {
	case json.Delim('{'):
		o := object{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, errSyntax
			}
			key, ok := name.(string)
			if !ok {
				return nil, errSyntax
			}
			if _, twice := o[key]; twice {
				return nil, fmt.Errorf("member %.32q stands twice", key)
			}
			if o[key], err = readValue(dec); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := readValue(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	return t, nil
}

// text returns a member that must be a string of at most longest bytes, fit to stand in XML and in a log line; "" if
// there is none.
func (o object) text(name string, longest int) (string, error) {
	v, ok := o[name]
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return s, checkText(name, s, longest)
}

func checkText(name, s string, longest int) error {
	if len(s) > longest {
		return fmt.Errorf("%s is longer than %d bytes", name, longest)
	}
	for _, c := range s {
		if c < ' ' || c >= 0x7F && c < 0xA0 || c == 0xFFFE || c == 0xFFFF {
			return fmt.Errorf("%s holds a control character", name)
		}
	}
	return nil
}

// flag returns a member that must be true, false, "true" or "false"; false if there is none.
func (o object) flag(name string) (bool, error) {
	switch v := o[name].(type) {
	case bool:
		return v, nil
	case string:
		if v == "true" || v == "false" {
			return v == "true", nil
		}
	case nil:
		if _, null := o[name]; !null {
			return false, nil
		}
	}
	return false, fmt.Errorf("%s is not a boolean", name)
}

// child returns a member that must be an object; nil if there is none.
func (o object) child(name string) (object, error) {
	v, ok := o[name]
	if !ok {
		return nil, nil
	}
	c, ok := v.(object)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", name)
	}
	return c, nil
}

// date returns a member that must be a NumericDate (RFC 7519 §2), and whether it is there.
func (o object) date(name string) (t time.Time, ok bool, err error) {
	v, ok := o[name]
	if !ok {
		return time.Time{}, false, nil
	}
	n, isNumber := v.(json.Number)
	if !isNumber {
		return time.Time{}, true, fmt.Errorf("%s is not a number", name)
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || f < 0 || f >= 1<<38 { // the year 10680
		return time.Time{}, true, fmt.Errorf("%s is not a time", name)
	}
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(part*1e9)), true, nil
}

package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Error is one fault of a file.
type Error struct {
	File string
	Line int // from 1; 0 if it is not known
	Key  string
	Text string
}

func (e *Error) Error() string {
	at := e.File
	if e.Line > 0 {
		at += ":" + strconv.Itoa(e.Line)
	}
	if e.Key != "" {
		at += ": " + e.Key
	}
	return at + ": " + e.Text
}

// Parse reads a configuration over the defaults. The error holds every fault, each with its line and key.
func Parse(name string, text []byte) (Config, error) {
	c := Default()
	var tree map[string]any
	if _, err := toml.Decode(string(text), &tree); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return Config{}, &Error{name, pe.Position.Line, pe.LastKey, pe.Message}
		}
		return Config{}, &Error{File: name, Text: err.Error()}
	}
	p := &parser{file: name, lines: lines(string(text))}
	p.table("", tree, reflect.ValueOf(&c).Elem())
	slices.SortStableFunc(p.errs, func(a, b *Error) int { return a.Line - b.Line })
	if len(p.errs) > 0 {
		var errs []error
		for _, e := range p.errs {
			errs = append(errs, e)
		}
		return Config{}, errors.Join(errs...)
	}
	return c, nil
}

type parser struct {
	file  string
	lines map[string]int
	errs  []*Error
}

func (p *parser) fail(key, format string, args ...any) {
	line := 0
	for k := key; line == 0 && k != ""; k = k[:max(strings.LastIndexAny(k, ".["), 0)] {
		line = p.lines[k]
	}
	p.errs = append(p.errs, &Error{p.file, line, key, fmt.Sprintf(format, args...)})
}

// table sets the fields of a struct.
func (p *parser) table(path string, tree map[string]any, v reflect.Value) {
	known := make(map[string]reflect.Value)
	for f := range fields(path, v.Type()) {
		known[f.key] = v.FieldByIndex(f.Index)
	}
	for key, value := range tree {
		full := join(path, key)
		field, ok := known[key]
		if !ok {
			p.fail(full, "unknown key%s", suggestion(key, known))
			continue
		}
		p.set(full, value, field)
	}
}

// set sets one value.
func (p *parser) set(key string, value any, v reflect.Value) {
	if c, ok := textual(v.Type()); ok {
		s, ok := value.(string)
		if !ok {
			p.fail(key, "must be text in quotes, like %q", c.format(reflect.Zero(v.Type()).Interface()))
			return
		}
		parsed, err := c.parse(s)
		if err != nil {
			p.fail(key, "%v", err)
			return
		}
		v.Set(reflect.ValueOf(parsed))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if tree, ok := value.(map[string]any); ok {
			p.table(key, tree, v)
		} else {
			p.fail(key, "must be a table, [%s]", key)
		}
	case reflect.Slice:
		p.list(key, value, v)
	case reflect.String:
		if s, ok := value.(string); ok {
			v.SetString(s)
		} else {
			p.fail(key, "must be text in quotes")
		}
	case reflect.Bool:
		if b, ok := value.(bool); ok {
			v.SetBool(b)
		} else {
			p.fail(key, "must be true or false")
		}
	case reflect.Int, reflect.Int64, reflect.Int32:
		if n, ok := value.(int64); ok && n >= 0 && !v.OverflowInt(n) {
			v.SetInt(n)
		} else {
			p.fail(key, "must be a whole number, not negative")
		}
	case reflect.Uint, reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		if n, ok := value.(int64); ok && n >= 0 && !v.OverflowUint(uint64(n)) {
			v.SetUint(uint64(n))
		} else {
			p.fail(key, "must be a whole number, not negative")
		}
	case reflect.Float64:
		switch n := value.(type) {
		case int64:
			v.SetFloat(float64(n))
		case float64:
			if math.IsNaN(n) || math.IsInf(n, 0) {
				p.fail(key, "must be a number")
			}
			v.SetFloat(n)
		default:
			p.fail(key, "must be a number")
		}
	default:
		panic("config: " + key + " has a type that cannot be configured: " + v.Type().String())
	}
}

// list replaces a list as a whole.
func (p *parser) list(key string, value any, v reflect.Value) {
	var items []any
	switch list := value.(type) {
	case []any:
		items = list
	case []map[string]any:
		for _, m := range list {
			items = append(items, m)
		}
	default:
		p.fail(key, "must be a list in brackets")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		p.set(fmt.Sprintf("%s[%d]", key, i), item, out.Index(i))
	}
	v.Set(out)
}

// suggestion finds the known key that was probably meant.
func suggestion(key string, known map[string]reflect.Value) string {
	best, distance := "", 4
	for k := range known {
		if d := edits(key, k); d < distance || d == distance && k < best {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return ", perhaps " + best + " is meant"
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

package config

import (
	"iter"
	"reflect"
	"strings"
	"unicode"
)

// field is one that a file may set.
type field struct {
	reflect.StructField
	key string
}

// fields yields the fields of a struct that stands at a path. Those tagged kong:"-" or toml:"-" are set by the program.
func fields(path string, t reflect.Type) iter.Seq[field] {
	return func(yield func(field) bool) {
		for f := range t.Fields() {
			key := snake(f.Name)
			if !f.IsExported() || f.Tag.Get("kong") == "-" || f.Tag.Get("toml") == "-" || derived[join(path, key)] {
				continue
			}
			if !yield(field{f, key}) {
				return
			}
		}
	}
}

// snake turns a field name into a key: OpenPerSource is open_per_source, KeyIDs key_ids, HTTPProxy http_proxy.
func snake(name string) string {
	r := []rune(strings.ReplaceAll(name, "IDs", "Ids"))
	var b strings.Builder
	for i, c := range r {
		upper := unicode.IsUpper(c)
		if i > 0 && upper && (unicode.IsLower(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1]) && !unicode.IsDigit(r[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

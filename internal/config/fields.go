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
	key   string
	owner string // name of the struct's type
}

// meanings are of fields whose type has no help tags, or whose default is another one here.
var meanings = map[string]string{
	"Budget.XML":              "the form of what is sent",
	"Budget.Bytes":            "bytes on the wire",
	"Budget.Stanzas":          "stanzas",
	"Limits.Size":             "bytes of one stanza",
	"Limits.Depth":            "elements inside one another",
	"Limits.Children":         "child elements of one element",
	"Limits.Attrs":            "attributes of one element, namespace declarations included",
	"Limits.Decls":            "namespace declarations of one element",
	"Limits.Name":             "bytes of a name",
	"Limits.Value":            "bytes of an attribute's value",
	"Limits.Text":             "bytes of an uninterrupted text; 0: as many as the stanza may have",
	"Config.HandshakeTimeout": "time for the TLS handshake",
	"Limits.Create":           "who may create rooms: anyone, accounts (and tokens), moderators (by token); empty: anyone while the domain is localhost, else accounts",
}

// help says what the field means.
func (f field) help() string {
	if m := meanings[f.owner+"."+f.Name]; m != "" {
		return m
	}
	return f.Tag.Get("help")
}

// fields yields the fields of a struct that stands at a path. Those tagged kong:"-" or toml:"-" are set by the program.
func fields(path string, t reflect.Type) iter.Seq[field] {
	return func(yield func(field) bool) {
		for f := range t.Fields() {
			key := snake(f.Name)
			if !f.IsExported() || f.Tag.Get("kong") == "-" || f.Tag.Get("toml") == "-" || derived[join(path, key)] {
				continue
			}
			if !yield(field{f, key, t.Name()}) {
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

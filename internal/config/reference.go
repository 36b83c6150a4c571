package config

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// Reference is a file that holds every key with its default and its meaning. It parses, and means the same as no file.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Configuration of Parley. Every key stands here with its default; a file needs only those that differ.\n" +
		"# Durations are text like \"90s\" or \"1h30m\"; rates like \"20/s burst 100\" or \"128KiB/s burst 512KiB\".\n")
	write(&b, Default(), true)
	return b.String()
}

// Write writes a configuration as a file. Secrets are left out.
func Write(w io.Writer, c Config) error {
	var b strings.Builder
	write(&b, c, false)
	_, err := io.WriteString(w, b.String())
	return err
}

func write(b *strings.Builder, c Config, manual bool) {
	wr := &writer{b, manual}
	wr.table("", reflect.ValueOf(c))
}

type writer struct {
	*strings.Builder
	manual bool
}

// table writes the plain values of a struct and then its tables, as TOML wants it.
func (w *writer) table(path string, v reflect.Value) {
	for f := range fields(path, v.Type()) {
		if isTable(f.Type) {
			continue
		}
		w.comment(f)
		fmt.Fprintf(w, "%s = %s\n", f.key, w.value(f, v.FieldByIndex(f.Index)))
	}
	for f := range fields(path, v.Type()) {
		if !isTable(f.Type) {
			continue
		}
		full, value := join(path, f.key), v.FieldByIndex(f.Index)
		if f.Type.Kind() == reflect.Struct {
			w.WriteByte('\n')
			w.comment(f)
			fmt.Fprintf(w, "[%s]\n", full)
			w.table(full, value)
			continue
		}
		for i := range value.Len() {
			fmt.Fprintf(w, "\n[[%s]]\n", full)
			w.table(full, value.Index(i))
		}
		if w.manual && value.Len() == 0 {
			w.example(full, f)
		}
	}
}

// example shows a list of tables that is empty by default, commented out.
func (w *writer) example(full string, f field) {
	inner := &writer{new(strings.Builder), true}
	inner.comment(f)
	fmt.Fprintf(inner, "[[%s]]\n", full)
	inner.table(full, reflect.Zero(f.Type.Elem()))
	w.WriteByte('\n')
	for line := range strings.Lines(strings.TrimRight(inner.String(), "\n") + "\n") {
		if strings.HasPrefix(line, "# ") {
			w.WriteString(line)
		} else {
			w.WriteString("#" + line)
		}
	}
}

func isTable(t reflect.Type) bool {
	if _, ok := textual(t); ok {
		return false
	}
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Slice && isTable(t.Elem())
}

// comment writes what the help tag says.
func (w *writer) comment(f field) {
	help := f.help()
	if !w.manual || help == "" {
		return
	}
	const width = 110
	line := "#"
	for word := range strings.FieldsSeq(help) {
		if len(line)+1+len(word) > width {
			fmt.Fprintln(w, line)
			line = "#"
		}
		line += " " + word
	}
	fmt.Fprintln(w, line)
}

// secret reports that a key holds what nobody should read.
func secret(key string) bool {
	return strings.Contains(key, "secret") || key == "password" || key == "credential" || key == "store"
}

func (w *writer) value(f field, v reflect.Value) string {
	switch {
	case w.manual || !secret(f.key):
	case v.Kind() == reflect.Slice && v.Len() > 0:
		return `["hidden"]`
	case v.Kind() == reflect.String && v.Len() > 0:
		return `"hidden"`
	}
	return literal(v)
}

func literal(v reflect.Value) string {
	if c, ok := textual(v.Type()); ok {
		return quote(c.format(v.Interface()))
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, literal(v.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Float64:
		s := strconv.FormatFloat(v.Float(), 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s
	}
	return fmt.Sprint(v.Interface())
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7F:
			fmt.Fprintf(&b, "\\u%04X", c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

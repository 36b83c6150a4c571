package prosody

import (
	"reflect"
	"strings"
	"testing"

	"parley/internal/transfer"
)

func TestParse(t *testing.T) {
	keyed := func(pairs ...any) *table {
		t := &table{keyed: make(map[any]any)}
		for i := 0; i < len(pairs); i += 2 {
			t.keyed[pairs[i]] = pairs[i+1]
		}
		return t
	}
	for text, want := range map[string][]any{
		"":                                  nil,
		"return {};\n":                      {keyed()},
		`return { ["a"] = 1; b = true, };`:  {keyed("a", 1.0, "b", true)},
		`return {[false]={["x"]="y"}}`:      {keyed(false, keyed("x", "y"))},
		`return "a\"\\\195\182\n\009\1z";`:  {"a\"\\ö\n\t\x01z"},
		"return 'it''s'":                    nil, // an error
		"item({ 'a'; \"b\" });\nitem(-1.5)": {&table{keyed: map[any]any{}, list: []any{"a", "b"}}, -1.5},
		"return nil":                        {nil},
		"return 0x10":                       {16.0},
		"-- made by hand\nreturn true":      {true},
	} {
		got, err := parse(text)
		if bad := text == "return 'it''s'"; bad != (err != nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v %v, want %v", text, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"return", "return {", "return {1 2}", "return {[{}]=1}", "return {[nil]=1}", "return os.execute('true')", "os.exit()", "return 1 return 2", "return function() end",
		"item(1", "item 1", `return "`, `return "\`, `return "\300"`, `return "\q"`, "return --[[ x ]] 1", "return {a=}", "return 1e", "returned {}",
		"return " + strings.Repeat("{", 200) + strings.Repeat("}", 200),
	} {
		if got, err := parse(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"return {\n\t[\"password\"] = \"pa\\\"ss\\\\w\\195\\182rd<1>\";\n};\n",
		"return {\n\t[false] = {\n\t\t[\"pending\"] = {};\n\t\t[\"version\"] = 7;\n\t};\n\t[\"bob@old.test\"] = {\n\t\t[\"groups\"] = {\n\t\t\t[\"Friends\"] = true;\n\t\t};\n\t};\n};\n",
		"item({\n\t{\n\t\t\"when you are <back>\";\n\t\t[\"attr\"] = {};\n\t\t[\"name\"] = \"body\";\n\t};\n\t[\"attr\"] = {\n\t\t[\"xml:lang\"] = \"en\";\n\t};\n\t[\"name\"] = \"message\";\n\t[\"when\"] = 1795326851;\n});\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parse(text)
		if err != nil {
			return
		}
		for _, v := range values {
			if e, ok := v.(*table); ok {
				r := &reader{domain: "a.example", dump: new(transfer.Dump)}
				r.element(e, "", "x")
			}
		}
	})
}

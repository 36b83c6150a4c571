package form

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"parley/xmpp/wire"
)

const purpose = "urn:example:purpose"

func parse(t testing.TB, s string) wire.Elem {
	t.Helper()
	scan := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scan.Next([]byte("<message>" + s + "</message>"))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return p.Clone().Elem().Child("x", NS)
}

func submitted(fields string) string { return "<x xmlns='" + NS + "' type='submit'>" + fields + "</x>" }

func TestRead(t *testing.T) {
	typed := "<field var='FORM_TYPE'><value>" + purpose + "</value></field>"
	for _, c := range []struct {
		name, fields string
		want         Answers // nil: refused
	}{
		{"typed", typed + "<field var='a'><value>1</value></field>", Answers{"FORM_TYPE": {purpose}, "a": {"1"}}},
		{"of an old client", "<field var='a'><value>1</value><value>2</value></field>", Answers{"a": {"1", "2"}}},
		{"for something else", "<field var='FORM_TYPE'><value>urn:other</value></field>", nil},
		{"for two things", typed + typed, nil},
		{"a field in two parts", "<field var='a'><value>1</value></field><field var='a'><value>2</value></field>", Answers{"a": {"1", "2"}}},
		{"empty", "", Answers{}},
		{"a foreign element", "<field xmlns='u' var='a'><value>1</value></field>", Answers{}},
		{"escaped", "<field var='a'><value>&lt;&amp;</value></field>", Answers{"a": {"<&"}}},
	} {
		got, ok := Read(parse(t, submitted(c.fields)), purpose)
		if ok != (c.want != nil) || ok && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v %v, want %v", c.name, got, ok, c.want)
		}
	}
}

// TestHX3FormsAreBounded: neither fields nor values without end.
func TestHX3FormsAreBounded(t *testing.T) {
	var fields, values strings.Builder
	for i := range MostFields + 2 {
		fmt.Fprintf(&fields, "<field var='f%d'/>", i)
	}
	for range MostValues + 1 {
		values.WriteString("<value>1</value>")
	}
	for _, s := range []string{fields.String(), "<field var='a'>" + values.String() + "</field>"} {
		raw := []byte(submitted(s))
		if _, ok := Read(wire.ParseElem(raw), purpose); ok {
			t.Errorf("a form of %d bytes is read", len(raw))
		}
	}
}

func TestFlag(t *testing.T) {
	for _, c := range []struct {
		values []string
		on, ok bool
	}{{[]string{"1"}, true, true}, {[]string{"true"}, true, true}, {[]string{"0"}, false, true}, {nil, false, true}, {[]string{"yes"}, true, false}, {[]string{"1", "1"}, true, false}} {
		on := true
		if ok := (Answers{"a": c.values}).Flag("a", &on); ok != c.ok || ok && on != c.on {
			t.Errorf("%q is %v %v", c.values, on, ok)
		}
	}
	on := true
	if !(Answers{}).Flag("a", &on) || !on {
		t.Error("an absent field changes something")
	}
}

// What is written reads back.
func TestSheet(t *testing.T) {
	s := New(nil, "form", purpose)
	s.Words("title", "a<b")
	s.Field("text", "text-single", "It's", "<x>")
	s.Required("must", "jid-single", "")
	s.Flag("flag", "on?", true)
	s.Number("n", "", "", 42)
	s.Choice("one", "list-single", "", []string{"b"}, []string{"a", "b"})
	x := parse(t, string(s.End()))
	got, ok := Read(x, purpose)
	want := Answers{"FORM_TYPE": {purpose}, "text": {"<x>"}, "must": nil, "flag": {"1"}, "n": {"42"}, "one": {"b"}}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !strings.Contains(string(x.Raw()), "<field var='must' type='jid-single'><required/></field>") {
		t.Errorf("%s", x.Raw())
	}
}

func FuzzRead(f *testing.F) {
	f.Add(submitted("<field var='FORM_TYPE'><value>" + purpose + "</value></field><field var='muc#roomconfig_roomname'><value>A Dark Cave</value></field>"))
	f.Add(submitted("<field var='accountjids'><value>juliet@shakespeare.lit</value><value/></field>"))
	f.Add("<x xmlns='jabber:x:data'/>")
	f.Fuzz(func(t *testing.T, s string) {
		scan := wire.Scanner{Limits: wire.AfterAuth}
		_, p, err := scan.Next([]byte("<message>" + s + "</message>"))
		if err != nil {
			return
		}
		a, ok := Read(p.Elem().Child("x", NS), purpose)
		if !ok {
			return
		}
		sheet := New(nil, "submit", purpose)
		values := 0
		for name, v := range a {
			values += len(v)
			if name != TypeField {
				sheet.Field(name, "", "", v...)
			}
		}
		if len(a) > MostFields+1 || values > MostValues {
			t.Fatalf("%d fields, %d values", len(a), values)
		}
		again, ok := Read(wire.ParseElem(sheet.End()), purpose)
		delete(a, TypeField)
		delete(again, TypeField)
		for name, v := range a {
			if !ok || strings.Join(again[name], "\x00") != strings.Join(v, "\x00") {
				t.Fatalf("%q: %q, again %q", name, v, again[name])
			}
		}
	})
}

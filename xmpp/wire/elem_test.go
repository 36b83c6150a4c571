package wire

import "testing"

// TestAbsentElement: whoever walks to a child that is not there gets nothing, at every question.
func TestAbsentElement(t *testing.T) {
	e := ParseElem([]byte("<a/>")).Child("b", "")
	if e.Ok() || e.Is("b", "") || e.Is("", "") || e.NS() != nil || e.Local() != nil || e.Text() != "" || e.AttrString("x") != "" || e.First().Ok() || e.Child("c", "").Ok() {
		t.Error("an absent element answers")
	}
	if _, ok := e.Attr("x"); ok {
		t.Error("an absent element has an attribute")
	}
	if it := e.Children(); it.Next() {
		t.Error("an absent element has a child")
	}
}

// However deep an element is, it has the namespace of the ancestor that declares one.
func TestNamespaceOfFarAncestors(t *testing.T) {
	for _, raw := range []string{
		"<iq><a xmlns='one'><b><c><d><e><f><g/></f></e></d></c></b></a></iq>",
		"<iq><p:a xmlns:p='one'><p:b><p:c><d><p:e><p:f><p:g/></p:f></p:e></d></p:c></p:b></p:a></iq>",
		"<iq><a xmlns='two'><b xmlns='one'><c><d x:y='' xmlns:x='three'><e><f><g/></f></e></d></c></b></a></iq>",
	} {
		e := ParseElem([]byte(raw))
		for range 7 {
			it := e.Children()
			if !it.Next() {
				t.Fatalf("no child of %s", e.Raw())
			}
			e = it.Elem
		}
		if !e.Is("g", "one") {
			t.Errorf("%s is of %q in %s", e.Raw(), e.NS(), raw)
		}
	}
}

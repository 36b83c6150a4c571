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

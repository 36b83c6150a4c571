package transcript

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
)

// node is an element as it is compared.
type node struct {
	name     xml.Name
	attrs    map[string]string // by name, with the namespace in braces if there is one
	children []*node
	text     string
	raw      string // as it was written; of stanzas only
}

// parseNodes reads elements that follow one another.
func parseNodes(s string) (list []*node, err error) {
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		from := d.InputOffset()
		tok, err := d.Token()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			n, err := parseNode(d, tok)
			if err != nil {
				return nil, err
			}
			n.raw = s[from:d.InputOffset()]
			list = append(list, n)
		case xml.CharData:
			if strings.TrimSpace(string(tok)) != "" {
				return nil, errors.New("text between stanzas")
			}
		}
	}
}

func parseNode(d *xml.Decoder, start xml.StartElement) (*node, error) {
	n := &node{name: start.Name, attrs: make(map[string]string)}
	if n.name.Space == "jabber:client" {
		n.name.Space = ""
	}
	for _, a := range start.Attr {
		switch {
		case a.Name.Space == "xmlns" || a.Name.Local == "xmlns":
		case a.Name.Space != "":
			n.attrs["{"+a.Name.Space+"}"+a.Name.Local] = a.Value
		default:
			n.attrs[a.Name.Local] = a.Value
		}
	}
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			c, err := parseNode(d, tok)
			if err != nil {
				return nil, err
			}
			n.children = append(n.children, c)
		case xml.CharData:
			n.text += string(tok)
		case xml.EndElement:
			n.text = strings.TrimSpace(n.text)
			return n, nil
		}
	}
}

const (
	anything = "*"
	nothing  = "!"
)

// match says how what was got differs from what is wanted; nil if it does not.
func match(want, got *node, expand func(string) string) error {
	if want.name != got.name {
		return fmt.Errorf("<%s xmlns='%s'> is not <%s xmlns='%s'>", got.name.Local, got.name.Space, want.name.Local, want.name.Space)
	}
	in := func(format string, args ...any) error {
		return fmt.Errorf("<%s>: %s", want.name.Local, fmt.Sprintf(format, args...))
	}
	for name, value := range want.attrs {
		has, ok := got.attrs[name]
		switch value = expand(value); {
		case value == nothing && ok:
			return in("there is %s='%s'", name, has)
		case value == nothing, value == anything && ok:
		case !ok:
			return in("%s is missing", name)
		case has != value:
			return in("%s='%s' is not '%s'", name, has, value)
		}
	}
	switch text := expand(want.text); {
	case text == "", text == anything && got.text != "":
	case text != got.text:
		return in("text %q is not %q", got.text, text)
	}
	if want.name.Local == "x" {
		if w, g := codes(want), codes(got); !slices.Equal(w, g) {
			return in("status codes %v are not %v", g, w)
		}
	}
	return matchChildren(want, got, expand, in)
}

func matchChildren(want, got *node, expand func(string) string, in func(string, ...any) error) error {
	used := make([]bool, len(got.children))
next:
	for _, w := range want.children {
		var why error
		for i, g := range got.children {
			if w.name != g.name || used[i] {
				continue
			}
			if w.text == nothing {
				return in("there is <%s>", g.name.Local)
			}
			if err := match(w, g, expand); err != nil {
				why = err
				continue
			}
			used[i] = true
			continue next
		}
		switch {
		case w.text == nothing:
		case why != nil:
			return in("%v", why)
		default:
			return in("<%s xmlns='%s'> is missing", w.name.Local, w.name.Space)
		}
	}
	return nil
}

// codes returns the status codes in an element.
func codes(n *node) (list []string) {
	for _, c := range n.children {
		if c.name.Local == "status" {
			list = append(list, c.attrs["code"])
		}
	}
	sort.Strings(list)
	return list
}

package wire

import "bytes"

// attr is one attribute of the start tag in hand.
type attr struct {
	name, value span
	colon       int32 // position of the name's colon, 0 if none
}

// tag is what is known of a start tag while its bytes come in, so that none is looked at again and again.
type tag struct {
	begun    bool
	element  span
	colon    int32 // of the element's name, 0 if none
	decls    int   // declarations in scope outside of the tag
	prefixed bool  // a name in it has a prefix
	next     int   // where the next attribute is expected
	value    attr  // the attribute whose value is in hand: value.from is set, value.to not yet
	quote    byte  // its quote, 0 if no value is in hand
}

// startTag checks the start or empty-element tag at s.pos, moves behind it and reports that it was a whole top-level
// element.
func (s *Scanner) startTag(b []byte) (done bool, err error) {
	t := &s.tag
	if !t.begun {
		if err := s.beginTag(b); err != nil {
			return false, err
		}
	}
	p, empty := t.next, false
	for {
		if t.quote == 0 {
			space := p
			if p = skipSpace(b, p); p > space {
				t.next = p - 1 // one is enough to show that there was any
			}
			if p == len(b) {
				return false, ErrIncomplete
			}
			if b[p] == '>' {
				p++
				break
			}
			if b[p] == '/' {
				if p+1 == len(b) {
					return false, ErrIncomplete
				}
				if b[p+1] != '>' {
					return false, ErrMalformed
				}
				p, empty = p+2, true
				break
			}
			if space == p {
				return false, ErrMalformed // no space between attributes
			}
			if p, err = s.attrName(b, p); err != nil {
				return false, err
			}
		}
		if p, err = s.attrValue(b, p); err != nil {
			return false, err
		}
		if err := s.addAttr(b, t.value); err != nil {
			return false, err
		}
		t.prefixed = t.prefixed || t.value.colon > 0 && !isDecl(b, t.value)
		t.quote, t.next = 0, p
	}
	if t.prefixed {
		if err := s.checkPrefixes(b, t.element, t.colon); err != nil {
			return false, err
		}
	}
	return s.enter(b, p, empty), nil
}

// beginTag checks the element's name.
func (s *Scanner) beginTag(b []byte) error {
	depth := len(s.stack)
	if depth >= s.Limits.Depth {
		return ErrDepth
	}
	if depth > 0 && s.Limits.Children > 0 && int(s.stack[depth-1].children) >= s.Limits.Children {
		return ErrChildren
	}
	p, colon, err := s.name(b, s.pos+1)
	if err != nil {
		return err
	}
	s.attrs = s.attrs[:0]
	s.tag = tag{
		begun: true, element: span{int32(s.pos + 1), int32(p)}, colon: int32(colon),
		decls: len(s.decls), prefixed: colon > 0, next: p,
	}
	return nil
}

// enter takes the tag that ends before p as complete.
func (s *Scanner) enter(b []byte, p int, empty bool) (done bool) {
	t := &s.tag
	depth := len(s.stack)
	if depth == 0 {
		s.packet.name, s.packet.innerStart = t.element, int32(p)
		s.packet.Kind = kindOf(t.element.of(b))
	} else {
		s.stack[depth-1].children++
		if depth == 1 && s.packet.child.from == 0 {
			s.packet.child, s.packet.childNS = t.element, s.namespace(b, t.element, t.colon)
		}
	}
	s.pos, t.begun = p, false
	if empty {
		s.decls = s.decls[:t.decls]
		return depth == 0
	}
	s.stack = append(s.stack, open{name: t.element, decls: int16(len(s.decls) - t.decls)})
	return false
}

func skipSpace(b []byte, p int) int {
	for p < len(b) && class[b[p]]&isSpace != 0 {
		p++
	}
	return p
}

// name checks a name, with one prefix at the most (Namespaces in XML §4); colon is 0 if it has none.
func (s *Scanner) name(b []byte, p int) (end, colon int, err error) {
	from := p
	for ; p < len(b); p++ {
		c := b[p]
		if p == from || colon > 0 && p == colon+1 {
			if class[c]&atStart == 0 {
				return 0, 0, ErrMalformed
			}
			continue
		}
		switch {
		case class[c]&inName != 0:
			if s.Limits.Name > 0 && p-from >= s.Limits.Name {
				return 0, 0, ErrName
			}
		case c == ':' && colon == 0:
			colon = p
		case c == ':' || c >= 0x80:
			return 0, 0, ErrMalformed
		default:
			return p, colon, nil
		}
	}
	return 0, 0, ErrIncomplete
}

// attrName checks `name = "` at p, puts the value in hand and returns the position behind the quote.
func (s *Scanner) attrName(b []byte, p int) (int, error) {
	from := p
	p, colon, err := s.name(b, p)
	if err != nil {
		return 0, err
	}
	name := span{int32(from), int32(p)}
	if p = skipSpace(b, p); p-int(name.to) > slack {
		return 0, ErrMalformed
	}
	if p == len(b) {
		return 0, ErrIncomplete
	}
	if b[p] != '=' {
		return 0, ErrMalformed
	}
	from = p + 1
	if p = skipSpace(b, from); p-from > slack {
		return 0, ErrMalformed
	}
	if p == len(b) {
		return 0, ErrIncomplete
	}
	if b[p] != '\'' && b[p] != '"' {
		return 0, ErrMalformed
	}
	s.tag.quote = b[p]
	s.tag.value = attr{name: name, colon: int32(colon), value: span{from: int32(p + 1)}}
	return p + 1, nil
}

// attrValue goes on with the value in hand at p and returns the position behind its closing quote.
func (s *Scanner) attrValue(b []byte, p int) (int, error) {
	t := &s.tag
	for {
		for p < len(b) && class[b[p]]&inValue != 0 {
			p++
		}
		if s.Limits.Value > 0 && p-int(t.value.value.from) > s.Limits.Value {
			return 0, ErrValue
		}
		t.next = p
		if p == len(b) {
			return 0, ErrIncomplete
		}
		switch b[p] {
		case t.quote:
			t.value.value.to = int32(p)
			return p + 1, nil
		case '\'', '"':
			p++
		default:
			n, err := special(b, p)
			if err != nil {
				return 0, err
			}
			p += n
		}
	}
}

// addAttr notes an attribute: refuses a double, enters a declaration, remembers the stanza's own fields.
func (s *Scanner) addAttr(b []byte, a attr) error {
	depth := len(s.stack)
	name, value := a.name.of(b), a.value.of(b)
	if s.Limits.Attrs > 0 && len(s.attrs) >= s.Limits.Attrs {
		return ErrAttrs
	}
	for _, other := range s.attrs {
		if bytes.Equal(other.name.of(b), name) {
			return ErrMalformed
		}
	}
	s.attrs = append(s.attrs, a)
	if isDecl(b, a) {
		var prefix span
		if a.colon > 0 {
			prefix = span{a.colon + 1, a.name.to}
		}
		if !mayDeclare(prefix.of(b), value) {
			return ErrMalformed
		}
		if s.Limits.Decls > 0 && len(s.decls)-s.tag.decls >= s.Limits.Decls {
			return ErrDecls
		}
		s.decls = append(s.decls, decl{prefix, a.value})
		if depth == 0 && a.colon == 0 {
			s.packet.ns = a.value
		}
		return nil
	}
	if depth == 0 && a.colon == 0 {
		switch string(name) {
		case "to":
			s.packet.to = a.value
		case "from":
			s.packet.from = a.value
		case "id":
			s.packet.id = a.value
		case "type":
			s.packet.typ = a.value
		}
	}
	return nil
}

// isDecl reports that the attribute declares a namespace.
func isDecl(b []byte, a attr) bool {
	if a.colon > 0 {
		return string(b[a.name.from:a.colon]) == "xmlns"
	}
	return string(a.name.of(b)) == "xmlns"
}

const (
	nsXML   = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS = "http://www.w3.org/2000/xmlns/"
)

// mayDeclare reports that a prefix (nil: the default namespace) may be bound to a namespace name. Beyond Namespaces in
// XML §3 it refuses names with references, white space or control characters: parsers that join name and local part
// with such a character would read them differently.
func mayDeclare(prefix, name []byte) bool {
	if prefix != nil && (len(name) == 0 || string(prefix) == "xml" || string(prefix) == "xmlns") {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c == '&' || c == 0x7F {
			return false
		}
	}
	return string(name) != nsXML && string(name) != nsXMLNS
}

// checkPrefixes refuses unbound prefixes and two attributes of one expanded name (Namespaces in XML §6.3).
func (s *Scanner) checkPrefixes(b []byte, name span, colon int32) error {
	if colon > 0 {
		prefix := b[name.from:colon]
		// The prefix of the stream's root (RFC 6120 §4.8.5) can only name a stream-level element: inside a stanza
		// it would be unbound for the receiver.
		root := len(s.stack) == 0 && (string(prefix) == "stream" || s.Root != "" && string(prefix) == s.Root)
		if _, ok := s.lookup(b, prefix); !ok && !root {
			return ErrPrefix
		}
	}
	for i, a := range s.attrs {
		if a.colon == 0 || isDecl(b, a) {
			continue
		}
		ns, ok := s.lookup(b, b[a.name.from:a.colon])
		if !ok {
			return ErrPrefix
		}
		for _, other := range s.attrs[:i] {
			if other.colon == 0 || isDecl(b, other) || !bytes.Equal(b[other.colon+1:other.name.to], b[a.colon+1:a.name.to]) {
				continue
			}
			if same, _ := s.lookup(b, b[other.name.from:other.colon]); bytes.Equal(same, ns) {
				return ErrMalformed
			}
		}
	}
	return nil
}

// lookup finds the namespace name that a prefix is bound to.
func (s *Scanner) lookup(b, prefix []byte) (ns []byte, ok bool) {
	for i := len(s.decls) - 1; i >= 0; i-- {
		if d := s.decls[i]; d.prefix.from > 0 && bytes.Equal(d.prefix.of(b), prefix) {
			return d.name.of(b), true
		}
	}
	if string(prefix) == "xml" {
		return []byte(nsXML), true
	}
	return nil, false
}

// namespace finds the span of the namespace name of the element in hand, absent where it inherits the stream's.
func (s *Scanner) namespace(b []byte, name span, colon int32) span {
	var prefix []byte
	if colon > 0 {
		prefix = b[name.from:colon]
	}
	for i := len(s.decls) - 1; i >= 0; i-- {
		if d := s.decls[i]; bytes.Equal(d.prefix.of(b), prefix) {
			return d.name
		}
	}
	return span{}
}

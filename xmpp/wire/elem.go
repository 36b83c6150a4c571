package wire

import "bytes"

// Elem is a cursor on an element inside bytes that a Scanner has accepted; on other bytes its methods may panic. It
// copies nothing. The zero Elem is no element.
type Elem struct {
	raw, head, inner []byte // the whole element, its start tag, its content
	outer            [4][]byte
	depth            int8 // how many of outer are set: start tags of the ancestors that declare a namespace, nearest last
}

// ParseElem returns a cursor on the first element in b, which must be validated bytes without an ancestor.
func ParseElem(b []byte) Elem {
	e, _ := nextElem(b)
	return e
}

// Ok reports that there is an element.
func (e Elem) Ok() bool { return e.raw != nil }

// Raw returns the element as it was written.
func (e Elem) Raw() []byte { return e.raw }

// Inner returns the bytes between the tags.
func (e Elem) Inner() []byte { return e.inner }

// Local returns the name without its prefix.
func (e Elem) Local() []byte {
	_, local := e.qname()
	return local
}

func (e Elem) qname() (prefix, local []byte) {
	if !e.Ok() {
		return nil, nil
	}
	end := 1
	for class[e.head[end]]&inName != 0 || e.head[end] == ':' {
		end++
	}
	name := e.head[1:end]
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return nil, name
}

// NS returns the element's namespace name, nil where it inherits the stream's.
func (e Elem) NS() []byte {
	if !e.Ok() {
		return nil
	}
	prefix, _ := e.qname()
	if ns, ok := declared(e.head, prefix); ok {
		return ns
	}
	for i := int(e.depth) - 1; i >= 0; i-- {
		if ns, ok := declared(e.outer[i], prefix); ok {
			return ns
		}
	}
	return nil
}

// Is reports that the element has this local name and namespace; ns "" stands for the stream's own namespace, also
// where it is written out as jabber:client.
func (e Elem) Is(local, ns string) bool {
	_, l := e.qname()
	if !e.Ok() || string(l) != local {
		return false
	}
	n := e.NS()
	return string(n) == ns || ns == "" && string(n) == NSClient || ns == NSClient && n == nil
}

// Attr returns the value of the attribute without prefix, as written, and whether it is there.
func (e Elem) Attr(name string) (value []byte, ok bool) {
	if !e.Ok() {
		return nil, false
	}
	for it := attrsOf(e.head); it.next(); {
		if string(it.name) == name {
			return it.value, true
		}
	}
	return nil, false
}

// AttrString returns the unescaped value of the attribute, "" if absent.
func (e Elem) AttrString(name string) string {
	v, _ := e.Attr(name)
	return UnescapeString(v)
}

// Text returns the unescaped character data directly inside the element.
func (e Elem) Text() string {
	if bytes.IndexByte(e.inner, '<') < 0 {
		return UnescapeString(e.inner)
	}
	var out []byte
	for b := e.inner; len(b) > 0; {
		switch {
		case b[0] != '<':
			i := bytes.IndexByte(b, '<')
			if i < 0 {
				i = len(b)
			}
			out = AppendUnescaped(out, b[:i])
			b = b[i:]
		case b[1] == '!':
			i := bytes.Index(b, []byte(cdataClose))
			out = append(out, b[len(cdataOpen):i]...)
			b = b[i+len(cdataClose):]
		default:
			_, b = nextElem(b)
		}
	}
	return string(out)
}

var xmlns = []byte("xmlns")

// Children walks the child elements:
//
//	for it := e.Children(); it.Next(); { it.Elem ... }
func (e Elem) Children() Children {
	it := Children{rest: e.inner, outer: e.outer, depth: e.depth}
	if !bytes.Contains(e.head, xmlns) {
		return it
	}
	if int(it.depth) == len(it.outer) {
		copy(it.outer[:], it.outer[1:])
		it.depth--
	}
	it.outer[it.depth] = e.head
	it.depth++
	return it
}

// Child returns the first child element of that name and namespace.
func (e Elem) Child(local, ns string) Elem {
	for it := e.Children(); it.Next(); {
		if it.Elem.Is(local, ns) {
			return it.Elem
		}
	}
	return Elem{}
}

// First returns the first child element, whatever it is.
func (e Elem) First() Elem {
	it := e.Children()
	it.Next()
	return it.Elem
}

// Children is an iterator over child elements.
type Children struct {
	Elem  Elem
	rest  []byte
	outer [4][]byte
	depth int8
}

// Next moves to the next child element and reports that there is one.
func (c *Children) Next() bool {
	c.Elem, c.rest = nextElem(c.rest)
	if !c.Elem.Ok() {
		return false
	}
	c.Elem.outer, c.Elem.depth = c.outer, c.depth
	return true
}

// nextElem finds the first element in b and what follows it.
func nextElem(b []byte) (e Elem, rest []byte) {
	for {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			return Elem{}, nil
		}
		b = b[i:]
		if b[1] != '!' {
			break
		}
		b = b[bytes.Index(b, []byte(cdataClose))+len(cdataClose):]
	}
	head := tagEnd(b)
	e.head = b[:head]
	if b[head-2] == '/' {
		e.raw = b[:head]
		return e, b[head:]
	}
	p, depth := head, 1
	for {
		p += bytes.IndexByte(b[p:], '<')
		switch b[p+1] {
		case '!':
			p += bytes.Index(b[p:], []byte(cdataClose)) + len(cdataClose)
		case '/':
			end := p
			p += bytes.IndexByte(b[p:], '>') + 1
			if depth--; depth == 0 {
				e.raw, e.inner = b[:p], b[head:end]
				return e, b[p:]
			}
		default:
			n := tagEnd(b[p:])
			if b[p+n-2] != '/' {
				depth++
			}
			p += n
		}
	}
}

// tagEnd returns the position behind the '>' of the start tag at the start of b.
func tagEnd(b []byte) int {
	for p := 1; ; p++ {
		switch c := b[p]; c {
		case '>':
			return p + 1
		case '\'', '"':
			p += 1 + bytes.IndexByte(b[p+1:], c)
		}
	}
}

// attrIter walks the attributes of a validated start tag.
type attrIter struct {
	name, value []byte
	whole       []byte // name, equals sign and quoted value as written
	rest        []byte
}

func attrsOf(head []byte) attrIter {
	p := 1
	for class[head[p]]&inName != 0 || head[p] == ':' {
		p++
	}
	return attrIter{rest: head[p:]}
}

func (a *attrIter) next() bool {
	p := skipSpace(a.rest, 0)
	if c := a.rest[p]; c == '>' || c == '/' {
		return false
	}
	from := p
	for class[a.rest[p]]&inName != 0 || a.rest[p] == ':' {
		p++
	}
	a.name = a.rest[from:p]
	p = skipSpace(a.rest, p)
	p = skipSpace(a.rest, p+1)
	n := bytes.IndexByte(a.rest[p+1:], a.rest[p])
	a.value = a.rest[p+1 : p+1+n]
	a.whole = a.rest[from : p+n+2]
	a.rest = a.rest[p+n+2:]
	return true
}

// declared finds what a start tag binds a prefix to; nil is the default namespace.
func declared(head, prefix []byte) (ns []byte, ok bool) {
	for it := attrsOf(head); it.next(); {
		if len(prefix) == 0 && string(it.name) == "xmlns" {
			return it.value, true
		}
		if len(prefix) > 0 && len(it.name) == len(prefix)+6 && string(it.name[:6]) == "xmlns:" && bytes.Equal(it.name[6:], prefix) {
			return it.value, true
		}
	}
	return nil, false
}

package wire

// Inheriting returns the stanza with each child element that names the content namespace ns itself, such as
// `<body xmlns='jabber:client'>`, taken back to inheriting it. The content namespace of a stream between servers is
// another one than that of a client's stream (RFC 6120 §4.8.3), so a child that means "the stream's" must not name it
// when it changes streams. Deeper elements are left alone: there the name is part of a payload, as in a forwarded
// message. The stanza was made of validated bytes.
func (s Stanza) Inheriting(ns string) Stanza {
	raw := append(AppendStart(nil, s.Kind, "", ""), s.Tail...)
	e := ParseElem(raw)
	if len(e.inner) == 0 {
		return s
	}
	dst := make([]byte, 0, len(s.Tail))
	dst = append(dst, e.head[1+len(s.Kind.String()):]...)
	rest := e.inner
	for {
		child, behind := nextElem(rest)
		if !child.Ok() {
			break
		}
		dst = append(dst, rest[:len(rest)-len(behind)-len(child.raw)]...) // text before it
		dst = child.appendInheriting(dst, ns)
		rest = behind
	}
	dst = append(dst, rest...)
	return Stanza{Kind: s.Kind, Tail: append(dst, raw[len(e.head)+len(e.inner):]...)}
}

// appendInheriting appends the element without its default namespace declaration, if that is ns.
func (e Elem) appendInheriting(dst []byte, ns string) []byte {
	for it := attrsOf(e.head); it.next(); {
		if string(it.name) == "xmlns" && string(it.value) == ns {
			end := len(e.head) - len(it.rest)
			dst = append(dst, e.head[:end-len(it.whole)-1]...) // with one of the spaces before it
			return append(dst, e.raw[end:]...)
		}
	}
	return append(dst, e.raw...)
}

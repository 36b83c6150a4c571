package wire

import "bytes"

// AppendOpen appends the element's start tag as it was written, without what ends it: ">" or "/>".
func (e Elem) AppendOpen(dst []byte) []byte {
	tag := bytes.TrimSuffix(e.head, []byte(">"))
	return append(dst, bytes.TrimSuffix(tag, []byte("/"))...)
}

// AppendClose appends the end tag that goes with the element's start tag.
func (e Elem) AppendClose(dst []byte) []byte {
	dst = append(dst, "</"...)
	if prefix, _ := e.qname(); len(prefix) > 0 {
		dst = append(append(dst, prefix...), ':')
	}
	return append(append(dst, e.Local()...), '>')
}

// AppendStandalone appends the element so that it means the same wherever it is put: its start tag gets the namespace
// declarations of its ancestors that it may need, the rest is as it was written. It knows the nearest four ancestors on the
// cursor's way; an element whose default namespace none of them declares is in the stream's.
func (e Elem) AppendStandalone(dst []byte) []byte {
	if !e.Ok() {
		return dst
	}
	name := 1
	for class[e.head[name]]&inName != 0 || e.head[name] == ':' {
		name++
	}
	dst = append(dst, e.head[:name]...)
	if _, ok := declared(e.head, nil); !ok {
		ns, found := e.inherited(nil)
		if !found {
			ns = []byte(NSClient)
		}
		dst = AppendRawAttr(dst, "xmlns", ns)
	}
	for i := int(e.depth) - 1; i >= 0; i-- {
		for it := attrsOf(e.outer[i]); it.next(); {
			prefix, ok := bytes.CutPrefix(it.name, []byte("xmlns:"))
			if ok && e.mentions(prefix) && !e.declaredBelow(i, prefix) {
				dst = append(append(dst, ' '), it.whole...)
			}
		}
	}
	return append(dst, e.raw[name:]...)
}

// inherited finds what the nearest ancestor binds a prefix to.
func (e Elem) inherited(prefix []byte) (ns []byte, ok bool) {
	for i := int(e.depth) - 1; i >= 0; i-- {
		if ns, ok := declared(e.outer[i], prefix); ok {
			return ns, true
		}
	}
	return nil, false
}

// declaredBelow reports that the element, or an ancestor nearer than i, binds the prefix.
func (e Elem) declaredBelow(i int, prefix []byte) bool {
	if _, ok := declared(e.head, prefix); ok {
		return true
	}
	for i++; i < int(e.depth); i++ {
		if _, ok := declared(e.outer[i], prefix); ok {
			return true
		}
	}
	return false
}

// mentions reports that the prefix may be used inside the element. It may say yes where the answer is no.
func (e Elem) mentions(prefix []byte) bool {
	for b := e.raw; ; {
		i := bytes.Index(b, prefix)
		if i < 0 {
			return false
		}
		if b = b[i+len(prefix):]; len(b) > 0 && b[0] == ':' {
			return true
		}
	}
}

package jingle

import (
	"bytes"

	"parley/xmpp/wire"
)

// Extension is an element that this package does not know, kept as it was written so that it survives a round trip.
type Extension struct {
	Local, NS string
	XML       string // validated; without a declaration of its own default namespace it is of its parent's
}

// extensionOf keeps the element if its meaning does not hang on declarations around it: every prefix is declared inside,
// and its default namespace is declared by itself or is the parent's. Others are dropped.
func extensionOf(e wire.Elem, parentNS string) (Extension, bool) {
	ns := string(e.NS())
	if _, own := e.Attr("xmlns"); !own && ns != parentNS {
		return Extension{}, false
	}
	s := wire.Scanner{Limits: wire.AfterAuth}
	if n, p, err := s.Next(e.Raw()); err != nil || p == nil || n != len(e.Raw()) {
		return Extension{}, false
	}
	if name := e.Raw()[1:]; !bytes.HasPrefix(name, e.Local()) || name[len(e.Local())] == ':' {
		return Extension{}, false // a prefix: the default namespace inside is another matter
	}
	return Extension{Local: string(e.Local()), NS: ns, XML: string(e.Raw())}, true
}

// Package s2s is federation: streams between this server and others (RFC 6120), over TLS always.
//
// A server shows that it speaks for a domain by a certificate (SASL EXTERNAL, RFC 6120 §13.7, XEP-0178) or, where the
// configuration allows that, by a key that the domain's own server confirms (dialback, XEP-0220, with the keys of XEP-0185).
// Servers are found by SRV records for STARTTLS and for direct TLS (XEP-0368), or by their addresses. A stream may carry
// stanzas both ways (XEP-0288) and, when we accepted it, for several domains.
//
// What goes from one domain of ours to one of others is an outbound: a bounded queue and the stream that carries it, if there
// is one. What was written stays until the other server has acknowledged it (XEP-0198) or, where it does not know that, has
// answered a ping that came behind it (XEP-0199): servers work off a stream in order. A stream that breaks is resumed (XEP-0198
// §5) where the other server can do that, which tells what has arrived, so that nothing is lost and nothing comes twice. Else what was
// not acknowledged is sent once more over the next stream, except requests, which might be carried out twice: who asked gets an error. So
// within the life of the process nothing is lost without a word, and a message may come twice where the other server is one that
// does not resume, or has died.
//
// People of other servers who sent presence to a room are looked after: when their server cannot be reached any more, or
// comes back without them, the room is told (route.Watcher).
//
// Each occupant of a room is sent a copy of its own, since other servers know nothing else; what is in it is made once for all of
// a domain.
package s2s

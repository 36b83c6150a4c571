package wire

import (
	"errors"

	mstream "mellium.im/xmpp/stream"
)

// ErrIncomplete says that the element goes on beyond the bytes given; call again with more of them.
var ErrIncomplete = errors.New("wire: incomplete element")

// ErrClosed says that the peer closed the stream (RFC 6120 §4.4).
var ErrClosed = errors.New("wire: stream closed by peer")

// Violation is what the peer did wrong, as the stream error that answers it (RFC 6120 §4.9.3).
type Violation struct {
	Condition string // stream error condition, e.g. "not-well-formed"
	Text      string // safe to show to the peer
	Event     string // name of the counter, hardening.md HR7
}

func (v *Violation) Error() string { return "wire: " + v.Condition + ": " + v.Text }

func violation(condition mstream.Error, event, text string) *Violation {
	return &Violation{Condition: condition.Err, Event: event, Text: text}
}

// The violations that the scanner reports. They are values so that refusing costs no memory.
var (
	ErrComment     = violation(mstream.RestrictedXML, "xml.restricted", "comments are not allowed")
	ErrInstruction = violation(mstream.RestrictedXML, "xml.restricted", "processing instructions are not allowed")
	ErrDoctype     = violation(mstream.RestrictedXML, "xml.restricted", "document type declarations are not allowed")
	ErrEntity      = violation(mstream.RestrictedXML, "xml.restricted", "entity references other than the predefined five are not allowed")
	ErrMalformed   = violation(mstream.NotWellFormed, "xml.malformed", "XML is not well-formed")
	ErrEncoding    = violation(mstream.NotWellFormed, "xml.encoding", "character that XML or UTF-8 does not allow")
	ErrCharset     = violation(mstream.UnsupportedEncoding, "xml.encoding", "the encoding must be UTF-8")
	ErrPrefix      = violation(mstream.BadNamespacePrefix, "xml.malformed", "namespace prefix is not declared")
	ErrText        = violation(mstream.BadFormat, "xml.sequence", "text between stanzas")

	ErrSize     = violation(mstream.PolicyViolation, "limit.stanza", "stanza is larger than the size limit")
	ErrDepth    = violation(mstream.PolicyViolation, "limit.xml", "elements are nested deeper than the limit")
	ErrChildren = violation(mstream.PolicyViolation, "limit.xml", "an element has more children than the limit")
	ErrAttrs    = violation(mstream.PolicyViolation, "limit.xml", "an element has more attributes than the limit")
	ErrDecls    = violation(mstream.PolicyViolation, "limit.xml", "an element has more namespace declarations than the limit")
	ErrName     = violation(mstream.PolicyViolation, "limit.xml", "a name is longer than the limit")
	ErrValue    = violation(mstream.PolicyViolation, "limit.xml", "an attribute value is longer than the limit")
	ErrTextSize = violation(mstream.PolicyViolation, "limit.xml", "a text is longer than the limit")
)

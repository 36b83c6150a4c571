package auth

import (
	"strings"
	"unicode/utf8"
)

// The messages of SCRAM (RFC 5802 §7). They are read by the grammar and nothing else: attributes in their order, none
// of ours where an extension may stand, and the reserved m= refused.

const (
	longestMessage = 4 << 10 // bytes; channel binding data are the largest part
	longestNonce   = 512     // bytes
	mostAttributes = 32
)

// clientFirst is "n,a=authzid,n=user,r=nonce".
type clientFirst struct {
	flag    byte   // n, y or p
	binding string // with p, the type of channel binding
	authzid string
	user    string
	nonce   string
	gs2     string // the header with its last comma
	bare    string // what is signed
}

func parseClientFirst(response []byte) (m clientFirst, err error) {
	s, err := text(response)
	if err != nil {
		return m, err
	}
	flag, rest, ok := strings.Cut(s, ",")
	authzid, bare, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return m, malformed("message has no GS2 header")
	}
	switch {
	case flag == "n" || flag == "y":
		m.flag = flag[0]
	case strings.HasPrefix(flag, "p=") && isBindingType(flag[2:]):
		m.flag, m.binding = 'p', flag[2:]
	default:
		return m, malformed("channel binding flag is not n, y or p=type")
	}
	if m.authzid, err = parseAuthzid(authzid); err != nil {
		return m, err
	}
	m.gs2, m.bare = s[:len(s)-len(bare)], bare
	attrs, err := attributes(bare)
	if err != nil {
		return m, err
	}
	if len(attrs) < 2 || !strings.HasPrefix(attrs[0], "n=") || !strings.HasPrefix(attrs[1], "r=") {
		return m, malformed("message does not begin with user name and nonce")
	}
	if m.user, err = unescape(attrs[0][2:]); err != nil {
		return m, err
	}
	m.nonce = attrs[1][2:]
	if m.nonce == "" || len(m.nonce) > longestNonce || !isPrintable(m.nonce) {
		return m, malformed("nonce is empty, too long or not printable")
	}
	return m, extensions(attrs[2:])
}

// clientFinal is "c=binding,r=nonce,p=proof".
type clientFinal struct {
	binding  []byte
	nonce    string
	proof    []byte
	unproven string // all before ",p=": what is signed
}

func parseClientFinal(response []byte) (m clientFinal, err error) {
	s, err := text(response)
	if err != nil {
		return m, err
	}
	attrs, err := attributes(s)
	if err != nil {
		return m, err
	}
	last := len(attrs) - 1
	if last < 2 || !strings.HasPrefix(attrs[0], "c=") || !strings.HasPrefix(attrs[1], "r=") || !strings.HasPrefix(attrs[last], "p=") {
		return m, malformed("message is not channel binding, nonce and proof")
	}
	if err := extensions(attrs[2:last]); err != nil {
		return m, err
	}
	if m.binding, err = decode([]byte(attrs[0][2:])); err != nil {
		return m, malformed("channel binding is not base64")
	}
	if m.proof, err = decode([]byte(attrs[last][2:])); err != nil {
		return m, malformed("proof is not base64")
	}
	m.nonce = attrs[1][2:]
	m.unproven = s[:len(s)-len(attrs[last])-1]
	return m, nil
}

func text(response []byte) (string, error) {
	if len(response) > longestMessage {
		return "", errTooLong
	}
	s := string(response)
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return "", malformed("message is not UTF-8 text")
	}
	return s, nil
}

// attributes splits a message and refuses the reserved attribute, wherever it stands (RFC 5802 §5.1).
func attributes(s string) ([]string, error) {
	attrs := strings.SplitN(s, ",", mostAttributes+1)
	if len(attrs) > mostAttributes {
		return nil, malformed("message has too many attributes")
	}
	for _, a := range attrs {
		if len(a) < 2 || a[1] != '=' || !isLetter(a[0]) {
			return nil, malformed("message is not a list of attributes")
		}
		if a[0] == 'm' {
			return nil, malformed("mandatory extensions are not supported")
		}
	}
	return attrs, nil
}

// extensions are ignored, but none may be an attribute that means something: a client does not choose the salt or the
// iteration count, and says nothing twice.
func extensions(attrs []string) error {
	for _, a := range attrs {
		if len(a) < 3 || strings.IndexByte("anrcsipve", a[0]) >= 0 {
			return malformed("attribute stands where it must not")
		}
	}
	return nil
}

// parseAuthzid reads the second part of a GS2 header (RFC 5801 §4).
func parseAuthzid(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	name, ok := strings.CutPrefix(s, "a=")
	if !ok {
		return "", malformed("GS2 header is not a flag and an authorization identity")
	}
	return unescape(name)
}

// unescape reads a saslname: "=2C" is a comma, "=3D" an equals sign, and nothing else follows an equals sign.
func unescape(s string) (string, error) {
	if s == "" || len(s) > 3*longestName {
		return "", malformed("user name is empty or too long")
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		switch {
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", malformed("user name is not escaped rightly")
		}
		s = after[2:]
	}
}

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

func isPrintable(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

func isBindingType(s string) bool {
	for _, c := range []byte(s) {
		if !isLetter(c) && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return s != ""
}

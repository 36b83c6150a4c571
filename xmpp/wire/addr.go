package wire

import (
	"fmt"
	"strings"

	mjid "mellium.im/xmpp/jid"
)

// Addr is an address in its canonical form (RFC 7622), so that equal addresses are equal strings. "" is no address.
type Addr string

// ParseAddr canonicalises an address.
func ParseAddr(s string) (Addr, error) {
	if canonical(s) {
		return Addr(s), nil
	}
	return slowParse(s)
}

// ParseRawAddr canonicalises an address as it stands in an attribute.
func ParseRawAddr(b []byte) (Addr, error) { return ParseAddr(UnescapeString(b)) }

func slowParse(s string) (Addr, error) {
	if len(s) > 3*1023+2 {
		return "", fmt.Errorf("wire: address of %d bytes", len(s))
	}
	bare, resource, slash := strings.Cut(s, "/")
	if slash && resource == "" {
		return "", fmt.Errorf("wire: address %.64q has an empty resource", s)
	}
	// The library takes one dot off the end of a domain each time; RFC 7622 §3.2 wants none.
	bare = strings.TrimRight(bare, ".")
	if slash {
		bare += "/" + resource
	}
	j, err := mjid.Parse(bare)
	if err != nil {
		return "", fmt.Errorf("wire: address %.64q: %w", s, err)
	}
	a := j.String()
	if again, err := mjid.Parse(a); err != nil || again.String() != a {
		return "", fmt.Errorf("wire: address %.64q has no stable form", s)
	}
	return Addr(a), nil
}

// canonical reports that s is an address in canonical form already. It may say no where the answer is yes.
func canonical(s string) bool {
	from := 0
	end := len(s)
	if i := strings.IndexByte(s, '/'); i >= 0 {
		end = i
		if n := len(s) - i - 1; n == 0 || n > 1023 || s[i+1] == ' ' || s[len(s)-1] == ' ' {
			return false
		}
		for _, c := range []byte(s[i+1:]) {
			if c < ' ' || c > '~' {
				return false
			}
		}
	}
	if i := strings.IndexByte(s[:end], '@'); i >= 0 {
		if i == 0 || i > 1023 {
			return false
		}
		for _, c := range []byte(s[:i]) {
			if c <= ' ' || c >= 0x7F || c >= 'A' && c <= 'Z' || strings.IndexByte(`"&'/:<>@`, c) >= 0 {
				return false
			}
		}
		from = i + 1
	}
	if n := end - from; n == 0 || n > 253 {
		return false
	}
	label := from
	for i := from; i <= end; i++ {
		if i == end || s[i] == '.' {
			n := i - label
			if n == 0 || n > 63 || s[label] == '-' || s[i-1] == '-' || n > 3 && s[label+2:label+4] == "--" {
				return false
			}
			label = i + 1
			continue
		}
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// Bare returns the address without its resource.
func (a Addr) Bare() Addr {
	if i := strings.IndexByte(string(a), '/'); i >= 0 {
		return a[:i]
	}
	return a
}

// Resource returns the part behind the slash, "" if there is none.
func (a Addr) Resource() string {
	if i := strings.IndexByte(string(a), '/'); i >= 0 {
		return string(a[i+1:])
	}
	return ""
}

// Local returns the part before the at sign, "" if there is none.
func (a Addr) Local() string {
	b := a.Bare()
	if i := strings.IndexByte(string(b), '@'); i >= 0 {
		return string(b[:i])
	}
	return ""
}

// Domain returns the domain part.
func (a Addr) Domain() string {
	b := a.Bare()
	return string(b[strings.IndexByte(string(b), '@')+1:])
}

// IsBare reports that the address has no resource.
func (a Addr) IsBare() bool { return strings.IndexByte(string(a), '/') < 0 }

// WithResource canonicalises the resource and puts it behind the bare address.
func (a Addr) WithResource(resource string) (Addr, error) {
	if resource == "" {
		return "", fmt.Errorf("wire: empty resource")
	}
	return ParseAddr(string(a.Bare()) + "/" + resource)
}

package sdp

import "unicode/utf8"

// isToken reports that s is a token of RFC 8866 §9: visible ASCII without separators.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenChar[s[i]] {
			return false
		}
	}
	return s != ""
}

// Token reports that s may stand where the grammar wants a token (RFC 8866 §9), as for the name of an attribute or a mid.
func Token(s string) bool { return isToken(s) }

// Text reports that s may stand in a line: UTF-8 without control characters and without what XML cannot hold, so that a
// description can become stanzas.
func Text(s string) bool { return isText(s) && utf8.ValidString(s) }

var tokenChar = func() (t [256]bool) {
	for c := '!'; c <= '~'; c++ {
		t[c] = true
	}
	for _, c := range `"(),/:;<=>?@[\]` {
		t[c] = false
	}
	return t
}()

// isText expects valid UTF-8.
func isText(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7F || r == '\uFFFE' || r == '\uFFFF' {
			return false
		}
	}
	return true
}

func isNumber(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

package jingle

import (
	"strings"
	"unicode/utf8"

	"parley/jingle/sdp"
)

// Limits bound what one Jingle element or session description may hold.
type Limits struct {
	Contents   int
	Candidates int // of all contents together
	Sources    int // SSRCs of one endpoint
	Groups     int // source groups of one endpoint
}

// DefaultLimits are those of hardening.md §1.
var DefaultLimits = Limits{Contents: 16, Candidates: 100, Sources: 20, Groups: 20}

// Bounds of single lists and texts, generous against what clients send (the longest list that we have seen, Chromium's
// payload types, has 50 entries).
const (
	maxName             = 256
	maxText             = 1024
	maxAddress          = 3071 // RFC 7622 §3
	maxPayloadTypes     = 128
	maxParameters       = 64
	maxFeedback         = 32
	maxHeaderExtensions = 64
	maxBandwidth        = 8
	maxCrypto           = 16
	maxStreams          = 8
	maxRIDs             = 16
	maxFingerprints     = 8
	maxOptions          = 16
	maxWebSockets       = 4
	maxGroups           = 16
	maxFrameHeights     = 64
	maxExtensions       = 32
	maxProposals        = 16
	maxCategories       = 8
)

// isText reports that s may be written to a line of SDP and to XML, in at most max bytes; empty is fine.
func isText(s string, max int) bool { return len(s) <= max && sdp.Text(s) }

// isToken reports that s is a token of SDP of at most maxName bytes.
func isToken(s string) bool { return len(s) <= maxName && sdp.Token(s) }

// isWord reports that s is text of at least one character without spaces.
func isWord(s string, max int) bool {
	return s != "" && strings.IndexByte(s, ' ') < 0 && isText(s, max)
}

// isICE reports that s consists of ice-chars (RFC 8839 §5.1), from min to max of them.
func isICE(s string, min, max int) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '+', c == '/':
		default:
			return false
		}
	}
	return len(s) >= min && len(s) <= max
}

// isHost reports that s could be an IP address or a host name: nothing else of it is believed.
func isHost(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '.', c == ':', c == '-', c == '_', c == '%':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// isPairs reports that s is upper-case hexadecimal pairs parted by colons, at most 64 bytes of them.
func isPairs(s string) bool {
	if len(s)%3 != 2 || len(s) > 64*3 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; i%3 == 2 && c != ':' || i%3 != 2 && (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// unique reports that no key occurs twice.
func unique[T any, K comparable](list []T, key func(*T) K) bool {
	seen := make(map[K]struct{}, len(list))
	for i := range list {
		k := key(&list[i])
		if _, twice := seen[k]; twice {
			return false
		}
		seen[k] = struct{}{}
	}
	return true
}

// cut returns at most max bytes of s, whole characters.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}

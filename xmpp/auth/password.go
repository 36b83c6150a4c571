package auth

import (
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

var errPassword = errors.New("auth: the password is empty, too long, or holds control characters")

// prepare brings a password into the form that is hashed; see the package comment.
func prepare(password string) (string, error) {
	if password == "" || len(password) > longestName {
		return "", errPassword
	}
	if p, err := precis.OpaqueString.String(password); err == nil {
		return p, nil
	}
	return saslprep(password)
}

// saslprep is RFC 4013 for a query, where unassigned characters are allowed (RFC 3454 §7). The prohibition tables are
// taken as what they stand for.
func saslprep(password string) (string, error) {
	p := norm.NFKC.String(strings.Map(func(c rune) rune {
		switch {
		case mappedToNothing(c): // RFC 3454 B.1
			return -1
		case c != ' ' && unicode.Is(unicode.Zs, c): // C.1.2
			return ' '
		}
		return c
	}, password))
	for _, c := range p {
		switch {
		case unicode.Is(unicode.Cc, c), unicode.Is(unicode.Co, c), unicode.Is(unicode.Cs, c), // C.2, C.3, C.5
			unicode.Is(unicode.Noncharacter_Code_Point, c), // C.4
			c == 0x06DD, c == 0x070F, c == 0x2028, c == 0x2029, // C.2.2
			c >= 0x200E && c <= 0x200F, c >= 0x202A && c <= 0x202E, // C.8
			c >= 0x2061 && c <= 0x2063, c >= 0x206A && c <= 0x206F, // C.2.2, C.8
			c >= 0x1D173 && c <= 0x1D17A,                           // C.2.2
			c >= 0xFFF9 && c <= 0xFFFD, c >= 0x2FF0 && c <= 0x2FFB, // C.6, C.7
			c == 0x0340, c == 0x0341, c == 0xE0001, c >= 0xE0020 && c <= 0xE007F: // C.8, C.9
			return "", errPassword
		}
	}
	if p == "" {
		return "", errPassword
	}
	return p, nil
}

func mappedToNothing(c rune) bool {
	switch c {
	case 0x00AD, 0x034F, 0x1806, 0x180B, 0x180C, 0x180D, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF:
		return true
	}
	return c >= 0xFE00 && c <= 0xFE0F
}

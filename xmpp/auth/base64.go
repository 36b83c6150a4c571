package auth

import "encoding/base64"

var strict = base64.StdEncoding.Strict()

// DecodeInitial decodes the text of <auth/> (RFC 6120 §6.4.2): no text is no initial response, returned as nil; "=" is an
// empty one, returned as not nil. White space, line ends, other alphabets and unused bits are refused with the *Failure
// incorrect-encoding (RFC 6120 §13.9.1, RFC 4648 §3).
func DecodeInitial(text []byte) ([]byte, error) {
	switch string(text) {
	case "":
		return nil, nil
	case "=":
		return []byte{}, nil
	}
	return decode(text)
}

// DecodeResponse decodes the text of <response/>, where no text is an empty response. The result is never nil without
// an error.
func DecodeResponse(text []byte) ([]byte, error) { return decode(text) }

// decode is as strict as base64 can be. The library skips line ends; here they are refused.
func decode(text []byte) ([]byte, error) {
	for _, c := range text {
		if c == '\r' || c == '\n' {
			return nil, errEncoding.of("", nil)
		}
	}
	out := make([]byte, strict.DecodedLen(len(text)))
	n, err := strict.Decode(out, text)
	if err != nil {
		return nil, errEncoding.of("", err)
	}
	return out[:n], nil
}

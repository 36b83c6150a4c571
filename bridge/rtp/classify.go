package rtp

import "encoding/binary"

// Kind is what a datagram on the media port is.
type Kind uint8

const (
	Other Kind = iota
	STUN
	ZRTP
	DTLS
	Channel // TURN ChannelData
	RTP
	RTCP
)

func (k Kind) String() string {
	return [...]string{"other", "STUN", "ZRTP", "DTLS", "ChannelData", "RTP", "RTCP"}[min(k, RTCP)]
}

const magicCookie = 0x2112A442 // RFC 8489 §5

// Classify tells by the first bytes what a datagram is (RFC 7983 §7; RTP from RTCP by RFC 5761 §4). A datagram too short to
// be what its first byte says is Other.
func Classify(b []byte) Kind {
	if len(b) < 4 {
		return Other
	}
	switch first := b[0]; {
	case first <= 3:
		if len(b) >= 20 && binary.BigEndian.Uint32(b[4:]) == magicCookie {
			return STUN
		}
	case first >= 16 && first <= 19:
		return ZRTP
	case first >= 20 && first <= 63:
		if len(b) >= 13 {
			return DTLS
		}
	case first >= 64 && first <= 79:
		return Channel
	case first >= 128 && first <= 191:
		if b[1] >= 192 && b[1] <= 223 {
			if len(b) >= 8 {
				return RTCP
			}
		} else if len(b) >= headerSize {
			return RTP
		}
	}
	return Other
}

// SSRC reads whose packet an RTP or RTCP datagram is before anything else of it is checked or decrypted: both headers are in
// the clear under SRTP (RFC 3711 §3). It answers false for all other datagrams.
func SSRC(b []byte) (ssrc uint32, ok bool) {
	switch Classify(b) {
	case RTP:
		return binary.BigEndian.Uint32(b[8:]), true
	case RTCP:
		return binary.BigEndian.Uint32(b[4:]), true
	}
	return 0, false
}

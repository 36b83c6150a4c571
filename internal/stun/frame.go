package stun

import (
	"encoding/binary"
	"errors"
)

// ErrFrame says that a stream holds neither a message nor ChannelData where one has to begin, or one that is too large.
// There is no way to find the next border.
var ErrFrame = errors.New("stun: neither message nor ChannelData")

// The channel numbers that may be bound (RFC 8656 §12).
const (
	MinChannel = 0x4000
	MaxChannel = 0x4FFF
)

// IsChannelData tells ChannelData from messages by the first byte of either (RFC 7983 §7).
func IsChannelData(b []byte) bool {
	return len(b) > 0 && b[0] >= MinChannel>>8 && b[0] <= MaxChannel>>8
}

// ChannelData parts ChannelData that fills b, but for up to three bytes of padding, into channel number and data
// (RFC 8656 §12.4, §12.5).
func ChannelData(b []byte) (number uint16, data []byte, ok bool) {
	if len(b) < 4 || !IsChannelData(b) || len(b) > MaxMessage {
		return 0, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if rest := len(b) - 4 - n; rest < 0 || rest > 3 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(b), b[4 : 4+n], true
}

// AppendChannelData appends ChannelData, for a stream with the padding that is needed there (RFC 8656 §12.5).
func AppendChannelData(b []byte, number uint16, data []byte, stream bool) []byte {
	b = binary.BigEndian.AppendUint16(b, number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	b = append(b, data...)
	if stream {
		var zero [3]byte
		b = append(b, zero[:-len(data)&3]...)
	}
	return b
}

// Frame returns the size of the message or ChannelData, padding included, that b begins with, or 0 if that takes more
// bytes to say. ErrFrame means that the stream cannot be read on. It sees only what is needed to find the border.
func Frame(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	channel := IsChannelData(b)
	if !channel && b[0]>>6 != 0 {
		return 0, ErrFrame
	}
	if len(b) < 4 {
		return 0, nil
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if channel {
		n = 4 + (n+3)&^3
	} else {
		if n%4 != 0 || len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) != cookie {
			return 0, ErrFrame
		}
		n += header
	}
	if n > MaxMessage {
		return 0, ErrFrame
	}
	return n, nil
}

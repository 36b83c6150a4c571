package c2s

import (
	"encoding/binary"

	"parley/xmpp/wire"
)

// The opcodes of RFC 6455 §5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// The close codes of RFC 6455 §7.4.1 that we use.
const (
	closeNormal      = 1000
	closeGoingAway   = 1001
	closeProtocol    = 1002
	closeUnsupported = 1003
	closeTooBig      = 1009
)

// frameError is what a peer did wrong below XMPP, as the close code that answers it.
type frameError struct {
	code uint16
	text string
}

func (e *frameError) Error() string { return "c2s: websocket: " + e.text }

// frames takes WebSocket frames apart and puts fragmented messages together.
type frames struct {
	part []byte // payload of an open fragmented message
	open bool
}

// next takes one frame off the front of b, unmasking it in place, and returns how many bytes it took. A text message is
// returned when it is complete, as opText; a fragment before that is returned as opContinuation without payload. The
// payload lives until b changes or next is called again. wire.ErrIncomplete asks for more bytes; limit bounds a message.
func (f *frames) next(b []byte, limit int) (op byte, payload []byte, n int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, wire.ErrIncomplete
	}
	fin, op := b[0]&0x80 != 0, b[0]&0x0F
	switch {
	case b[0]&0x70 != 0:
		err = &frameError{closeProtocol, "reserved bits are set"}
	case b[1]&0x80 == 0:
		err = &frameError{closeProtocol, "frame is not masked"}
	case op >= opClose && (!fin || b[1]&0x7F > 125):
		err = &frameError{closeProtocol, "control frame is fragmented or too long"}
	case op == opBinary:
		err = &frameError{closeUnsupported, "binary frames are not XMPP"} // RFC 7395 §3.2
	case op == opContinuation && !f.open, op == opText && f.open:
		err = &frameError{closeProtocol, "fragments are out of order"}
	case op > opBinary && op < opClose, op > opPong:
		err = &frameError{closeProtocol, "unknown opcode"}
	}
	if err != nil {
		return 0, nil, 0, err
	}
	size, head := uint64(b[1]&0x7F), 2
	switch size {
	case 126:
		if head = 4; len(b) < head {
			return 0, nil, 0, wire.ErrIncomplete
		}
		size = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if head = 10; len(b) < head {
			return 0, nil, 0, wire.ErrIncomplete
		}
		size = binary.BigEndian.Uint64(b[2:])
	}
	if size > uint64(limit) || op < opClose && len(f.part)+int(size) > limit {
		return 0, nil, 0, wire.ErrSize
	}
	n = head + 4 + int(size)
	if len(b) < n {
		return 0, nil, 0, wire.ErrIncomplete
	}
	payload = b[head+4 : n]
	unmask(payload, [4]byte(b[head:]))
	switch {
	case op >= opClose || op == opText && fin:
		return op, payload, n, nil
	case op == opText:
		f.open, f.part = true, append([]byte(nil), payload...)
		return opContinuation, nil, n, nil
	}
	f.part = append(f.part, payload...)
	if !fin {
		return opContinuation, nil, n, nil
	}
	payload, f.part, f.open = f.part, nil, false
	return opText, payload, n, nil
}

// unmask takes the mask off in place (RFC 6455 §5.3).
func unmask(b []byte, key [4]byte) {
	k32 := binary.LittleEndian.Uint32(key[:])
	k := uint64(k32)<<32 | uint64(k32)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// appendFrameHead appends the header of an unfragmented frame from the server, which is not masked.
func appendFrameHead(dst []byte, op byte, size int) []byte {
	dst = append(dst, 0x80|op)
	switch {
	case size < 126:
		return append(dst, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(size))
}

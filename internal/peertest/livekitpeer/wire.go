package livekitpeer

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Types of values on the wire of Protocol Buffers ("Encoding": Message Structure). A tag is number<<3 | type, a varint. Groups, 3 and 4, are
// of the past.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// numberMost is the highest number of a field.
const numberMost = 1<<29 - 1

var errTruncated = errors.New("livekitpeer: a message ends within a field")

func appendUint(b []byte, number int, v uint64) []byte {
	b = binary.AppendUvarint(b, uint64(number)<<3|wireVarint)
	return binary.AppendUvarint(b, v)
}

// appendBytes appends a string, or a message within the message.
func appendBytes[T string | []byte](b []byte, number int, v T) []byte {
	b = binary.AppendUvarint(b, uint64(number)<<3|wireBytes)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

// field is one field of a message.
type field struct {
	number int
	value  uint64 // of a varint
	bytes  []byte // of a string or a message; shares the memory of the message
}

// walk calls f with each field of a message, in their order, until it fails. Numbers of fixed size are passed over.
func walk(b []byte, f func(field) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errTruncated
		}
		b = b[n:]
		if tag>>3 == 0 || tag>>3 > numberMost {
			return fmt.Errorf("livekitpeer: no field has the number %d", tag>>3)
		}
		at := field{number: int(tag >> 3)}
		skip := 0
		switch tag & 7 {
		case wireVarint:
			if at.value, skip = binary.Uvarint(b); skip <= 0 {
				return errTruncated
			}
		case wireBytes:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return errTruncated
			}
			skip = n + int(size)
			at.bytes = b[n:skip:skip]
		case wireFixed64:
			skip = 8
		case wireFixed32:
			skip = 4
		default:
			return fmt.Errorf("livekitpeer: field %d has a value of type %d", at.number, tag&7)
		}
		if skip > len(b) {
			return errTruncated
		}
		b = b[skip:]
		if tag&7 == wireFixed64 || tag&7 == wireFixed32 {
			continue
		}
		if err := f(at); err != nil {
			return err
		}
	}
	return nil
}

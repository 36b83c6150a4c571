package archive

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// clock makes the ids of messages: UUIDs of version 7 (RFC 9562 §5.7).
//
//	 0                   1                   2                   3
//	| milliseconds since 1970 (48 bits)                              |
//	|                 | 7 (4) | part of the millisecond (12)        |
//	| 2 (2) | random (62) ...                                       |
//
// Each is greater than the last one, also when the system's clock goes back: the first 60 bits are a counter that follows the
// time (RFC 9562 §6.2, method 3). It is not safe for concurrent use.
type clock struct {
	last uint64 // milliseconds in its upper bits, 4096ths of one in the lower 12
	dice [512]byte
	used int
}

// mostAhead is how far behind the latest message of the archives the system's clock may be, so that ids still follow it. If
// it is further behind, one of the two times was nonsense.
const mostAhead = 24 * time.Hour

// follow makes later ids greater than those of that time, and reports that it could.
func (c *clock) follow(latest, now time.Time) bool {
	if latest.Sub(now) > mostAhead {
		return false
	}
	c.last = max(c.last, ticks(latest)|0xFFF)
	return true
}

func (c *clock) next(now time.Time) uuid.UUID {
	c.last = max(c.last+1, ticks(now))
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], c.last>>12<<16|0x7000|c.last&0xFFF)
	if c.used == 0 || c.used == len(c.dice) {
		rand.Read(c.dice[:])
		c.used = 0
	}
	copy(id[8:], c.dice[c.used:])
	c.used += 8
	id[8] = id[8]&0x3F | 0x80
	return id
}

// ticks is a time as the clock counts it.
func ticks(t time.Time) uint64 {
	ms := max(t.UnixMilli(), 0)
	part := t.Nanosecond() % int(time.Millisecond)
	return uint64(ms)<<12 | uint64(part*4096/int(time.Millisecond))
}

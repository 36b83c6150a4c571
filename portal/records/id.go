package records

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strconv"
	"time"
)

// crockford is the alphabet of ULIDs.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// idOf returns the ULID of something that happened at a time to somebody: 48 bits of milliseconds, and 80 of a digest of what
// tells it from others. So a process that finds the same again gives it the same id.
func idOf(at time.Time, what ...string) string {
	h := sha256.New()
	for _, w := range what {
		h.Write([]byte(strconv.Itoa(len(w)) + ":" + w))
	}
	return ulid(at, h.Sum(nil))
}

// newID returns a ULID that nothing else has.
func newID(at time.Time) string {
	var b [10]byte
	rand.Read(b[:])
	return ulid(at, b[:])
}

func ulid(at time.Time, rest []byte) string {
	var b [17]byte
	binary.BigEndian.PutUint64(b[:8], uint64(max(at.UnixMilli(), 0))<<16)
	copy(b[6:16], rest)
	// 26 characters of 5 bits hold 130: the 128 stand behind two zeros.
	for i := 16; i > 0; i-- {
		b[i] = b[i]>>2 | b[i-1]<<6
	}
	b[0] >>= 2
	return crockford.EncodeToString(b[:])[:26]
}

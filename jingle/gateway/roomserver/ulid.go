package roomserver

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// crockford is the alphabet of ULIDs.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// newID returns a ULID, 26 characters: 48 bits of milliseconds and 80 random ones. Ids sort by time.
func newID(now time.Time) string {
	var b [17]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:16])
	// 26 characters of 5 bits hold 130: the 128 stand behind two zeros.
	for i := 16; i > 0; i-- {
		b[i] = b[i]>>2 | b[i-1]<<6
	}
	b[0] >>= 2
	return crockford.EncodeToString(b[:])[:26]
}

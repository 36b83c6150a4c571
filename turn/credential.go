package turn

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxTTL is how long a credential is good at most.
	MaxTTL = time.Hour
	// leeway is what the clocks of issuer and server may differ by.
	leeway = time.Minute
)

// Credentials issues a credential for a user that ends after ttl, at most MaxTTL, by the scheme that coturn calls its
// REST API: the username is the Unix time of expiry, a colon and the user; the password is the base64 form of the
// HMAC-SHA1 of the username. A user is one participant: the string should be new for each join, since End refuses all
// credentials that bear it. It is at most 480 bytes long.
func Credentials(secret, user string, ttl time.Duration, now time.Time) (username, password string) {
	username = strconv.FormatInt(now.Add(min(ttl, MaxTTL)).Unix(), 10) + ":" + user
	return username, restPassword(secret, username)
}

// NewSecret returns a random secret that is fit for Config and Offer.
func NewSecret() string { return rand.Text() + rand.Text() }

func restPassword(secret, username string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// longTermKey is the key of the integrity of messages (RFC 8489 §9.2.2).
func longTermKey(username, realm, password string) []byte {
	sum := md5.Sum([]byte(username + ":" + realm + ":" + password))
	return sum[:]
}

// parseUsername parts a username into user and expiry. It says nothing about who made it.
func parseUsername(username string) (user string, expiry time.Time, ok bool) {
	stamp, user, found := strings.Cut(username, ":")
	sec, err := strconv.ParseInt(stamp, 10, 64)
	if !found || err != nil || user == "" || sec < 0 || sec > 1<<40 {
		return "", time.Time{}, false
	}
	return user, time.Unix(sec, 0), true
}

// nonces makes and recognises nonces without remembering any: four bytes of time and eight of an HMAC of the time and the
// client's address. Who sends one back has received it there, so larger replies harm nobody else (RFC 8489 §9.2).
type nonces struct{ key [32]byte }

const (
	nonceLife = time.Hour // RFC 8656 §5
	nonceSize = 16        // characters
)

func newNonces() *nonces {
	n := new(nonces)
	rand.Read(n.key[:])
	return n
}

func (n *nonces) make(from netip.Addr, now time.Time) string {
	var b [12]byte
	binary.BigEndian.PutUint32(b[:], uint32(now.Unix()))
	n.sign(&b, from)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (n *nonces) valid(nonce []byte, from netip.Addr, now time.Time) bool {
	var b, want [12]byte
	if len(nonce) != nonceSize {
		return false
	}
	if _, err := base64.RawURLEncoding.Decode(b[:], nonce); err != nil {
		return false
	}
	copy(want[:4], b[:4])
	n.sign(&want, from)
	age := uint32(now.Unix()) - binary.BigEndian.Uint32(b[:])
	return hmac.Equal(b[:], want[:]) && age <= uint32(nonceLife/time.Second)
}

// sign fills in the last eight bytes.
func (n *nonces) sign(b *[12]byte, from netip.Addr) {
	ip := from.As16()
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(b[:4])
	mac.Write(ip[:])
	copy(b[4:], mac.Sum(nil))
}

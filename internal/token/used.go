package token

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Used remembers the tokens that may not be used again, each until it expires. Its memory is bounded: when it is full of
// tokens that are still valid it refuses further ones, since only issuers can fill it. It is safe for concurrent use.
type Used struct {
	most int

	mu    sync.Mutex // guards what follows
	until map[[sha256.Size]byte]time.Time
	swept time.Time
}

// NewUsed remembers at most that many tokens, about 100 bytes each.
func NewUsed(most int) *Used {
	return &Used{most: most, until: make(map[[sha256.Size]byte]time.Time)}
}

// Use marks the token as used, once: the second time it returns an *Error with CodeReplay. A token without an id cannot
// be told from its copies and is refused.
func (u *Used) Use(c *Claims, now time.Time) error {
	if c.ID == "" {
		return errNoID
	}
	k := usedKey(c.Issuer, c.ID)
	u.mu.Lock()
	defer u.mu.Unlock()
	if until, ok := u.until[k]; ok && now.Before(until) {
		return errReplay
	}
	return u.put(k, c.Expires, now)
}

// Revoke ends a token before it was used: for somebody who was banned, or a meeting that is over.
func (u *Used) Revoke(c *Claims, now time.Time) error {
	if c.ID == "" {
		return errNoID
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.put(usedKey(c.Issuer, c.ID), c.Expires, now)
}

// has reports whether the token was used or revoked.
func (u *Used) has(c *Claims, now time.Time) bool {
	k := usedKey(c.Issuer, c.ID)
	u.mu.Lock()
	defer u.mu.Unlock()
	until, ok := u.until[k]
	return ok && now.Before(until)
}

// put remembers the token for as long as any checker may accept it. Called with mu held.
func (u *Used) put(k [sha256.Size]byte, expires, now time.Time) error {
	if _, ok := u.until[k]; !ok && len(u.until) >= u.most && now.Sub(u.swept) >= time.Second {
		u.swept = now
		for old, until := range u.until {
			if !now.Before(until) {
				delete(u.until, old)
			}
		}
	}
	if _, ok := u.until[k]; !ok && len(u.until) >= u.most {
		return errFull
	}
	u.until[k] = expires.Add(maxLeeway)
	return nil
}

// usedKey hashes what tells a token from all others, so that its length costs nothing.
func usedKey(issuer, id string) [sha256.Size]byte {
	return sha256.Sum256([]byte(issuer + "\x00" + id)) // neither holds a NUL, checkText
}

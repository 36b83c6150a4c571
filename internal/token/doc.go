// Package token checks and mints the one token format of every door: a JSON Web Token (RFC 7519) with the claims that
// Jitsi expects.
//
//	{"iss": "app", "aud": "jitsi", "sub": "tenant", "room": "standup", "exp": 1893456000, "jti": "…",
//	 "context": {"user": {"id": "u1", "name": "Romeo", "moderator": true}, "group": "g", "features": {"recording": true}}}
//
// A Checker is built from the issuers that the administrator trusts. Each issuer has its own keys and nothing else
// decides what a token may be signed with: the key's type gives the algorithms, never the token's header, and headers
// that carry or point to keys (jku, x5u, jwk, x5c) are refused (RFC 8725 §3). Keys come from the configuration, from a
// JWK set (RFC 7517) or from a key server in Jitsi's manner, <base>/<sha256 of kid>.pem; fetched keys are kept up to a
// day when their server is away.
//
// The package knows no rooms and no sessions. It says what a token allows; the doors enforce it.
package token

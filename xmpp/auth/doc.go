// Package auth is the server's side of SASL (RFC 4422) as XMPP uses it (RFC 6120 §6): SCRAM-SHA-1, -256 and -512 with and
// without channel binding (RFC 5802, RFC 7677; tls-exporter of RFC 9266, tls-server-end-point and tls-unique of RFC 5929),
// PLAIN (RFC 4616), OAUTHBEARER (RFC 7628) with our token, and ANONYMOUS (RFC 4505), alone or with a token that came out
// of band. SCRAM protects the list of mechanisms too (XEP-0474). Who has logged in may be given a token for the next time
// (XEP-0484), which is used with a mechanism of the HT family.
//
// Bytes go in and bytes come out: no XML, no sockets, no sleeping. One Server serves one virtual host; each XMPP stream
// has a Stream, which knows what was offered and how often it was tried; each <auth/> begins an Exchange. Every refusal
// is a *Failure, which says what to answer, after what delay, and whether the stream ends.
//
// An unknown user and a wrong password are answered alike and cost the same work. The server keeps nothing that logs in
// by itself: StoredKey and ServerKey, and of tokens the seeds that only its own secret makes tokens of.
//
// # Passwords
//
// A password is prepared by the OpaqueString profile of PRECIS (RFC 8265 §4.2). Where PRECIS refuses it, because it
// holds characters that are unassigned in its Unicode version or that are invisible, the older SASLprep (RFC 4013)
// decides, as RFC 5802 wants it. Both agree about ASCII, and about all text that compatibility normalisation does not
// change. They differ for characters such as "²" and "ﬁ": a client that prepares those by SASLprep before SCRAM computes
// another key, and its user has to log in with PLAIN, where the server prepares the password, or choose another one.
package auth

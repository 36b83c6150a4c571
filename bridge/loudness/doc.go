// Package loudness says how loud packets of Opus (RFC 6716) are whose sender does not say so itself (RFC 6464). It decodes them
// for that and throws the sound away.
//
// The decoder is another's (docs/decisions/0015-loudness.md). What a client sends to it may be anything: an error or a panic of
// it costs that client's level and nothing else.
package loudness

// Package muc holds conference rooms: Multi-User Chat (XEP-0045) with unique ids (XEP-0359, XEP-0421), self-ping
// (XEP-0410) and what Jitsi clients expect of a room.
//
// A room is a machine without I/O, clock, lock or randomness: an input goes in, effects come out (room.go, effects.go).
// A cell is the room's bounded mailbox with a goroutine that exists only while the mailbox holds something (cell.go). The
// Service takes every packet for the rooms' domain, finds the cell and posts (service.go). What must be durable is
// written to the store, and answered when the store says that it is committed (commit.go); presence, private messages
// and IQs go on meanwhile.
//
// What a room says is serialised once per variant, which is what a receiver may see, and all receivers share the bytes
// (presence.go, message.go). Payloads of occupants are relayed as they came, except for what would forge an identity
// (payload.go).
//
// The package knows no calls: the focus observes rooms (observe.go) and sits in them (seat.go). It knows no sessions
// either: the router tells it when one is gone.
package muc

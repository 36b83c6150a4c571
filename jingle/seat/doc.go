// Package seat brings people into rooms who do not speak for themselves there: callers, and the clients of other protocols.
//
// A seat is an occupant (XEP-0045) that the server has in the room on somebody's behalf. It is the sender of what it says, so that
// the room's rules hold for it as for any client, and it takes what the room says: whether it is in, under which nickname, why it is
// no more, and what others ask of its client. What a member is, and whose address it has, is the user's business.
package seat

// Package call lets ordinary XMPP clients call rooms: each room has an address of its own for that, ROOM@call.DOMAIN, which is a
// contact like any other. It is present, says that it takes calls (XEP-0115), lets everybody subscribe, and answers a proposed
// call (XEP-0353) and a Jingle session (XEP-0166, 0167, 0176, 0320). Whoever calls is an occupant of the room from then on, under
// the caller's own bare address, so that the room's rules hold; what the occupant sends and sees are the media of the call.
//
// Who knows conferences of many streams (XEP-0521) is brought each in a session of its own; others get one stream of each medium.
//
// In rooms with a Muji conference (XEP-0272) the focus takes part in that, and its sessions are had here too, at its own address.
//
// The session itself, as the bridge sees it, is the focus's (package focus). A call is bound to the process: after a restart
// clients call again.
package call

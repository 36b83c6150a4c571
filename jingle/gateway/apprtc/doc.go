// Package apprtc is the door for AppRTC clients (web, Android, iOS) and for pages that are written against Collider's interface
// alone: the room server's HTTP requests, and the relay's WebSocket with its side door over HTTP.
//
//	caller                         door                          callee
//	   | POST /join/R -------------> | <------------- POST /join/R |
//	   | <- is_initiator "true"      |   "false", with what the    |
//	   | /ws: register ------------> |   caller has said so far -> |
//	   | POST /message/R/C (offer)-> | ------------> {"msg", ...}  |
//	   | {"msg", ...} <------------- | <--------- /ws: send answer |
//	   | POST /leave, send bye ----> | ----------------------> bye |
//
// Two who are alone are a pair: what one says goes to the other as it is. As soon as there is a third, or somebody who uses another
// protocol, each talks to the bridge by the calls of ordinary clients (jingle/focus), and sees the one stream that these are sent.
// Who comes then is the callee of the bridge's offer, which has all candidates in it; who offers itself is answered.
//
// A member is an occupant of the room of the same name, by a seat (jingle/seat). A room is a machine: everything that happens in
// it is worked off by one goroutine, which runs only while there is something. The protocol's words end at this package.
package apprtc

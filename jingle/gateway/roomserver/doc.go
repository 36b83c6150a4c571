// Package roomserver is the door for clients of the RoomServer protocol: one WebSocket, one JSON object a frame, one
// PeerConnection for each other member of the room.
//
//	client A                      door                        client B (in the room already)
//	   | join ---------------------> |                               |
//	   | <----------------- respJoin | notifyNewPeer --------------> |   B offers, with the rtcConfig in it
//	   | <--------------- relayOffer | <---------------------- offer |
//	   | answer -------------------> | relayAnswer ----------------> |
//	   | candidate <---------------> | <------------------ candidate |
//	   | peerConnected ------------> | <-------------- peerConnected |
//	   | keepLive (5 s) -----------> | <------------------- keepLive |
//	   | leave --------------------> | relayLeave -----------------> |
//
// A member is an occupant of the room (XEP-0045) of the same name, through a seat like that of any client, so that the rooms'
// rules hold for it and people who use XMPP see it come and go. The door relays between its own members, whose media go from one
// to the other or through a relay, as long as they are two. With more, or with people of other protocols, the gate opens (gate.go):
// the server offers each member a connection to the bridge in the name of each of the others (view.go), and the client answers as if
// that one had offered. What a client offers by itself then is acknowledged, and goes nowhere. What the door does not do yet stands in
// Pending.
//
// A room is a machine: everything that happens in it is worked off by one goroutine, which runs only while there is something.
// The protocol's words end at this package.
package roomserver

// Package link joins the focus to a bridge that is another process: a child of the server on the same machine (Child), or
// later a bridge on another machine. Client is in the front, which is the process of the focus; Server is in the bridge.
//
// What travels are the values of package api, as JSON in frames:
//
//	length, 4 bytes, most significant first, at most 64 MiB
//	message, a JSON object with exactly one member
//
//	front → bridge                             bridge → front
//	{"front": {protocol, id, conferences}}     {"refused": "why"}, and the end
//	                                           {"event": {"hello": ...}}
//	{"apply": api.Conference}                  {"applied": {id, version}}
//	{"drain": true}                            {"event": api.Event}
//	{"ended": [user, ...]}
//	{"reload": true}
//	{"ping": true}                             {"ping": true}
//
// The front speaks first, and the bridge answers with its Hello. Anything out of place closes the connection and is
// counted. The front pings when it has had nothing to say for 10 s, and the bridge each 10 s, after its core has answered: one
// whose core is stuck says nothing more. Each side gives up a peer that it has not heard for 30 s, and a bridge that is our child
// is killed then and started again.
//
// Both directions are level-triggered, so that a slow peer costs no more memory than there is state: of a conference the
// front keeps the newest wish, sends one at a time, and the next one when the bridge has acknowledged it; of an endpoint
// the bridge keeps the newest Transport and states, and of a conference the newest Speaker. A front that comes back, or one
// that takes over after the former was killed, is told all of these after the Hello. The users of
// the relay that have ended are told to each bridge that comes, for as long as a credential of theirs could be good.
//
// The clients' bridge channels come to the front, since that has the HTTP listeners. It hands over the descriptor of a
// connection that is plain TCP (Channels, Home.ServeChannels), so that the channel outlives it. Of a TLS connection it is a proxy
// (Proxy, Home.ServeHTTP): the keys are in its process, and the channel ends with it.
//
// A bridge has one front at a time. Who comes second is refused until the first one is gone. Without a front its
// conferences go on for a grace of 5 minutes; then they are ended, and so is Server.Run. A conference that a new front has
// not spoken for in the same time is ended too.
package link

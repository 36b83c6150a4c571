package apprtc

// Pending are the requirements of the protocol that the door does not fulfil, or not wholly, by their rows, and what is missing.
var Pending = []struct{ Row, Missing string }{
	{"A21", "a host of its own for Collider's side door; below a path of its own it can be put"},
	{"A26", "mixed audio: a member hears whoever speaks, one at a time"},
	{"A26", "a member's mute is not seen: what its client sends then is silence and black, which others get as such"},
	{"A26", "nicknames are AppRTC_NNNN, not AppRTC-CLIENT: who knows a client's id can speak in its name"},
}

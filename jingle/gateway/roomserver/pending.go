package roomserver

// Pending are the requirements of the protocol that the door does not fulfil, or not wholly, by their rows, and what is missing.
var Pending = []struct{ Row, Missing string }{
	{"R14", "reports on people of other protocols are not kept: they are no members of this door"},
	{"R15", "parley ice-agent; one registry for all nodes"},
	{"R17", "a server chosen by room or region: there is one"},
	{"R23", "countries choose ICE servers, and are in no records yet; a file that is replaced is read at the next start"},
	{"R24", "gate 2, one mixed stream for who takes no more; with more than eight others a member is shown who speaks, and hears one voice"},
	{"R32", "members of one room on two nodes"},
}

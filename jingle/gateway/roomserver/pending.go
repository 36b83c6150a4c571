package roomserver

// Pending are the requirements of the protocol that the door does not fulfil, or not wholly, by their rows, and what is missing.
var Pending = []struct{ Row, Missing string }{
	{"R24", "gate 2, one mixed stream for who takes no more; with more than eight others a member is shown who speaks, and hears one voice"},
	{"R32", "members of one room on two nodes"},
}

package muc

// Namespaces of XEP-0045 and its neighbours.
const (
	NSMUC      = "http://jabber.org/protocol/muc"
	NSUser     = "http://jabber.org/protocol/muc#user"
	NSAdmin    = "http://jabber.org/protocol/muc#admin"
	NSOwner    = "http://jabber.org/protocol/muc#owner"
	NSConfig   = "http://jabber.org/protocol/muc#roomconfig"
	NSInfo     = "http://jabber.org/protocol/muc#roominfo"
	NSRequest  = "http://jabber.org/protocol/muc#request"
	NSEnlist   = "http://jabber.org/protocol/muc#register"
	NSStableID = "http://jabber.org/protocol/muc#stable_id"
	NSSelfPing = "http://jabber.org/protocol/muc#self-ping-optimization"

	NSDiscoInfo  = "http://jabber.org/protocol/disco#info"
	NSDiscoItems = "http://jabber.org/protocol/disco#items"
	NSResultSet  = "http://jabber.org/protocol/rsm" // XEP-0059
	NSData       = "jabber:x:data"                  // XEP-0004
	NSRegister   = "jabber:iq:register"             // XEP-0077
	NSVCard      = "vcard-temp"                     // XEP-0054
	NSPing       = "urn:xmpp:ping"                  // XEP-0199
	NSDelay      = "urn:xmpp:delay"                 // XEP-0203
	NSOldDelay   = "jabber:x:delay"                 // XEP-0091
	NSStanzaID   = "urn:xmpp:sid:0"                 // XEP-0359
	NSOccupantID = "urn:xmpp:occupant-id:0"         // XEP-0421
	NSHats       = "urn:xmpp:hats:0"                // XEP-0317
	NSHints      = "urn:xmpp:hints"                 // XEP-0334
	NSRetract    = "urn:xmpp:message-retract:1"     // XEP-0424
	NSModerate   = "urn:xmpp:message-moderate:1"    // XEP-0425
	NSNick       = "http://jabber.org/protocol/nick"
	NSArchive    = "urn:xmpp:mam:2" // XEP-0313

	NSJitsi       = "http://jitsi.org/jitmeet"
	NSDisplayName = "http://jitsi.org/protocol/display-name"

	// NSParley qualifies what is ours: the code of a refused token, and fields of the configuration form.
	NSParley = "urn:parley:muc:0"
)

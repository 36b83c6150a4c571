// Package transcript runs scripts of stanza exchanges: who sends what, who receives what. The same script is run in memory
// against our own services and over TCP against another server; where they differ, the script says which paragraph of
// which XEP decides. It is imported by tests only.
//
// A file is a txtar archive. Its comment says what it is about; each file in it is a scene with a room of its own:
//
//	Romeo enters a room and says something. XEP-0045 §7.2, §7.4
//	-- enter --
//	Romeo sends:
//		<presence to='${room}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>
//
//	Romeo receives:
//		<presence from='${room}/romeo'/>
//		<message from='${room}' type='groupchat'><subject/></message>
//
// Steps are parted by empty lines; a line that starts with # is a comment. The steps are:
//
//	NAME sends:                    the stanzas, one after another
//	NAME receives:                 exactly these stanzas come next
//	NAME receives in any order:    exactly these come next, in some order
//	NAME receives nothing.         nothing has come that was not received
//	NAME ignores the rest.         forget what has come
//	NAME vanishes.                 the session ends without goodbye
//	NAME creates the room.         enters it under his name in lower case and opens it; all ignore the rest
//	NAME enters the room.          the same without opening it
//	NAME sets FIELD=VALUE ...      configures the room; FIELD lacks its muc#roomconfig_, all ignore the rest
//	Differs: XEP-0045 §7.2.3: why  the next steps differ from server to server
//	Only parley: STEP              for one of the two, only behind a line Differs
//	Only prosody: STEP
//
// NAME is an account, or Everybody where something is ignored, with a resource if the script needs several sessions of it: Romeo/phone. In stanzas ${room}, ${muc}
// and ${host} stand for the scene's room, the domain of the rooms and that of the accounts, ${Romeo} for the full and
// ${Romeo.bare} for the bare address of an account.
//
// A stanza that is received may have more children and attributes than the script says, in any order, but those that the
// script says must be there. The value * stands for any value, ! for none: the attribute, or the child whose text it is,
// must not be there. The set of status codes is compared exactly.
package transcript

package jingle

// Namespaces.
const (
	NSJingle      = "urn:xmpp:jingle:1"                                              // XEP-0166
	NSErrors      = "urn:xmpp:jingle:errors:1"                                       // XEP-0166 §10
	NSRTP         = "urn:xmpp:jingle:apps:rtp:1"                                     // XEP-0167
	NSRTPInfo     = "urn:xmpp:jingle:apps:rtp:info:1"                                // XEP-0167 §8
	NSFeedback    = "urn:xmpp:jingle:apps:rtp:rtcp-fb:0"                             // XEP-0293
	NSHeaderExt   = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0"                          // XEP-0294
	NSDTLS        = "urn:xmpp:jingle:apps:dtls:0"                                    // XEP-0320
	NSGrouping    = "urn:xmpp:jingle:apps:grouping:0"                                // XEP-0338
	NSSources     = "urn:xmpp:jingle:apps:rtp:ssma:0"                                // XEP-0339
	NSCategory    = "urn:xmpp:jingle:apps:category:0"                                // XEP-0507
	NSStream      = "urn:xmpp:jingle:apps:rtp:msid:0"                                // media streams, as stanza.js writes them
	NSICE         = "urn:xmpp:jingle:transports:ice-udp:1"                           // XEP-0176
	NSICEOption   = "http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option" // as Conversations writes them
	NSSCTP        = "urn:xmpp:jingle:transports:dtls-sctp:1"                         // XEP-0343
	NSMessage     = "urn:xmpp:jingle-message:0"                                      // XEP-0353
	NSCoin        = "urn:xmpp:coin:1"                                                // XEP-0298
	NSConference  = "urn:xmpp:jingle:av-conferences:0"                               // XEP-0521
	NSMuji        = "urn:xmpp:jingle:muji:0"                                         // XEP-0272
	NSFocus       = "http://jitsi.org/protocol/focus"
	NSColibri     = "http://jitsi.org/protocol/colibri"
	NSColibri2    = "jitsi:colibri2"
	NSJitmeet     = "http://jitsi.org/jitmeet"
	NSFrameHeight = "http://jitsi.org/jitmeet/video"
)

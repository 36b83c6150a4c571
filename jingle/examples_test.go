package jingle

// Examples of what no capture holds: the dialect of Jitsi as its clients and focus are known to speak it, and corners.

const offer = `<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" initiator="r1@muc.meet.example/focus" sid="8cq1">` +
	`<content creator="initiator" name="audio" senders="both">` +
	`<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio" maxptime="60">` +
	`<payload-type id="111" name="opus" clockrate="48000" channels="2"><parameter name="minptime" value="10"/>` +
	`<parameter name="useinbandfec" value="1"/><rtcp-fb xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" type="transport-cc"/></payload-type>` +
	`<payload-type id="112" name="red" clockrate="48000" channels="2"><parameter value="111/111"/></payload-type>` +
	`<payload-type id="126" name="telephone-event" clockrate="8000"/>` +
	`<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="1" uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"/>` +
	`<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="10" uri="urn:ietf:params:rtp-hdrext:sdes:mid"/>` +
	`<extmap-allow-mixed xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0"/><rtcp-mux/></description>` + bridgeTransport +
	`</content><content creator="initiator" name="video" senders="both">` +
	`<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="video">` +
	`<payload-type id="107" name="H264" clockrate="90000"><parameter name="profile-level-id" value="42e01f;level-asymmetry-allowed=1;packetization-mode=1;"/>` +
	`<rtcp-fb xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" type="ccm" subtype="fir"/></payload-type>` +
	`<payload-type id="99" name="rtx" clockrate="90000"><parameter name="apt" value="107"/></payload-type>` +
	`<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="4000000001" name="jvb-v0"><parameter name="msid" value="mixedmslabel mixedlabelvideo0"/>` +
	`<ssrc-info xmlns="http://jitsi.org/jitmeet" owner="jvb"/></source><rtcp-mux/></description>` + bridgeTransport + `</content>` +
	`<content creator="initiator" name="data" senders="both"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="application"/>` +
	`<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="e9Lu" pwd="rmFZXbZzKTCbDCSCrxeXQmcb">` +
	`<fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="actpass" required="true">` + sha256 + `</fingerprint>` +
	`<sctpmap xmlns="urn:xmpp:jingle:transports:dtls-sctp:1" number="5000" protocol="webrtc-datachannel" streams="1024"/></transport></content>` +
	`<group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="BUNDLE"><content name="audio"/><content name="video"/><content name="data"/></group>` +
	`<bridge-session xmlns="http://jitsi.org/protocol/focus" id="b1f0" region="eu-1"/>` +
	`<json-message xmlns="http://jitsi.org/jitmeet">` + compactExample + `</json-message></jingle>`

const bridgeTransport = `<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="e9Lu" pwd="rmFZXbZzKTCbDCSCrxeXQmcb">` +
	`<fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="actpass" required="true">` + sha256 + `</fingerprint><rtcp-mux/>` +
	`<candidate component="1" foundation="1" generation="0" id="c1" ip="203.0.113.7" network="0" port="10000" priority="2130706431" protocol="udp" type="host"/>` +
	`<web-socket xmlns="http://jitsi.org/protocol/colibri" url="wss://meet.example/colibri-ws/n1/6f/0f3a9c1e?pwd=s3cr3t&amp;x=1"/></transport>`

const compactExample = `{"sources":{` +
	`"jvb":[[{"s":4000000001,"n":"jvb-v0","m":"mixedmslabel mixedlabelvideo0"}],[],[{"s":4000000002,"n":"jvb-a0","m":"mixedmslabel mixedlabelaudio0"}]],` +
	`"64f125c7":[[{"s":1358971238,"n":"64f125c7-v0","m":"64f125c7-video-0-1 t1","v":"d"},{"s":1358971999,"n":"64f125c7-v0","m":"64f125c7-video-0-1 t1","v":"d"}],` +
	`[["f",1358971238,1358971999]],[{"s":3984908583,"n":"64f125c7-a0","m":"64f125c7-audio-0-1 t2"}]]}}`

const sourceAdd = `<jingle xmlns="urn:xmpp:jingle:1" action="source-add" sid="8cq1"><content creator="responder" name="video">` +
	`<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="video">` + camera + `</description></content></jingle>`

const camera = `<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="1" name="e-v0" videoType="camera"><parameter name="msid" value="m t"/></source>` +
	`<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="2" name="e-v0" videoType="camera"><parameter name="msid" value="m t"/></source>` +
	`<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="3" name="e-v0" videoType="camera"><parameter name="msid" value="m t"/></source>` +
	`<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="11" name="e-v0" videoType="camera"><parameter name="msid" value="m t"/></source>` +
	`<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="12" name="e-v0" videoType="camera"><parameter name="msid" value="m t"/></source>` +
	`<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="13" name="e-v0" videoType="camera"><parameter name="msid" value="m t"/></source>` +
	`<ssrc-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="SIM"><source ssrc="1"/><source ssrc="2"/><source ssrc="3"/></ssrc-group>` +
	`<ssrc-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="FID"><source ssrc="1"/><source ssrc="11"/></ssrc-group>` +
	`<ssrc-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="FID"><source ssrc="2"/><source ssrc="12"/></ssrc-group>` +
	`<ssrc-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="FID"><source ssrc="3"/><source ssrc="13"/></ssrc-group>`

// dialect are elements that must come back as they are.
var dialect = []string{
	offer, sourceAdd,
	`<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="s"><bridge-session xmlns="http://jitsi.org/protocol/focus" id="b1f0" ice-restart="true"/></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="s"><ice-state xmlns="http://jitsi.org/protocol/focus">failed</ice-state></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="s"><mute xmlns="urn:xmpp:jingle:apps:rtp:info:1" creator="initiator" name="audio"/></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="s"><ringing xmlns="urn:xmpp:jingle:apps:rtp:info:1"/></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="session-terminate" sid="s"><bridge-session xmlns="http://jitsi.org/protocol/focus" id="b1f0" restart="true"/><reason><connectivity-error/><text>ICE failed: 5 &lt; 6</text></reason></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="session-terminate" sid="s"><reason><alternative-session><sid>b84tkkwlmb48kgfb</sid></alternative-session></reason></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="transport-info" sid="s"><content creator="initiator" name="audio" senders="both"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="ffff" pwd="rmFZXbZzKTCbDCSCrxeXQmcb" ice-generation="3"><gathering-complete/></transport></content></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="transport-replace" sid="s"><content creator="initiator" name="0" senders="both"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="ffff" pwd="rmFZXbZzKTCbDCSCrxeXQmcb"><trickle xmlns="http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option"/><candidate component="1" foundation="a" generation="1" id="x" ip="2001:db8::1" network="1" port="9" priority="1" protocol="tcp" rel-addr="10.0.0.1" rel-port="4" tcptype="active" type="srflx"/></transport></content></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="content-modify" sid="s"><content creator="initiator" name="video" senders="none"><source-frame-height xmlns="http://jitsi.org/jitmeet/video" sourceName="e-v0" maxHeight="360"/></content></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="session-accept" sid="s"><content creator="initiator" name="video" senders="rejected"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="video"><source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" rid="l"/><source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" rid="h" restrictions="max-width=1280"/><rid-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="SIM"><source rid="l"/><source rid="~h"/></rid-group></description><initial-last-n xmlns="jitsi:colibri2" value="-1"/></content></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" sid="s"><content creator="initiator" name="file" senders="initiator"><description xmlns="urn:xmpp:jingle:apps:file-transfer:5"><file><name>x</name></file></description><transport xmlns="urn:xmpp:jingle:transports:s5b:1" sid="y"/></content><traceparent xmlns="urn:x">a<b/></traceparent></jingle>`,
	`<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" sid="s"><content creator="initiator" name="a" senders="both"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio"><payload-type id="0"/><rtcp-fb-trr-int xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" value="100"/><bandwidth type="AS">64</bandwidth><encryption required="true"><crypto crypto-suite="AES_CM_128_HMAC_SHA1_80" key-params="inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz" session-params="KDR=1" tag="1"/></encryption><zrtp-hash xmlns="urn:xmpp:jingle:apps:rtp:zrtp:1" version="1.10">fe30</zrtp-hash></description></content></jingle>`,
}

var messages = []string{
	`<propose xmlns="urn:xmpp:jingle-message:0" id="a73"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio"/><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="video"/></propose>`,
	`<ringing xmlns="urn:xmpp:jingle-message:0" id="a73"/>`,
	`<proceed xmlns="urn:xmpp:jingle-message:0" id="a73"><device xmlns="http://gultsch.de/xmpp/drafts/omemo/dlts-srtp-verification" id="9"/></proceed>`,
	`<accept xmlns="urn:xmpp:jingle-message:0" id="a73"/>`,
	`<reject xmlns="urn:xmpp:jingle-message:0" id="a73"><reason xmlns="urn:xmpp:jingle:1"><busy/><text>Busy</text></reason><tie-break/></reject>`,
	`<retract xmlns="urn:xmpp:jingle-message:0" id="a73"><reason xmlns="urn:xmpp:jingle:1"><cancel/></reason></retract>`,
	`<finish xmlns="urn:xmpp:jingle-message:0" id="a73"><reason xmlns="urn:xmpp:jingle:1"><expired/></reason><migrated to="989a46a6"/></finish>`,
}

var candidates = []string{
	"candidate:1791866115 1 udp 2122194687 192.0.2.2 55754 typ host generation 0 ufrag +xAy network-id 1 network-cost 10",
	"a=candidate:2 1 TCP 2105458943 192.0.2.2 9 typ host tcptype active",
	"3 1 udp 1677729535 198.51.100.7 6543 typ srflx raddr 10.0.0.1 rport 8998 generation 2",
	"candidate:1 1 udp 2113937151 4f1e1b1c-7b1f-4a3e-9d3c-0d8e1b0c2a4d.local 56789 typ host generation 0 ufrag AbCd network-cost 999",
}

var moreSDP = []string{
	// Older WebRTC data channels, SDES, a rejected medium, wildcards and restrictions.
	"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=ice-lite\na=ice-ufrag:abcd\na=ice-pwd:0123456789abcdef012345\na=ice-options:ice2 trickle\n" +
		"a=fingerprint:sha-256 " + sha256 + "\na=fingerprint:sha-1 00\na=setup:active\nm=application 9 DTLS/SCTP 5000\na=mid:data\na=sctpmap:5000 webrtc-datachannel 1024\n" +
		"m=audio 0 UDP/TLS/RTP/SAVPF 0\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96 97\nb=AS:500\na=mid:v\na=rtpmap:96 VP8/90000\na=rtcp-fb:* nack pli\na=rtcp-fb:* trr-int 100\na=rtpmap:97 rtx/90000\n" +
		"a=fmtp:97 apt=96; rtx-time=200;;\na=extmap:3/recvonly urn:ietf:params:rtp-hdrext:encrypt urn:x 25=600@1200/24\na=cryptex\n" +
		"a=rid:h recv pt=96;max-width=1280\na=rid:l recv\na=simulcast:recv h,l;~l send h\na=msid:a b\na=msid:c\na=recvonly\n",
	"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=audio 4000 RTP/SAVP 0 101\nc=IN IP4 192.0.2.1\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNf KDR=1 UNENCRYPTED_SRTP\n" +
		"a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\na=maxptime:120\na=ssrc:5 cname:x\na=ssrc:5 name:e-a0\na=ssrc:6 label\na=ssrc:7 msid\na=msid:a b\n",
	// A source of another stream than the medium says, and one of none.
	"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE 0\nm=audio 9 RTP/AVPF 0\na=mid:0\na=msid:a b\na=ssrc:1 msid:c d\na=ssrc:2 cname:x\n",
}

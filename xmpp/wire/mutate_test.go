package wire

import "math/rand"

// seeds are stanzas as clients send them, and the corners of XML that matter.
var seeds = []string{
	`<message to='bob@x/y' id='1' type='chat'><body>hi &amp; there ö ]] &#x41;</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>`,
	`<iq to="a@b" from='c@d' id='q' type='get'><query xmlns='jabber:iq:roster'><item jid='x@y' name='"q"'/></query></iq>`,
	`<presence xml:lang='en'><c xmlns='urn:caps' xmlns:p='urn:p' p:a='1' a='2'><p:z/></c><![CDATA[ <x> ]]></presence>`,
	`<iq type='set' id='2'><jingle xmlns='urn:j' xmlns:q='u1' xmlns:r='u2'><q:a q:n='1' r:n='2'/><t a = "b" c='&#10;&lt;'  /></jingle></iq>`,
	`<stream:error><x xmlns='urn:e'/></stream:error>`,
	`<message xmlns="jabber:client" to='😀@x'><body>日本語 &#128512; ` + "\xf4\x8f\xbf\xbd \xc3\xa9" + `</body></message>`,
	`<message xmlns:m='http://jabber.org/protocol/muc#user' type='groupchat' to='r@muc.x'><m:x><m:status code='110'/></m:x><body/></message>`,
	`<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='5'/>`,
}

// bits are what mutate puts where it does not belong.
var bits = []string{"<", ">", "/", "'", "\"", "&", "&amp;", "&lt;", "&#0;", "&#x1F;", "&#xD800;", "&#65;", "&bogus;",
	"]]>", "]]", "<!--x-->", "<?pi x?>", "<!DOCTYPE a>", "<![CDATA[", "<![CDATA[a]]>", "xmlns='u'", "xmlns:p='u'", " xmlns:p='u'", "xmlns:p=''",
	" xmlns=''", "p:", "q:", ":", "=", " ", "\n", "\t", "\r", "\x00", "\x0b", "\x7f", "\xc0\x80", "\xed\xa0\x80",
	"\xef\xbf\xbe", "\xef\xbf\xbf", "\xf4\x90\x80\x80", "\xe2\x82", "\xeb<", "é", " xml:lang='x'", " a='1' a='2'",
	" to='z'", " xmlns:xml='http://www.w3.org/XML/1998/namespace'", " xmlns:xmlns='u'", "<a>", "</a>", "<a/>", "</message>",
	"<message>", "-", "1", "stream:", " stream:x='1'", "\xc2\x85", "\xe2\x80\xa8", "\ufeff", " xmlns:p='http://jabber.org/protocol/muc#user'"}

// mutate makes a document out of seeds with up to four faults in it.
func mutate(r *rand.Rand) []byte {
	var b []byte
	for k := 0; k <= r.Intn(3); k++ {
		b = append(b, seeds[r.Intn(len(seeds))]...)
		if r.Intn(3) == 0 {
			b = append(b, "\n "...)
		}
	}
	for k := r.Intn(5); k > 0 && len(b) > 0; k-- {
		i := r.Intn(len(b))
		switch r.Intn(6) {
		case 0:
			b = append(b[:i], b[i+1:]...)
		case 1:
			b[i] = byte(r.Intn(256))
		case 2, 3:
			b = append(b[:i], append([]byte(bits[r.Intn(len(bits))]), b[i:]...)...)
		case 4:
			b = append(b[:i], b[i+r.Intn(len(b)-i):]...)
		case 5:
			c := append([]byte(nil), b[i:i+r.Intn(len(b)-i)]...)
			p := r.Intn(len(b))
			b = append(b[:p], append(c, b[p:]...)...)
		}
	}
	return b
}

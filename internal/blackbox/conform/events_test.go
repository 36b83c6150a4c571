package conform

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

const (
	nsPubSub    = "http://jabber.org/protocol/pubsub"
	nsOwner     = nsPubSub + "#owner"
	nsBookmarks = "urn:xmpp:bookmarks:1"
	nsMood      = "http://jabber.org/protocol/mood"
	mood        = "<mood xmlns='" + nsMood + "'><happy/></mood>"
	picture     = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

func publish(node, id, payload string, options ...string) string {
	more := ""
	if len(options) > 0 {
		more = "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>" + nsPubSub + "#publish-options</value></field>"
		for i := 0; i < len(options); i += 2 {
			more += "<field var='pubsub#" + options[i] + "'><value>" + options[i+1] + "</value></field>"
		}
		more += "</x></publish-options>"
	}
	return "<pubsub xmlns='" + nsPubSub + "'><publish node='" + node + "'><item id='" + id + "'>" + payload + "</item></publish>" + more + "</pubsub>"
}

func nodeItems(node string) string {
	return "<pubsub xmlns='" + nsPubSub + "'><items node='" + node + "'/></pubsub>"
}

func avatar() (sum, data, metadata string) {
	raw, _ := base64.StdEncoding.DecodeString(picture)
	digest := sha1.Sum(raw)
	sum = hex.EncodeToString(digest[:])
	return sum, publish("urn:xmpp:avatar:data", sum, "<data xmlns='urn:xmpp:avatar:data'>"+picture+"</data>"),
		publish("urn:xmpp:avatar:metadata", sum, "<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='70' id='"+sum+"' type='image/png' width='1' height='1'/></metadata>")
}

// events are about what accounts publish.
var events = []row{
	{"XEP-0163 §4", "contacts who want it are told", "", func(s *scene) {
		ann, bob, carl := s.client("ann").present(), s.client("bob").present(), s.client("carl").present()
		befriend(ann, bob)
		befriend(ann, carl)
		bob.notified(nsMood)
		ann.set("", publish(nsMood, "1", mood))
		got := bob.gets("<message", "<event xmlns='"+nsPubSub+"#event'>", "<items node='"+nsMood+"'>")
		wants(s, got, "from='"+ann.account+"'", "<happy/>")
		carl.lacks(ann, nsMood)
	}},
	{"XEP-0163 §4.3.4", "who comes later is told the last", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		befriend(ann, bob)
		ann.set("", publish(nsMood, "1", mood))
		phone := s.again(bob, "phone").notified(nsMood)
		wants(s, phone.gets("<items node='"+nsMood+"'>"), "from='"+ann.account+"'", "<happy/>")
	}},
	{"XEP-0163 §3", "who may see it", "", func(s *scene) {
		ann, bob, eve := s.client("ann").present(), s.client("bob").present(), s.client("eve").present()
		befriend(ann, bob)
		ann.set("", publish(nsMood, "1", mood)) // for contacts, unless it says something else
		bob.get(ann.account, nodeItems(nsMood), "<happy/>")
		eve.refused("get", ann.account, nodeItems(nsMood), "not-authorized", "presence-subscription-required")
		eve.refused("set", ann.account, publish(nsMood, "2", mood), "forbidden")
		ann.get("", info, "<identity category='pubsub' type='pep'")
	}},
	{"XEP-0060 §7.1", "published, changed, found, retracted", "", func(s *scene) {
		c := s.client("ann")
		c.set("", publish("urn:x:notes", "a", "<note xmlns='urn:x:notes'>1</note>", "max_items", "10", "persist_items", "true"))
		c.set("", publish("urn:x:notes", "b", "<note xmlns='urn:x:notes'>2</note>"))
		c.set("", publish("urn:x:notes", "a", "<note xmlns='urn:x:notes'>3</note>"))
		got := c.get("", nodeItems("urn:x:notes"), ">2</note>", ">3</note>")
		if strings.Contains(got, ">1</note>") {
			s.Errorf("both of one id: %s", got)
		}
		c.set("", "<pubsub xmlns='"+nsPubSub+"'><retract node='urn:x:notes' notify='true'><item id='a'/></retract></pubsub>")
		if got := c.get("", nodeItems("urn:x:notes"), ">2</note>"); strings.Contains(got, ">3</note>") {
			s.Errorf("still there: %s", got)
		}
		c.refused("set", "", "<pubsub xmlns='"+nsPubSub+"'><retract node='urn:x:notes'><item id='a'/></retract></pubsub>", "item-not-found")
	}},
	{"XEP-0060 §7.1.5", "options are conditions of a node that is there", "", func(s *scene) {
		c := s.client("ann")
		c.set("", publish("urn:x:notes", "a", "<note xmlns='urn:x:notes'/>", "access_model", "whitelist"))
		c.set("", publish("urn:x:notes", "a", "<note xmlns='urn:x:notes'/>", "access_model", "whitelist"))
		c.refused("set", "", publish("urn:x:notes", "b", "<note xmlns='urn:x:notes'/>", "access_model", "open"), "conflict", "precondition-not-met")
	}},
	{"XEP-0060 §8.2", "a node is configured", "", func(s *scene) {
		ann, eve := s.client("ann"), s.client("eve")
		ann.set("", publish(nsMood, "1", mood))
		ann.get("", "<pubsub xmlns='"+nsOwner+"'><configure node='"+nsMood+"'/></pubsub>", "pubsub#access_model")
		ann.set("", "<pubsub xmlns='"+nsOwner+"'><configure node='"+nsMood+"'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>"+
			nsPubSub+"#node_config</value></field><field var='pubsub#access_model'><value>open</value></field></x></configure></pubsub>")
		eve.get(ann.account, nodeItems(nsMood), "<happy/>")
	}},
	{"XEP-0060 §8.4", "a node is deleted", "", func(s *scene) {
		c := s.client("ann")
		c.set("", publish(nsMood, "1", mood))
		c.set("", "<pubsub xmlns='"+nsOwner+"'><delete node='"+nsMood+"'/></pubsub>")
		c.refused("get", "", nodeItems(nsMood), "item-not-found")
	}},
	{"XEP-0223 §3", "a node of one's own alone, told to one's other sessions", "", func(s *scene) {
		ann, eve := s.client("ann").present(), s.client("eve").present()
		befriend(ann, eve)
		phone := s.again(ann, "phone").notified("urn:x:notes")
		ann.set("", publish("urn:x:notes", "a", "<note xmlns='urn:x:notes'>mine</note>", "persist_items", "true", "access_model", "whitelist"))
		phone.gets("<items node='urn:x:notes'>", ">mine</note>")
		eve.refused("get", ann.account, nodeItems("urn:x:notes"), "not-allowed")
	}},
	{"XEP-0402 §3", "bookmarks, told to one's other sessions", "", func(s *scene) {
		ann := s.client("ann").present()
		phone := s.again(ann, "phone").notified(nsBookmarks)
		ann.set("", publish(nsBookmarks, "room@muc.localhost", "<conference xmlns='"+nsBookmarks+"' name='The room' autojoin='true'><nick>Ann</nick></conference>",
			"persist_items", "true", "max_items", "max", "send_last_published_item", "never", "access_model", "whitelist"))
		phone.gets("<items node='"+nsBookmarks+"'>", "id='room@muc.localhost'", "<nick>Ann</nick>")
		ann.get("", info, "urn:xmpp:bookmarks:1#compat") // XEP-0411
	}},
	{"XEP-0048 §3.1", "the same bookmarks for older clients", "", func(s *scene) {
		c := s.client("ann")
		c.set("", publish(nsBookmarks, "room@muc.localhost", "<conference xmlns='"+nsBookmarks+"' name='The room' autojoin='true'><nick>Ann</nick></conference>"))
		c.get("", "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>", "jid='room@muc.localhost'", "<nick>Ann</nick>")
	}},
	{"XEP-0411 §3", "and the other way round", "", func(s *scene) {
		c := s.client("ann")
		c.set("", "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference jid='old@muc.localhost' name='Old' autojoin='1'><nick>Ann</nick></conference></storage></query>")
		c.get("", nodeItems(nsBookmarks), "<item id='old@muc.localhost'", "<nick>Ann</nick>")
	}},
	{"XEP-0084 §4", "an avatar is published and fetched", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		befriend(ann, bob)
		bob.notified("urn:xmpp:avatar:metadata")
		sum, data, metadata := avatar()
		ann.set("", data)
		ann.set("", metadata)
		bob.gets("<items node='urn:xmpp:avatar:metadata'>", "id='"+sum+"'", "from='"+ann.account+"'")
		bob.get(ann.account, "<pubsub xmlns='"+nsPubSub+"'><items node='urn:xmpp:avatar:data'><item id='"+sum+"'/></items></pubsub>", picture)
	}},
	{"XEP-0398 §3", "an avatar is in the vCard, and its hash in presence", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		befriend(ann, bob)
		ann.get("", info, "<feature var='urn:xmpp:pep-vcard-conversion:0'/>")
		sum, data, metadata := avatar()
		ann.set("", data)
		ann.set("", metadata)
		bob.get(ann.account, "<vCard xmlns='vcard-temp'/>", "<PHOTO", "<BINVAL>"+picture)
		ann.say("<presence><show>chat</show></presence>")
		wants(s, bob.gets("<presence", "<show>chat", "from='"+ann.JID+"'"), "<x xmlns='vcard-temp:x:update'><photo>"+sum+"</photo>")
	}},
	{"XEP-0153 §4.1", "a vCard's picture is an avatar of PEP", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		befriend(ann, bob)
		sum, _, _ := avatar()
		ann.set("", "<vCard xmlns='vcard-temp'><FN>Ann</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>"+picture+"</BINVAL></PHOTO></vCard>")
		bob.get(ann.account, nodeItems("urn:xmpp:avatar:metadata"), "id='"+sum+"'")
	}},
	{"XEP-0054 §3", "vCards are read by all, written by their owner", "", func(s *scene) {
		ann, eve := s.client("ann"), s.client("eve")
		const card = "<vCard xmlns='vcard-temp'><FN>Ann Example</FN></vCard>"
		ann.set("", card)
		eve.get(ann.account, "<vCard xmlns='vcard-temp'/>", "<FN>Ann Example</FN>")
		eve.refused("set", ann.account, card)
		eve.get("", "<vCard xmlns='vcard-temp'/>") // none yet: an empty one, or item-not-found by others
	}},
	{"XEP-0292 §3", "a vCard4 as a node", "", func(s *scene) {
		c := s.client("ann")
		c.set("", publish("urn:xmpp:vcard4", "current", "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Ann</text></fn></vcard>"))
		c.get("", nodeItems("urn:xmpp:vcard4"), "<text>Ann</text>")
	}},
	{"XEP-0384 §5.3", "devices and bundles that everybody may read", "", func(s *scene) {
		ann, eve := s.client("ann"), s.client("eve")
		ann.set("", publish("eu.siacs.conversations.axolotl.devicelist", "current", "<list xmlns='eu.siacs.conversations.axolotl'><device id='7'/></list>", "access_model", "open"))
		ann.set("", publish("eu.siacs.conversations.axolotl.bundles:7", "current", "<bundle xmlns='eu.siacs.conversations.axolotl'/>", "access_model", "open"))
		eve.get(ann.account, nodeItems("eu.siacs.conversations.axolotl.devicelist"), "<device id='7'/>")
		eve.get(ann.account, nodeItems("eu.siacs.conversations.axolotl.bundles:7"), "<bundle ")
	}},
}

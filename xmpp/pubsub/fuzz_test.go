package pubsub

import (
	"bytes"
	"testing"

	"parley/xmpp/wire"
)

// FuzzRequests has an account's owner and a stranger send requests of any shape. Each is answered with one well-formed stanza,
// whatever it does to the nodes, and what others are told is well-formed too.
func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		publishing(tune, "1", aTune), with(publishing(NSBookmarks, "a@b", theplay), "pubsub#max_items", "max"),
		publishing(NSStorage, "current", storage(oldPlay, aLink)), inPrivate(storage(oldPlay, oldTree)), emptyStorage,
		asking(tune, " max_items='1'/>"), asking(tune, "><item id='1'/></items><set xmlns='"+NSRSM+"'><max>1</max><before/></set>"),
		"<pubsub xmlns='" + NS + "'><retract node='n' notify='1'><item id='1'/></retract></pubsub>",
		"<pubsub xmlns='" + NS + "'><create node='n'/><configure>" + form(nsConfig, "pubsub#access_model", "open") + "</configure></pubsub>",
		subscribing("subscribe", tune, juliet), subscribing("unsubscribe", tune, juliet), "<pubsub xmlns='" + NS + "'><subscriptions/></pubsub>",
		configuring(tune, "pubsub#title", "x", "pubsub#notify_config", "1"), owning("<default/>"), owning("<delete node='n'/>"), owning("<purge node='" + tune + "'/>"),
		owning("<affiliations node='" + tune + "'><affiliation jid='a@b' affiliation='member'/></affiliations>"),
		owning("<subscriptions node='" + tune + "'><subscription jid='a@b' subscription='none'/></subscriptions>"),
		"<query xmlns='" + NSInfo + "' node='" + tune + "'/>", "<query xmlns='" + NSItems + "'/>", getCard,
		"<vCard xmlns='vcard-temp'><FN>J</FN>" + photoOf + "</vCard>", publishing(NSAvatar, pngHash, pngData), publishing(NSMetadata, pngHash, pngMeta),
		"<x:pubsub xmlns:x='" + NS + "'><x:publish node='n'><x:item><p x:k=\"'\"/></x:item></x:publish></x:pubsub>",
	} {
		for _, typ := range []string{"get", "set"} {
			f.Add("<iq type='" + typ + "' id='1'>" + seed + "</iq>")
		}
	}
	w := shakespeare(f)
	s, stranger := w.login("juliet@capulet.lit/b", tune, "n", NSStorage), w.login("paris@capulet.lit/1")
	f.Fuzz(func(t *testing.T, text string) {
		scanner := wire.Scanner{Limits: wire.AfterAuth}
		_, p, err := scanner.Next([]byte(text))
		if err != nil || p.Kind != wire.IQ || string(p.Type()) != "get" && string(p.Type()) != "set" || p.HasTo() {
			return
		}
		for _, who := range []*session{s, stranger} {
			w.t = t
			who.raw(juliet, text)
			answers := 0
			for _, st := range who.take() {
				b := []byte(st)
				scanner := wire.Scanner{Limits: wire.Limits{Size: len(b), Depth: 64}}
				if _, out, err := scanner.Next(b); err != nil {
					t.Fatalf("%s\ncauses %s: %v", text, st, err)
				} else if out.Kind == wire.IQ {
					answers++
				}
			}
			local, ns := p.Child()
			elsewhere := string(local) == "query" && string(ns) == NSInfo || string(ns) != NS && string(ns) != NSOwner && string(ns) != NSVCard
			if answers != 1 && !elsewhere {
				t.Fatalf("%s has %d answers", text, answers)
			}
		}
	})
}

// FuzzStamp puts an avatar into presence of any shape: what is there otherwise stays.
func FuzzStamp(f *testing.F) {
	for _, seed := range []string{"<presence/>", "<presence to='a@b/c' xmlns:p='u:p'><p:a/><x xmlns='" + NSUpdate + "'/>text</presence>",
		"<presence><x xmlns='" + NSUpdate + "'><photo>1</photo></x><x xmlns='" + NSUpdate + "'/></presence>", "<presence ><![CDATA[<x/>]]></presence >"} {
		f.Add(seed)
	}
	w := shakespeare(f)
	s := w.login("juliet@capulet.lit/b")
	portrait(s)
	f.Fuzz(func(t *testing.T, text string) {
		scanner := wire.Scanner{Limits: wire.AfterAuth}
		_, p, err := scanner.Next([]byte(text))
		if err != nil || p.Kind != wire.Presence || len(p.Type()) > 0 {
			return
		}
		out := w.s.Stamp(s, p)
		if !bytes.Equal(out.To(), p.To()) || !bytes.Equal(out.ID(), p.ID()) {
			t.Fatalf("%s became %s", p.Raw(), out.Raw())
		}
		var before, after [][]byte
		for it := p.Elem().Children(); it.Next(); {
			if !it.Elem.Is("x", NSUpdate) {
				before = append(before, it.Elem.Raw())
			}
		}
		updates := 0
		for it := out.Elem().Children(); it.Next(); {
			if it.Elem.Is("x", NSUpdate) {
				updates++
			} else {
				after = append(after, it.Elem.Raw())
			}
		}
		if !bytes.Equal(bytes.Join(before, nil), bytes.Join(after, nil)) || updates == 0 {
			t.Fatalf("%s became %s", p.Raw(), out.Raw())
		}
	})
}

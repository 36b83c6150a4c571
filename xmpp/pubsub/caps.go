package pubsub

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"slices"
	"strings"

	"parley/xmpp/wire"
)

// capsKey names what a client says that it can do (XEP-0115 §4). A client whose string is not a hash of what it says is
// alone with it, and its key names it.
type capsKey struct {
	hash, ver string
	node      string
	only      wire.Addr
}

// capsIn reads the capabilities in presence, which is the tail of a stanza; ok is false if there are none.
func capsIn(tail []byte, from wire.Addr) (key capsKey, ok bool) {
	raw := append(append(make([]byte, 0, len(tail)+9), "<presence"...), tail...)
	c := wire.ParseElem(raw).Child("c", NSCaps)
	if !c.Ok() {
		return key, false
	}
	key = capsKey{hash: c.AttrString("hash"), ver: c.AttrString("ver"), node: c.AttrString("node")}
	if key.ver == "" || len(key.ver) > 256 || len(key.node) > 512 {
		return key, false
	}
	if sum(key.hash, nil) == nil {
		key.only = from // of before hashes were (§1, note on legacy), or of a kind that is not known
	}
	return key, true
}

// shared is the key under which an answer is good for all clients: the node does not matter, for the hash says it all.
func (k capsKey) shared() capsKey {
	if k.only == "" {
		k.node = ""
	}
	return k
}

// sum hashes with the function of that name in the registry, nil if it is not known.
func sum(name string, b []byte) []byte {
	switch name {
	case "sha-1":
		s := sha1.Sum(b)
		return s[:]
	case "sha-256":
		s := sha256.Sum256(b)
		return s[:]
	case "sha-512":
		s := sha512.Sum512(b)
		return s[:]
	}
	return nil
}

// caps is the part of what a client can do that matters here: the nodes that it wants events about, in order.
type caps struct{ nodes []string }

// Most nodes that one client may ask for, and the longest name of one.
const (
	mostNodes   = 128
	longestNode = 512
)

// readCaps reads a disco#info answer and reports that it is well-formed and has this hash (§5.4).
func readCaps(query wire.Elem, hash, ver string) (c *caps, verified bool) {
	c = &caps{}
	var identities, features, forms []string
	for it := query.Children(); it.Next(); {
		e := it.Elem
		switch {
		case e.Is("identity", NSInfo):
			lang, _ := e.Attr("xml:lang")
			identities = append(identities, e.AttrString("category")+"/"+e.AttrString("type")+"/"+wire.UnescapeString(lang)+"/"+e.AttrString("name")+"<")
		case e.Is("feature", NSInfo):
			name := e.AttrString("var")
			features = append(features, name+"<")
			if node, ok := strings.CutSuffix(name, notify); ok && len(node) <= longestNode && len(c.nodes) < mostNodes {
				c.nodes = append(c.nodes, node)
			}
		case e.Is("x", NSData):
			if form := formString(e); form != "" {
				forms = append(forms, form)
			}
		}
	}
	slices.Sort(c.nodes)
	c.nodes = slices.Compact(c.nodes)
	var all strings.Builder
	unique := true
	for _, list := range [][]string{identities, features, forms} {
		slices.Sort(list)
		for i, v := range list {
			unique = unique && (i == 0 || list[i-1] != v)
			all.WriteString(v)
		}
	}
	have := sum(hash, []byte(all.String()))
	return c, unique && have != nil && base64.StdEncoding.EncodeToString(have) == ver
}

// formString is what a form adds to the string that is hashed (§5.1, steps 6 and 7), "" if the form does not count.
func formString(x wire.Elem) string {
	var formType string
	var list []string
	for it := x.Children(); it.Next(); {
		if !it.Elem.Is("field", NSData) {
			continue
		}
		name := it.Elem.AttrString("var")
		var values []string
		for vs := it.Elem.Children(); vs.Next(); {
			if vs.Elem.Is("value", NSData) {
				values = append(values, vs.Elem.Text()+"<")
			}
		}
		if name == "FORM_TYPE" {
			if len(values) > 0 && it.Elem.AttrString("type") == "hidden" {
				formType = values[0]
			}
			continue
		}
		slices.Sort(values)
		list = append(list, name+"<"+strings.Join(values, ""))
	}
	if formType == "" {
		return ""
	}
	slices.Sort(list)
	return formType + strings.Join(list, "")
}

// cache holds verified capabilities. When the young half is full it becomes the old one, and what nobody asked for since
// is forgotten.
type cache struct{ young, old map[capsKey]*caps }

// halfCache bounds the capabilities of one half. With those of today's clients it is never full.
const halfCache = 1000

func (c *cache) get(k capsKey) *caps {
	if v := c.young[k]; v != nil {
		return v
	}
	v := c.old[k]
	if v != nil {
		c.put(k, v)
	}
	return v
}

func (c *cache) put(k capsKey, v *caps) {
	if c.young == nil || len(c.young) >= halfCache {
		c.old, c.young = c.young, make(map[capsKey]*caps)
	}
	c.young[k] = v
}

package focus

import (
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"
	"sync"

	"parley/xmpp/wire"
)

// capsCache remembers what clients can do by their caps hash (XEP-0115). Only what fits its hash enters, so nobody speaks
// for another's client. It is safe for concurrent use.
type capsCache struct {
	mu    sync.Mutex // guards known
	known map[string]Features
}

// maxCaps bounds the hashes remembered: any client can invent some.
const maxCaps = 1000

func (c *capsCache) get(ver string) (Features, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.known[ver]
	return f, ok
}

func (c *capsCache) put(ver string, f Features) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[string]Features)
	}
	if len(c.known) >= maxCaps {
		for old := range c.known { // any one
			delete(c.known, old)
			break
		}
	}
	c.known[ver] = f
}

// verify reports that ver is the hash of a disco#info result, by the steps of XEP-0115 §5.1 and the checks of §5.4. The
// hashed text can be read in more than one way, which would let a client hide features of all others that announce the same
// hash: an answer that leaves a choice (a form, a '<' in a name, a feature dressed as an identity) does not count.
func verify(query wire.Elem, ver string) bool {
	var identities, features []string
	for it := query.Children(); it.Next(); {
		switch e := it.Elem; {
		case e.Is("identity", NSDisco):
			category, typ := e.AttrString("category"), e.AttrString("type")
			lang, _ := e.Attr("xml:lang")
			text := category + "/" + typ + "/" + wire.UnescapeString(lang) + "/" + e.AttrString("name")
			if strings.Contains(category, ":") || strings.Contains(text, "<") {
				return false
			}
			identities = append(identities, text+"<")
		case e.Is("feature", NSDisco):
			name := e.AttrString("var")
			if strings.Contains(name, "<") {
				return false
			}
			features = append(features, name+"<")
		default:
			return false
		}
	}
	for _, list := range [][]string{identities, features} {
		slices.Sort(list)
		if len(slices.Compact(slices.Clone(list))) != len(list) {
			return false // ill-formed: something stands twice
		}
	}
	sum := sha1.Sum([]byte(strings.Join(slices.Concat(identities, features), "")))
	return base64.StdEncoding.EncodeToString(sum[:]) == ver
}

package command

import (
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Discover answers service discovery about commands (XEP-0050 §2): which there are that the asker may execute, and what one
// of them is. It reports that the request was about that.
func (s *Service) Discover(b *wire.Batch, from route.Sender, p *wire.Packet) bool {
	query := p.Elem().First()
	node, ns := query.AttrString("node"), string(query.NS())
	c := s.find(node)
	if node != NS && c == nil || string(p.Type()) != "get" {
		return false
	}
	if c != nil && !s.may(c, from) {
		s.refuse(b, from, p, errForbidden)
		return true
	}
	out := wire.AppendAttr([]byte("<query xmlns='"+ns+"'"), "node", node)
	out = append(out, '>')
	switch {
	case ns == nsItems && c == nil:
		for _, c := range s.commands {
			if s.may(c, from) {
				out = wire.AppendAttr(append(out, "<item"...), "jid", string(s.domain))
				out = wire.AppendAttr(out, "node", c.Node)
				out = append(wire.AppendAttr(out, "name", c.Name), "/>"...)
			}
		}
	case ns == nsInfo && c == nil:
		out = append(out, "<identity category='automation' type='command-list' name='Commands'/><feature var='"+nsInfo+"'/><feature var='"+nsItems+"'/>"...)
	case ns == nsInfo:
		out = wire.AppendAttr(append(out, "<identity category='automation' type='command-node'"...), "name", c.Name)
		out = append(out, "/><feature var='"+NS+"'/><feature var='jabber:x:data'/>"...)
	}
	from.Deliver(b, "", p.Result(s.domain, append(out, "</query>"...)))
	return true
}

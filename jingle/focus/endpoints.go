package focus

import "parley/xmpp/wire"

// Endpoints are the members of the conference in a room, by the names that the bridge has for them (api.Figures.Member), and the id
// of the conference there; none without a conference.
func (f *Focus) Endpoints(room wire.Addr) (meeting string, of map[string]wire.Addr) {
	f.mu.Lock()
	c := f.conferences[room]
	f.mu.Unlock()
	if c == nil {
		return "", nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of = make(map[string]wire.Addr, len(c.members))
	for _, m := range c.members {
		of[m.endpoint] = m.addr
	}
	return c.meeting, of
}

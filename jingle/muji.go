package jingle

import "parley/xmpp/wire"

// MujiPresence is what the presence of an occupant says of its part in the Muji conference of the room (XEP-0272 §3): each content
// has a name and a description, which holds payload types and nothing else.
type MujiPresence struct {
	Contents  []Content
	Preparing bool // it joins, or is about to add a content
}

// mujiLimits bound one presence: people have a voice and a picture or two.
var mujiLimits = Limits{Contents: 8}

// ParseMuji reads the <muji/> of a presence. Contents that are not RTP are left out. The error is a *wire.Error.
func ParseMuji(e wire.Elem) (*MujiPresence, error) {
	if !e.Is("muji", NSMuji) {
		return nil, badRequest("no muji element")
	}
	d := decoder{limits: mujiLimits}
	m := &MujiPresence{}
	var all []Content
	for it := e.Children(); it.Next() && d.err == nil; {
		switch c := it.Elem; {
		case c.Is("preparing", NSMuji):
			m.Preparing = true
		case c.Is("content", NSJingle), c.Is("content", NSMuji): // the XEP's examples declare no namespace of contents, clients do
			put(&d, &all, d.limits.Contents, "contents", d.content(c))
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	for i := range all {
		x := &all[i]
		if x.Description == nil {
			continue
		}
		m.Contents = append(m.Contents, Content{Creator: Initiator, Name: x.Name, Senders: Both,
			Description: &Description{Media: x.Description.Media, PayloadTypes: x.Description.PayloadTypes}})
	}
	j := Jingle{Contents: m.Contents}
	if err := j.checkContents(mujiLimits); err != nil {
		return nil, err
	}
	return m, nil
}

// Append appends the <muji/> element.
func (m *MujiPresence) Append(dst []byte) []byte {
	w := writer{dst}
	w.open("muji", NSMuji)
	if len(m.Contents) == 0 && !m.Preparing {
		w.empty()
		return w.b
	}
	w.inner()
	for i := range m.Contents {
		c := &m.Contents[i]
		w.open("content", NSJingle)
		w.attr("creator", string(Initiator))
		w.attr("name", c.Name)
		w.inner()
		c.Description.append(&w)
		w.end("content")
	}
	if m.Preparing {
		w.open("preparing", "")
		w.empty()
	}
	w.end("muji")
	return w.b
}

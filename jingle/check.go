package jingle

import "strings"

const maxExtID = 4351 // RFC 8285 §5: 1 to 255, and 4096 to 4351 in offers that hold more than can be used

// Check reports the first rule that the values break, as a *wire.Error: bounds, names that must not repeat, and characters
// that would leave their place in XML or SDP. Parse and FromSDP call it; call it for values that were put together by
// hand from a peer's words.
func (j *Jingle) Check(l Limits) error {
	switch {
	case !j.Action.known():
		return badRequest("unknown action")
	case j.SID == "" || !isText(j.SID, maxName):
		return badRequest("bad session id")
	case !isText(j.Initiator, maxAddress), !isText(j.Responder, maxAddress):
		return badRequest("bad initiator or responder")
	case len(j.Contents) == 0 && j.Action.wantsContents() && j.Sources == nil:
		return badRequest("the action wants contents")
	}
	if err := j.checkInfo(); err != nil {
		return err
	}
	return j.checkContents(l)
}

func (j *Jingle) checkInfo() error {
	if r := j.Reason; r != nil && (!r.Condition.known() || !isMultiline(r.Text) || !isText(r.SID, maxName)) {
		return badRequest("bad reason")
	}
	if i := j.Info; i != nil {
		switch i.Creator {
		case "", Initiator, Responder:
		default:
			return badRequest("bad creator")
		}
		if !i.Kind.known() && i.Kind != ICEState || !isText(i.Name, maxName) || !isText(i.Text, maxText) {
			return badRequest("bad session information")
		}
	}
	if m := j.Muji; m != nil && !isText(m.Room, maxAddress) {
		return badRequest("bad room")
	}
	if c := j.Conference; c != nil {
		if err := c.check(); err != nil {
			return err
		}
	}
	if b := j.Bridge; b != nil && (!isText(b.ID, maxName) || !isText(b.Region, maxName)) {
		return badRequest("bad bridge session")
	}
	return nil
}

// checkContents is the part of Check that holds for a session description too.
func (j *Jingle) checkContents(l Limits) error {
	if len(j.Contents) > l.Contents {
		return tooMany("contents")
	}
	if len(j.Groups) > maxGroups {
		return tooMany("groups")
	}
	// Names are unique per creator (XEP-0166 §7.3), and SDP and groups know no creator.
	if !unique(j.Contents, func(c *Content) string { return c.Name }) {
		return badRequest("two contents of one name")
	}
	candidates, sources, groups := 0, 0, 0
	ssrcs := make(map[uint32]bool)
	for i := range j.Contents {
		c := &j.Contents[i]
		if err := c.check(); err != nil {
			return err
		}
		if t := c.Transport; t != nil {
			candidates += len(t.Candidates)
			if err := t.check(); err != nil {
				return err
			}
		}
		if d := c.Description; d != nil {
			sources, groups = sources+len(d.Sources), groups+len(d.SourceGroups)
			if err := d.check(); err != nil {
				return err
			}
			for _, s := range d.Sources {
				if ssrcs[s.SSRC] {
					return badRequest("an SSRC is used twice")
				}
				ssrcs[s.SSRC] = true
			}
		}
	}
	switch {
	case candidates > l.Candidates:
		return tooMany("candidates")
	case sources > l.Sources:
		return tooMany("sources")
	case groups > l.Groups:
		return tooMany("source groups")
	}
	return j.checkGroups(l)
}

func (j *Jingle) checkGroups(l Limits) error {
	bundled := make(map[string]bool)
	for _, g := range j.Groups {
		if !isToken(g.Semantics) || len(g.Contents) > l.Contents {
			return badRequest("bad group")
		}
		if !unique(g.Contents, func(s *string) string { return *s }) {
			return badRequest("a group names a content twice")
		}
		for _, name := range g.Contents {
			if name == "" || !isText(name, maxName) {
				return badRequest("bad group")
			}
			if g.Semantics == "BUNDLE" { // RFC 9143 §7: a medium is in one bundle at most
				if bundled[name] {
					return badRequest("a content is in two bundles")
				}
				bundled[name] = true
			}
		}
	}
	return nil
}

func (c *Content) check() error {
	switch c.Creator {
	case Initiator, Responder:
	default:
		return badRequest("bad creator")
	}
	if !c.Senders.known() && c.Senders != RejectedContent {
		return badRequest("bad senders")
	}
	if c.Name == "" || !isText(c.Name, maxName) || !isText(c.Disposition, maxName) {
		return badRequest("bad content name or disposition")
	}
	for _, h := range c.FrameHeights {
		if !isText(h.SourceName, maxName) || h.MaxHeight < 0 {
			return badRequest("bad frame height")
		}
	}
	return nil
}

func (s Senders) known() bool {
	switch s {
	case Both, InitiatorSends, ResponderSends, Nobody:
		return true
	}
	return false
}

// isMultiline is isText for words that people read, where lines may end.
func isMultiline(s string) bool {
	return isText(strings.NewReplacer("\n", " ", "\t", " ", "\r", " ").Replace(s), maxText)
}

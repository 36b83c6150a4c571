package jingle

import (
	"strconv"

	"parley/xmpp/wire"
)

// Parse reads a <jingle/> element. What it returns has passed Check. The error is a *wire.Error.
func Parse(e wire.Elem, l Limits) (*Jingle, error) {
	if !e.Is("jingle", NSJingle) {
		return nil, badRequest("no jingle element")
	}
	d := decoder{limits: l}
	j := d.jingle(e)
	if d.err != nil {
		return nil, d.err
	}
	if err := j.Check(l); err != nil {
		return nil, err
	}
	return j, nil
}

// decoder keeps the first fault.
type decoder struct {
	limits              Limits
	candidates, sources int
	err                 error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// number reads an attribute from least to most; absent is def, and a fault if def is must.
func (d *decoder) number(e wire.Elem, name string, least, most, def int64) int64 {
	v, ok := e.Attr(name)
	if !ok {
		if def == must {
			d.fail(badRequest("the attribute " + name + " is missing"))
		}
		return max(def, 0)
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < least || n > most || v[0] == '+' {
		d.fail(badRequest("the attribute " + name + " is out of range"))
		return 0
	}
	return n
}

// must is a def for number: the attribute has to be there.
const must = -1 << 62

// flag reads an XML Schema boolean, false where absent.
func (d *decoder) flag(e wire.Elem, name string) bool {
	switch v, ok := e.Attr(name); {
	case !ok, string(v) == "false", string(v) == "0":
		return false
	case string(v) == "true", string(v) == "1":
		return true
	}
	d.fail(badRequest("the attribute " + name + " is no boolean"))
	return false
}

// put appends within a bound.
func put[T any](d *decoder, list *[]T, max int, what string, v T) {
	if len(*list) >= max {
		d.fail(tooMany(what))
		return
	}
	*list = append(*list, v)
}

// once refuses an element that was there before.
func (d *decoder) once(first bool) {
	if !first {
		d.fail(badRequest("an element that may stand once only"))
	}
}

func (d *decoder) extension(list *[]Extension, e wire.Elem, parentNS string) {
	if x, ok := extensionOf(e, parentNS); ok {
		put(d, list, maxExtensions, "extensions", x)
	}
}

func (d *decoder) jingle(e wire.Elem) *Jingle {
	j := &Jingle{
		Action: Action(e.AttrString("action")), SID: e.AttrString("sid"),
		Initiator: e.AttrString("initiator"), Responder: e.AttrString("responder"),
	}
	for it := e.Children(); it.Next() && d.err == nil; {
		switch c := it.Elem; {
		case c.Is("content", NSJingle):
			put(d, &j.Contents, d.limits.Contents, "contents", d.content(c))
		case c.Is("reason", NSJingle):
			d.once(j.Reason == nil)
			j.Reason = decodeReason(c)
		case c.Is("group", NSGrouping):
			put(d, &j.Groups, maxGroups, "groups", d.group(c))
		case d.info(c, j):
		case c.Is("conference-info", NSCoin):
			d.once(j.Conference == nil)
			j.Conference = decodeConference(d, c)
		case c.Is("muji", NSMuji):
			d.once(j.Muji == nil)
			j.Muji = &Muji{Room: c.AttrString("room")}
		case c.Is("bridge-session", NSFocus):
			d.once(j.Bridge == nil)
			j.Bridge = &BridgeSession{ID: c.AttrString("id"), Region: c.AttrString("region"),
				Restart: d.flag(c, "restart"), ICERestart: d.flag(c, "ice-restart")}
		case c.Is("json-message", NSJitmeet):
			d.once(j.Sources == nil)
			sources, err := ParseCompact(c.Text(), d.limits)
			if err != nil {
				d.fail(err)
			}
			j.Sources = sources
		default:
			d.extension(&j.Extensions, c, NSJingle)
		}
	}
	return j
}

// decodeReason reads a <reason/>. A peer's text is cut rather than refused: the session ends anyway.
func decodeReason(e wire.Elem) *Reason {
	r := &Reason{Condition: GeneralError}
	found := false
	for it := e.Children(); it.Next(); {
		c := it.Elem
		name := Condition(c.Local())
		switch {
		case c.Is("text", NSJingle):
			r.Text = cut(c.Text(), maxText)
		case !found && c.Is(string(name), NSJingle) && name.known():
			r.Condition, found = name, true
			if name == AlternativeSession {
				if sid := c.Child("sid", NSJingle); sid.Ok() {
					r.SID = cut(sid.Text(), maxName)
				}
			}
		}
	}
	return r
}

func (d *decoder) group(e wire.Elem) Group {
	g := Group{Semantics: e.AttrString("semantics")}
	for it := e.Children(); it.Next(); {
		if it.Elem.Is("content", NSGrouping) {
			put(d, &g.Contents, d.limits.Contents, "contents of a group", it.Elem.AttrString("name"))
		}
	}
	return g
}

// info reads the payload of a session-info, and reports that c is one.
func (d *decoder) info(c wire.Elem, j *Jingle) bool {
	before := j.Info
	switch kind := InfoKind(c.Local()); {
	case kind.known() && c.Is(string(kind), NSRTPInfo):
		j.Info = &Info{Kind: kind, Creator: Role(c.AttrString("creator")), Name: c.AttrString("name")}
	case c.Is("ice-state", NSFocus):
		j.Info = &Info{Kind: ICEState, Text: c.Text()}
	default:
		return false
	}
	d.once(before == nil)
	return true
}

func (d *decoder) content(e wire.Elem) Content {
	c := Content{
		Creator: Role(e.AttrString("creator")), Name: e.AttrString("name"),
		Senders: Senders(e.AttrString("senders")), Disposition: e.AttrString("disposition"),
	}
	if c.Senders == "" {
		c.Senders = Both
	}
	if c.Creator == "" {
		c.Creator = Initiator // XEP-0166 §7.3 wants it; some clients forget it
	}
	for it := e.Children(); it.Next() && d.err == nil; {
		switch x := it.Elem; {
		case x.Is("description", NSRTP):
			d.once(c.Description == nil)
			c.Description = d.description(x, &c)
		case x.Is("transport", NSICE):
			d.once(c.Transport == nil)
			c.Transport = d.transport(x)
		case x.Is("initial-last-n", NSColibri2):
			d.lastN(x, &c)
		case x.Is("source-frame-height", NSFrameHeight):
			put(d, &c.FrameHeights, maxFrameHeights, "frame heights",
				FrameHeight{x.AttrString("sourceName"), int(d.number(x, "maxHeight", 0, 1<<16, must))})
		default:
			d.extension(&c.Extensions, x, NSJingle)
		}
	}
	return c
}

func (d *decoder) lastN(e wire.Elem, c *Content) {
	d.once(c.InitialLastN == nil)
	n := int(d.number(e, "value", -1, 1<<16, must))
	c.InitialLastN = &n
}

package jingle

import (
	"strconv"

	"parley/xmpp/wire"
)

// Append appends the <jingle/> element. Text is escaped; extensions are written as they were read.
func (j *Jingle) Append(dst []byte) []byte {
	w := writer{dst}
	w.open("jingle", NSJingle)
	w.attr("action", string(j.Action))
	w.optional("initiator", j.Initiator)
	w.optional("responder", j.Responder)
	w.attr("sid", j.SID)
	w.inner()
	for i := range j.Contents {
		j.Contents[i].append(&w)
	}
	for _, g := range j.Groups {
		w.open("group", NSGrouping)
		w.attr("semantics", g.Semantics)
		w.inner()
		for _, name := range g.Contents {
			w.open("content", "")
			w.attr("name", name)
			w.empty()
		}
		w.end("group")
	}
	if j.Info != nil {
		j.Info.append(&w)
	}
	if j.Conference != nil {
		j.Conference.append(&w)
	}
	if j.Muji != nil {
		j.Muji.append(&w)
	}
	if b := j.Bridge; b != nil {
		w.open("bridge-session", NSFocus)
		w.optional("id", b.ID)
		w.optional("region", b.Region)
		w.flag("restart", b.Restart)
		w.flag("ice-restart", b.ICERestart)
		w.empty()
	}
	if j.Sources != nil {
		w.open("json-message", NSJitmeet)
		w.inner()
		w.text(string(AppendCompact(nil, j.Sources)))
		w.end("json-message")
	}
	w.extensions(j.Extensions)
	if j.Reason != nil {
		j.Reason.append(&w)
	}
	w.end("jingle")
	return w.b
}

func (r *Reason) append(w *writer) {
	w.open("reason", NSJingle)
	w.inner()
	w.open(string(r.Condition), "")
	if r.SID != "" {
		w.inner()
		w.b = wire.AppendElem(w.b, "sid", r.SID)
		w.end(string(r.Condition))
	} else {
		w.empty()
	}
	if r.Text != "" {
		w.b = wire.AppendElem(w.b, "text", r.Text)
	}
	w.end("reason")
}

func (i *Info) append(w *writer) {
	if i.Kind == ICEState {
		w.open("ice-state", NSFocus)
		w.inner()
		w.text(i.Text)
		w.end("ice-state")
		return
	}
	w.open(string(i.Kind), NSRTPInfo)
	w.optional("creator", string(i.Creator))
	w.optional("name", i.Name)
	w.empty()
}

func (c *Content) append(w *writer) {
	w.open("content", "")
	w.attr("creator", string(c.Creator))
	w.optional("disposition", c.Disposition)
	w.attr("name", c.Name)
	w.attr("senders", string(c.Senders))
	w.inner()
	if c.Description != nil {
		c.Description.append(w)
	}
	if c.Transport != nil {
		c.Transport.append(w)
	}
	if c.InitialLastN != nil {
		w.open("initial-last-n", NSColibri2)
		w.number("value", int64(*c.InitialLastN))
		w.empty()
	}
	for _, h := range c.FrameHeights {
		w.open("source-frame-height", NSFrameHeight)
		w.attr("sourceName", h.SourceName)
		w.number("maxHeight", int64(h.MaxHeight))
		w.empty()
	}
	w.extensions(c.Extensions)
	w.end("content")
}

// writer builds XML. A start tag is open, given attributes, and then either empty or followed by inner and end.
type writer struct{ b []byte }

// open begins a start tag; ns is the namespace to declare, "" for the parent's.
func (w *writer) open(name, ns string) {
	w.b = append(w.b, '<')
	w.b = append(w.b, name...)
	if ns != "" {
		w.attr("xmlns", ns)
	}
}

func (w *writer) attr(name, value string) { w.b = wire.AppendAttr(w.b, name, value) }

func (w *writer) optional(name, value string) {
	if value != "" {
		w.attr(name, value)
	}
}

func (w *writer) number(name string, n int64) {
	w.b = append(w.b, ' ')
	w.b = append(w.b, name...)
	w.b = append(w.b, "='"...)
	w.b = strconv.AppendInt(w.b, n, 10)
	w.b = append(w.b, '\'')
}

// count writes a number that is absent when zero.
func (w *writer) count(name string, n int64) {
	if n != 0 {
		w.number(name, n)
	}
}

func (w *writer) flag(name string, on bool) {
	if on {
		w.attr(name, "true")
	}
}

func (w *writer) inner() { w.b = append(w.b, '>') }

func (w *writer) empty() { w.b = append(w.b, '/', '>') }

func (w *writer) text(s string) { w.b = wire.AppendEscaped(w.b, s) }

func (w *writer) end(name string) {
	w.b = append(w.b, '<', '/')
	w.b = append(w.b, name...)
	w.b = append(w.b, '>')
}

// mark writes an element without attributes and content.
func (w *writer) mark(name, ns string, on bool) {
	if on {
		w.open(name, ns)
		w.empty()
	}
}

func (w *writer) extensions(list []Extension) {
	for _, x := range list {
		w.b = append(w.b, x.XML...)
	}
}

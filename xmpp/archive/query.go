package archive

import (
	"strconv"
	"strings"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Bounds of a query and of what answers it. A page goes into the asker's queue at once, which may hold some of them.
const (
	pageMessages = 50
	pageBytes    = 128 << 10
	mostIDs      = 200  // of the field ids
	longestID    = 1024 // bytes of an id in a query, as it is written
)

// query is a request for messages (XEP-0313 §4), with the page that is asked for.
type query struct {
	store.ArchiveQuery
	id       []byte // queryid, as it is written; nil if it has none
	flip     bool   // the latest of the page first
	counting bool   // only how many there are
	narrowed bool   // it has conditions besides the page
}

// readQuery reads the element <query/>.
func readQuery(e wire.Elem) (q query, why *wire.Error) {
	q.Limit, q.Bytes = pageMessages, pageBytes
	q.id, _ = e.Attr("queryid")
	if len(q.id) > longestID {
		return q, bad("the queryid is too long")
	}
	if _, ok := e.Attr("node"); ok {
		return q, errNoNode
	}
	forms, sets := 0, 0
	for it := e.Children(); it.Next() && why == nil; {
		switch c := it.Elem; {
		case c.Is("x", NSData):
			if forms++; forms > 1 {
				return q, bad("there is more than one form")
			}
			why = q.readForm(c)
		case c.Is("flip-page", NS):
			q.flip = true
		case string(c.NS()) == NS: // profanity 0.13 has the <after/> of its page here; without it, the first page would come again
			return q, errUnknownElement
		}
	}
	for it := e.Children(); it.Next() && why == nil; {
		if it.Elem.Is("set", NSResultSet) {
			if sets++; sets > 1 {
				return q, bad("there is more than one page")
			}
			why = q.readSet(it.Elem)
		}
	}
	return q, why
}

// readForm reads the conditions (XEP-0313 §4.1).
func (q *query) readForm(x wire.Elem) *wire.Error {
	if x.AttrString("type") != "submit" {
		return bad("the form is not submitted")
	}
	seen := make(map[string]bool)
	for it := x.Children(); it.Next(); {
		f := it.Elem
		if !f.Is("field", NSData) {
			continue
		}
		name := f.AttrString("var")
		values, ok := valuesOf(f)
		if !ok || seen[name] {
			return bad("a field has too many values")
		}
		if name != "ids" && len(values) != 1 || len(values) == 0 {
			return bad("a field has no value, or more than one")
		}
		if seen[name] = true; name != "FORM_TYPE" && name != "include-groupchat" {
			q.narrowed = true
		}
		if why := q.condition(name, values); why != nil {
			return why
		}
	}
	return nil
}

// condition reads a field.
func (q *query) condition(name string, values []string) *wire.Error {
	value := values[0]
	switch name {
	case "FORM_TYPE":
		if value != NS {
			return bad("the form is for something else")
		}
	case "with":
		a, err := wire.ParseAddr(value)
		if err != nil {
			return errMalformed
		}
		q.With = string(a)
	case "start", "end":
		at, err := time.Parse(time.RFC3339, value) // XEP-0082 §3.2
		if err != nil {
			return bad("a time is none")
		}
		if name == "start" {
			q.Start = at
		} else {
			q.End = at
		}
	case "after-id":
		q.After = append(q.After, value)
	case "before-id":
		q.Before = append(q.Before, value)
	case "ids":
		q.IDs = values
	case "include-groupchat": // what rooms say is in their archives, and in no other
		switch value {
		case "0", "1", "true", "false":
		default:
			return bad("include-groupchat is true or false")
		}
	default:
		return errUnknownField
	}
	return nil
}

// valuesOf returns the values of a field and reports that they are not too many.
func valuesOf(f wire.Elem) (values []string, ok bool) {
	for it := f.Children(); it.Next(); {
		if it.Elem.Is("value", NSData) {
			if len(values) == mostIDs {
				return nil, false
			}
			values = append(values, it.Elem.Text())
		}
	}
	return values, true
}

// readSet reads which page is asked for (XEP-0059 §2). What is not said of after and before together, is that the page is the
// last one between them.
func (q *query) readSet(set wire.Elem) *wire.Error {
	for it := set.Children(); it.Next(); {
		c := it.Elem
		text := c.Text()
		switch {
		case c.Is("max", NSResultSet):
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || n < 0 {
				return bad("the size of the page is none")
			}
			q.Limit, q.counting = min(n, pageMessages), n == 0
		case c.Is("after", NSResultSet):
			if text != "" {
				q.After = append(q.After, text)
			}
		case c.Is("before", NSResultSet):
			q.Backward = true
			if text != "" {
				q.Before = append(q.Before, text)
			}
		case c.Is("index", NSResultSet):
			return errNoIndex
		}
	}
	if len(q.After)+len(q.Before) > mostIDs {
		return bad("there are too many ids")
	}
	return nil
}

func bad(text string) *wire.Error {
	return &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: text}
}

var (
	errMalformed      = &wire.Error{Type: mstanza.Modify, Condition: mstanza.JIDMalformed, Text: "an address is malformed"}
	errUnknownField   = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented, Text: "a field of the form is not known here"}
	errUnknownElement = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "an element of the query is not known here"}
	errNoIndex        = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented, Text: "pages are asked for by what they are after or before"}
	errNoNode         = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented, Text: "nodes have no archive here"}
	errNotFound       = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "a message that the query names is not in the archive"}
	errUnavailable    = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}
	errBusy           = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too many requests wait"}
	errStore          = &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError}
)

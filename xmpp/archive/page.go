package archive

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// shelf is an archive that may be read.
type shelf struct {
	owner wire.Addr
	page  func(context.Context, store.ArchiveQuery) ([]store.Archived, bool, error)
	count func(context.Context, store.ArchiveQuery) (int, error)
	ends  func(context.Context, string) (store.ArchiveEnds, error)

	matches func(with wire.Addr) bool                  // whether the asker may look for what an address said; nil: always
	about   func(dst []byte, m *store.Archived) []byte // appends what is known of the sender to a message; nil: nothing
}

// answer answers a request to the archive: messages first, then the result (XEP-0313 §4.2). What is sent last is the answer to
// the IQ. An error of the store is returned, and nothing was sent then.
func (s *shelf) answer(ctx context.Context, p *wire.Packet, send func(wire.Stanza)) (why *wire.Error, err error) {
	local, _ := p.Child()
	set := string(p.Type()) == "set"
	var payload []byte
	switch name := string(local); {
	case name == "query" && set:
		payload, why, err = s.search(ctx, p.Elem().First(), send)
	case name == "query":
		payload = []byte(form)
	case name == "metadata" && !set:
		payload, err = s.metadata(ctx)
	default:
		why = bad("an archive is asked for its ends, not given them")
	}
	if errors.Is(err, store.ErrNotFound) {
		why, err = errNotFound, nil
	}
	if why == nil && err == nil {
		from, _ := wire.ParseRawAddr(p.To())
		send(p.Result(from, payload))
	}
	return why, err
}

// search sends a page of messages and returns what comes behind it.
func (s *shelf) search(ctx context.Context, e wire.Elem, send func(wire.Stanza)) (fin []byte, why *wire.Error, err error) {
	q, why := readQuery(e)
	if why != nil {
		return nil, why, nil
	}
	q.Owner = string(s.owner)
	if s.matches != nil && q.With != "" && !s.matches(wire.Addr(q.With)) {
		return appendFin(nil, nil, true, 0, q.counting), nil, nil
	}
	if q.counting {
		n, err := s.countAll(ctx, &q)
		return appendFin(nil, nil, n == 0, n, true), nil, err
	}
	list, more, err := s.page(ctx, q.ArchiveQuery)
	if err != nil {
		return nil, nil, err
	}
	fin = appendFin(nil, list, !more, 0, false)
	if q.flip {
		slices.Reverse(list)
	}
	for i := range list {
		send(s.result(&q, &list[i]))
	}
	return fin, nil, nil
}

// countAll counts what the conditions select, whatever the page.
func (s *shelf) countAll(ctx context.Context, q *query) (int, error) {
	if !q.narrowed {
		ends, err := s.ends(ctx, q.Owner)
		return ends.Count, err
	}
	return s.count(ctx, q.ArchiveQuery)
}

const messageEnd = "</message>"

// result is a message of the archive on its way to the asker (XEP-0313 §4.2, XEP-0297).
func (s *shelf) result(q *query, m *store.Archived) wire.Stanza {
	dst := make([]byte, 0, len(m.Tail)+len(s.owner)+len(q.id)+384)
	dst = wire.AppendAttr(dst, "from", string(s.owner))
	dst = append(dst, "><result xmlns='"+NS+"'"...)
	if q.id != nil {
		dst = wire.AppendRawAttr(dst, "queryid", q.id)
	}
	dst = wire.AppendAttr(dst, "id", m.ID)
	dst = append(dst, "><forwarded xmlns='"+NSForward+"'><delay xmlns='"+NSDelay+"'"...)
	dst = wire.AppendAttr(dst, "stamp", stamp(m.At))
	dst = append(dst, "/><message xmlns='"+wire.NSClient+"'"...)
	tail, whole := bytes.CutSuffix(m.Tail, []byte(messageEnd))
	dst = append(dst, tail...)
	if whole {
		if s.about != nil {
			dst = s.about(dst, m)
		}
		dst = append(dst, messageEnd...)
	}
	dst = append(dst, "</forwarded></result>"+messageEnd...)
	return wire.Stanza{Kind: wire.Message, Tail: dst}
}

// appendFin appends the end of a page (XEP-0313 §4.3): its ends, whether something is left, and how many there are if that
// is known.
func appendFin(dst []byte, page []store.Archived, complete bool, count int, counted bool) []byte {
	dst = append(dst, "<fin xmlns='"+NS+"'"...)
	if complete {
		dst = append(dst, " complete='true'"...)
	}
	dst = append(dst, "><set xmlns='"+NSResultSet+"'>"...)
	if len(page) > 0 {
		dst = wire.AppendElem(dst, "first", page[0].ID)
		dst = wire.AppendElem(dst, "last", page[len(page)-1].ID)
	}
	if counted {
		dst = wire.AppendElem(dst, "count", strconv.Itoa(count))
	}
	return append(dst, "</set></fin>"...)
}

// metadata tells the ends of the archive (XEP-0313 §5).
func (s *shelf) metadata(ctx context.Context) ([]byte, error) {
	ends, err := s.ends(ctx, string(s.owner))
	if err != nil || ends.Last.ID == "" {
		return []byte("<metadata xmlns='" + NS + "'/>"), err
	}
	dst := []byte("<metadata xmlns='" + NS + "'>")
	for _, end := range []struct {
		name string
		m    *store.Archived
	}{{"start", &ends.First}, {"end", &ends.Last}} {
		dst = append(append(dst, '<'), end.name...)
		dst = wire.AppendAttr(dst, "id", end.m.ID)
		dst = wire.AppendAttr(dst, "timestamp", stamp(end.m.At))
		dst = append(dst, "/>"...)
	}
	return append(dst, "</metadata>"...), nil
}

// stamp writes a time (XEP-0082 §3.2).
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// form is what can be asked for (XEP-0313 §4.1.5).
const form = "<query xmlns='" + NS + "'><x xmlns='" + NSData + "' type='form'>" +
	"<field var='FORM_TYPE' type='hidden'><value>" + NS + "</value></field>" +
	"<field var='with' type='jid-single'/>" +
	"<field var='start' type='text-single'/>" +
	"<field var='end' type='text-single'/>" +
	"<field var='before-id' type='text-single'/>" +
	"<field var='after-id' type='text-single'/>" +
	"<field var='ids' type='list-multi'><validate xmlns='" + NSValidate + "' datatype='xs:string'><open/></validate></field>" +
	"<field var='include-groupchat' type='boolean'/>" +
	"</x></query>"

package upload

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Namespaces of what the service answers besides its own.
const (
	nsInfo  = "http://jabber.org/protocol/disco#info"
	nsItems = "http://jabber.org/protocol/disco#items"
	nsPing  = "urn:xmpp:ping"
	nsData  = "jabber:x:data"
)

var (
	errUnavailable = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}
	errForbidden   = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "only people with an account here may upload files"}
	errRequest     = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "a request has the name and the size of a file"}
	errBusy        = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too much waits for this account"}
	errStore       = &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError, Text: "nothing can be stored at the moment"}
)

// Handle implements route.Service.
func (s *Service) Handle(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	local, ns := p.Child()
	get := string(p.Type()) == "get"
	switch {
	case p.Kind == wire.Presence:
	case p.Kind == wire.IQ && string(p.Type()) != "get" && string(p.Type()) != "set":
	case p.Kind != wire.IQ || to != s.parts.Address || !get:
		route.Refuse(b, from, p, to, errUnavailable)
	case string(local) == "request" && string(ns) == NS:
		s.request(b, from, p)
	case string(local) == "query" && string(ns) == nsInfo:
		from.Deliver(b, "", p.Result(to, s.info()))
	case string(local) == "query" && string(ns) == nsItems:
		from.Deliver(b, "", p.Result(to, []byte("<query xmlns='"+nsItems+"'/>")))
	case string(local) == "ping" && string(ns) == nsPing:
		from.Deliver(b, "", p.Result(to, nil))
	default:
		route.Refuse(b, from, p, to, errUnavailable)
	}
}

// info is what the service says of itself (XEP-0363 §3).
func (s *Service) info() []byte {
	return []byte("<query xmlns='" + nsInfo + "'><identity category='store' type='file' name='HTTP File Upload'/>" +
		"<feature var='" + nsInfo + "'/><feature var='" + nsItems + "'/><feature var='" + nsPing + "'/><feature var='" + NS + "'/>" +
		"<x xmlns='" + nsData + "' type='result'><field var='FORM_TYPE' type='hidden'><value>" + NS + "</value></field>" +
		"<field var='max-file-size'><value>" + strconv.FormatInt(s.cfg.Size, 10) + "</value></field></x></query>")
}

// request answers a request for a slot (XEP-0363 §4).
func (s *Service) request(b *wire.Batch, from route.Sender, p *wire.Packet) {
	account := from.Addr().Bare()
	if from.Guest() || account.Local() == "" || account.Domain() != string(s.parts.Domain) {
		s.refuse(b, from, p, errForbidden)
		return
	}
	e := p.Elem().First()
	u := store.Upload{Owner: string(account), Type: cleanType(e.AttrString("content-type"))}
	name := e.AttrString("filename")
	size, err := strconv.ParseInt(e.AttrString("size"), 10, 64)
	if err != nil && errors.Is(err, strconv.ErrRange) && !strings.HasPrefix(e.AttrString("size"), "-") {
		size, err = s.cfg.Size+1, nil
	}
	if err != nil || size < 0 || name == "" {
		s.refuse(b, from, p, errRequest)
		return
	}
	if size > s.cfg.Size {
		s.refuse(b, from, p, s.tooLarge())
		return
	}
	now := s.now()
	if !s.rates.Allow(account, now, 1) {
		s.refuse(b, from, p, retry("too many files at once, wait a moment", now.Add(time.Duration(float64(time.Second)/s.cfg.Rate.PerSecond))))
		return
	}
	u.ID, u.Name, u.Size, u.At = strings.ToLower(rand.Text()), cleanName(name), size, now
	request := p.Clone()
	ok := s.parts.Do(account, func(b *wire.Batch) {
		if why := s.give(u); why != nil {
			s.refuse(b, from, request, why)
			return
		}
		from.Deliver(b, "", request.Result(s.parts.Address, s.slot(u)))
	})
	if !ok {
		s.refuse(b, from, p, errBusy)
	}
}

// give reserves a slot. It waits for the store.
func (s *Service) give(u store.Upload) *wire.Error {
	if free, err := s.shelf.free(); err != nil || free < s.cfg.DiskFree || free-s.cfg.DiskFree < u.Size {
		s.rec.Hurt("disk.full", "", "free", free)
		return retry("the server's disk is full", u.At.Add(time.Hour))
	}
	err := within(context.Background(), func(ctx context.Context) error {
		return s.parts.Store.AddUpload(ctx, u, store.UploadQuota{Bytes: s.cfg.Quota, Files: s.cfg.Files})
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return errForbidden
	case errors.Is(err, store.ErrQuota):
		return s.overQuota(u)
	}
	s.rec.Hurt("upload.store", u.Owner, "err", err.Error())
	return errStore
}

// overQuota says when the account holds less: when the first of its files goes, or slots that it did not use.
func (s *Service) overQuota(u store.Upload) *wire.Error {
	var oldest time.Time
	within(context.Background(), func(ctx context.Context) (err error) {
		oldest, err = s.parts.Store.OldestUpload(ctx, u.Owner)
		return err
	})
	text := "you may keep " + strconv.FormatInt(s.cfg.Quota, 10) + " bytes in " + strconv.Itoa(s.cfg.Files) + " files here"
	switch {
	case oldest.IsZero():
		return retry(text, u.At.Add(3*slotTime))
	case s.cfg.Days == 0:
		return &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: text}
	}
	return retry(text, oldest.Add(s.retention()))
}

func (s *Service) tooLarge() *wire.Error {
	most := strconv.FormatInt(s.cfg.Size, 10)
	return &wire.Error{
		Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: "the file is too large; " + most + " bytes is the most",
		App: "<file-too-large xmlns='" + NS + "'><max-file-size>" + most + "</max-file-size></file-too-large>",
	}
}

// retry is an error that passes, and when (XEP-0363 §5).
func retry(text string, at time.Time) *wire.Error {
	return &wire.Error{
		Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: text,
		App: "<retry xmlns='" + NS + "' stamp='" + at.UTC().Format("2006-01-02T15:04:05Z") + "'/>",
	}
}

// refuse answers a request with an error, counts it and gives the request back (XEP-0363 §5).
func (s *Service) refuse(b *wire.Batch, from route.Sender, p *wire.Packet, why *wire.Error) {
	s.rec.Reject("upload.reject", string(from.Addr().Bare()), "condition", string(why.Condition), "text", why.Text)
	answer := *why
	answer.Echo = string(p.Elem().First().AppendStandalone(nil))
	route.Refuse(b, from, p, s.parts.Address, &answer)
}

// slot is the answer to a request. Both addresses are the same; only who has the key may put the file there.
func (s *Service) slot(u store.Upload) []byte {
	address := s.parts.Base + Path + u.ID + "/" + url.PathEscape(u.Name)
	out := wire.AppendAttr([]byte("<slot xmlns='"+NS+"'><put"), "url", address)
	out = append(out, "><header name='Authorization'>Bearer "+s.key(u.ID)+"</header></put><get"...)
	return append(wire.AppendAttr(out, "url", address), "/></slot>"...)
}

// key lets who has it put a file into a slot. It is made from a secret, so that who reads the store cannot.
func (s *Service) key(id string) string {
	mac := hmac.New(sha256.New, s.parts.Secret)
	mac.Write([]byte("upload " + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// isID reports that a text may be an id: 26 letters and digits of rand.Text, in lower case. It is a safe name for a file.
func isID(s string) bool {
	if len(s) != 26 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

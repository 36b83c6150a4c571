package pubsub

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// photo is the hash of an account's avatar while the account has sessions: what its presence says (XEP-0153, XEP-0398 §4).
type photo struct {
	sessions int
	hash     string // "": there is none, or it is not known yet
}

// Bound is told of a new session, before it sends anything.
func (s *Service) Bound(session route.Sender) {
	if session.Guest() {
		return
	}
	account := session.Addr().Bare()
	s.mu.Lock()
	p := s.photos[account]
	if p == nil {
		p = &photo{}
		s.photos[account] = p
	}
	p.sessions++
	first := p.sessions == 1
	s.mu.Unlock()
	if first {
		s.accounts.Do(account, func(*wire.Batch) {
			ctx, done := context.WithTimeout(context.Background(), patience)
			defer done()
			s.loadPhoto(ctx, account)
		})
	}
}

// Unbound is told of the end of a session.
func (s *Service) Unbound(session route.Sender) {
	if session.Guest() {
		return
	}
	account := session.Addr().Bare()
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.photos[account]; p != nil {
		if p.sessions--; p.sessions == 0 {
			delete(s.photos, account)
		}
	}
}

// loadPhoto finds out what the account's presence is to say.
func (s *Service) loadPhoto(ctx context.Context, account wire.Addr) {
	a, err := s.avatar(ctx, account)
	if err != nil {
		s.rec.Hurt("pubsub.store", string(account), "err", err.Error())
		return
	}
	hash := ""
	if a != nil && (a.node.Access == accessOpen || a.node.Access == accessPresence) {
		hash = a.hash
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.photos[account]; p != nil {
		p.hash = hash
	}
}

// avatar is the image that an account shows.
type avatar struct {
	node  *node  // NSAvatar
	hash  string // SHA-1 in hex
	kind  string // media type
	image string // base64, without white space
}

// avatar returns the image that the metadata of the account names (XEP-0084 §4.2), if its data is here and is what the hash
// says; nil if there is none.
func (s *Service) avatar(ctx context.Context, account wire.Addr) (*avatar, error) {
	last, err := s.store.LastItems(ctx, string(account), []string{NSMetadata})
	if err != nil || len(last) == 0 {
		return nil, err
	}
	for it := wire.ParseElem(last[0].Item.Payload).Children(); it.Next(); {
		info := it.Elem
		id := info.AttrString("id")
		if _, elsewhere := info.Attr("url"); !info.Is("info", NSMetadata) || elsewhere || id == "" {
			continue
		}
		list, _, err := s.store.Items(ctx, string(account), NSAvatar, store.ItemQuery{IDs: []string{id}})
		if errors.Is(err, store.ErrNotFound) || err == nil && len(list) == 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		data := wire.ParseElem(list[0].Payload)
		if !data.Is("data", NSAvatar) {
			continue
		}
		image, hash, ok := readImage(data.Text())
		if !ok || hash != strings.ToLower(id) {
			continue
		}
		n, err := s.find(ctx, account, NSAvatar)
		if err != nil {
			return nil, err
		}
		return &avatar{node: n, hash: hash, kind: info.AttrString("type"), image: image}, nil
	}
	return nil, nil
}

// readImage reads an image in base64, white space or not, and returns it without, with its hash.
func readImage(text string) (image, hash string, ok bool) {
	image = strings.Join(strings.Fields(text), "")
	b, err := base64.StdEncoding.DecodeString(image)
	if err != nil || len(b) == 0 {
		return "", "", false
	}
	sum := sha1.Sum(b)
	return image, hex.EncodeToString(sum[:]), true
}

// Stamp returns presence as it goes on: available presence of a session whose account has an avatar names it, unless the
// client says that it shows none (XEP-0398 §4). Other packets are returned as they are. It is for the reader's goroutine and
// waits for nothing.
func (s *Service) Stamp(from route.Sender, p *wire.Packet) *wire.Packet {
	if p.Kind != wire.Presence || len(p.Type()) > 0 || from.Guest() {
		return p
	}
	s.mu.Lock()
	known := s.photos[from.Addr().Bare()]
	if known == nil {
		s.mu.Unlock()
		return p // nobody of ours
	}
	hash := known.hash
	s.mu.Unlock()
	update := p.Elem().Child("x", NSUpdate)
	if update.Ok() {
		if photo := update.Child("photo", NSUpdate); photo.Ok() && (len(photo.Inner()) == 0 || hash == "" || photo.Text() == hash) {
			return p
		}
	} else if hash == "" {
		return p
	}
	if stamped := withUpdate(p, hash); stamped != nil {
		return stamped
	}
	return p
}

// withUpdate returns the packet with the hash in place of what it says.
func withUpdate(p *wire.Packet, hash string) *wire.Packet {
	update := []byte("<x xmlns='" + NSUpdate + "'>")
	update = append(wire.AppendElem(update, "photo", hash), "</x>"...)
	b := withChildren(p.Elem(), func(e wire.Elem) bool { return !e.Is("x", NSUpdate) }, update)
	scanner := wire.Scanner{Limits: wire.Limits{Size: len(b), Depth: wire.AfterAuth.Depth + 1}}
	_, stamped, err := scanner.Next(b)
	if err != nil {
		return nil
	}
	return stamped
}

// withChildren returns the element with those of its children that keep names, and more behind them.
func withChildren(e wire.Elem, keep func(wire.Elem) bool, more []byte) []byte {
	dst := append(e.AppendOpen(make([]byte, 0, len(e.Raw())+len(more)+16)), '>')
	for it := e.Children(); it.Next(); {
		if keep(it.Elem) {
			dst = append(dst, it.Elem.Raw()...)
		}
	}
	return e.AppendClose(append(dst, more...))
}

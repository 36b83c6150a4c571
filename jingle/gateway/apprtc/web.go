package apprtc

import (
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"parley/xmpp/wire"
)

// joinTime is how long a join may take: the room lets in, and the bridge makes its offer.
const joinTime = 20 * time.Second

// place finds the room of a request, which is at the place of a segment of its path, and a client at the next.
func (s *Service) place(r *http.Request, prefix string) (room, client string, addr wire.Addr, ok bool) {
	room, client, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, prefix), "/")
	if addr, ok = s.address(room); !ok || client != "" && !names.MatchString(client) {
		return "", "", "", false
	}
	return room, client, addr, true
}

// ServeJoin gives a client a place.
func (s *Service) ServeJoin(w http.ResponseWriter, r *http.Request) {
	room, _, addr, ok := s.place(r, "/join/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	q := query(r)
	a := joined{result: resultError}
	claims, allowed := s.check(tokenOf(r), addr, sourceOf(r))
	if allowed {
		if at := s.acquire(addr, true); at != nil {
			answer := make(chan joined, 1)
			j := joining{source: sourceOf(r), claims: claims, joined: true, native: isNative(r.UserAgent()), loopback: isLoopback(q), name: q.Get("name"),
				answer: func(a joined) { answer <- a }}
			at.Do(func() { at.join(j) })
			s.release(at)
			patience := time.NewTimer(joinTime)
			defer patience.Stop()
			select {
			case a = <-answer:
			case <-patience.C:
			case <-r.Context().Done():
			}
		}
	}
	if a.result != resultSuccess {
		if a.result == resultFull {
			s.filled(addr)
		}
		writeJSON(w, map[string]any{"result": a.result, "params": map[string]any{"messages": []string{}}})
		return
	}
	p := s.paramsFor(r, room, a.key)
	p.ClientID, p.IsInitiator, p.Messages = a.client, jsonText(a.first), a.messages
	if p.Messages == nil {
		p.Messages = []string{}
	}
	writeJSON(w, map[string]any{"result": resultSuccess, "params": p})
}

// isNative recognises the clients for Android and iOS by the libraries that they make requests with. They cannot begin a call anew.
func isNative(agent string) bool {
	return strings.HasPrefix(agent, "Dalvik/") || strings.Contains(agent, "CFNetwork/") || strings.HasPrefix(agent, "okhttp/")
}

// body reads a message.
func body(r *http.Request) (string, error) {
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, messageMost))
	if err == nil && !utf8.Valid(b) {
		err = errText
	}
	return string(b), err
}

// ServeMessage takes a message from a client to the other.
func (s *Service) ServeMessage(w http.ResponseWriter, r *http.Request) {
	_, client, addr, ok := s.place(r, "/message/")
	if !ok || client == "" {
		http.NotFound(w, r)
		return
	}
	text, err := body(r)
	result := resultSuccess
	at := s.acquire(addr, false)
	switch {
	case err != nil || text == "":
		result = resultError
	case at == nil:
		result = resultRoom
	default:
		at.Do(func() {
			if m := at.members[client]; m == nil || m.left {
				result = resultClient
			} else {
				err = at.say(m, text)
			}
		})
	}
	if at != nil {
		s.release(at)
	}
	switch {
	case result == resultError:
		s.rec.Reject("json.reject", sourceOf(r).String())
	case err == errSignal || err == errOften:
		result = resultError
	case err != nil:
		s.faults.http.Add(1)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, map[string]string{"result": result})
}

// ServeLeave takes a client's place. It may still say goodbye.
func (s *Service) ServeLeave(w http.ResponseWriter, r *http.Request) {
	s.without(w, r, "/leave/", func(at *room, m *member) { at.leave(m) })
}

// ServeBye takes a client's place, and ends its connection.
func (s *Service) ServeBye(w http.ResponseWriter, r *http.Request) {
	s.without(w, r, "/bye/", func(at *room, m *member) { at.drop(m) })
}

func (s *Service) without(w http.ResponseWriter, r *http.Request, prefix string, f func(*room, *member)) {
	_, client, addr, ok := s.place(r, prefix)
	if !ok || client == "" {
		http.NotFound(w, r)
		return
	}
	s.with(addr, client, f)
	w.WriteHeader(http.StatusOK)
}

// with has something done with a member, if it is there.
func (s *Service) with(addr wire.Addr, client string, f func(*room, *member)) {
	at := s.acquire(addr, false)
	if at == nil {
		return
	}
	defer s.release(at)
	at.Do(func() {
		if m := at.members[client]; m != nil {
			f(at, m)
		}
	})
}

// ServeParams answers the parameters that are no room's.
func (s *Service) ServeParams(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, s.paramsFor(r, "", s.pageKey()))
}

// pageKey is a key for a page whose user has not joined yet, "" where only members are given credentials.
func (s *Service) pageKey() string {
	if s.parts.Relays == nil || s.cfg.Auth != authNone {
		return ""
	}
	return newKey()
}

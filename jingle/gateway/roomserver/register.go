package roomserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"parley/internal/limit"
)

// ServeICE takes the registrations and reports of ICE servers: POST of one JSON object, answered in plain text. The secret of
// the header X-Ice-Key lets them in.
func (s *Service) ServeICE(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	say := func(status int, text string) {
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
	got, want := sha256.Sum256([]byte(r.Header.Get("X-Ice-Key"))), sha256.Sum256([]byte(s.cfg.IceSecret))
	if s.cfg.IceSecret == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		s.rec.Reject("ice.reject", sourceOf(r).String(), "text", "wrong key")
		say(http.StatusForbidden, "forbidden")
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<10))
	if err != nil {
		say(http.StatusBadRequest, "unreadable")
		return
	}
	g, err := readRegistration(body)
	if err != nil {
		s.rec.Reject("json.reject", sourceOf(r).String(), "err", err.Error())
		say(http.StatusBadRequest, "format")
		return
	}
	now := time.Now()
	switch g.cmd {
	case "iceRegister":
		server, err := g.server()
		if err != nil {
			say(http.StatusBadRequest, "format")
			return
		}
		known, ok := s.ice.register(server, now)
		if ok {
			s.toldOthers(server.ip, true, now)
		}
		switch {
		case !ok:
			say(http.StatusServiceUnavailable, "full")
		case known:
			say(http.StatusOK, "ice_have_registered")
		default:
			say(http.StatusOK, "successful")
		}
	case "iceReportRxTxRate":
		found := s.ice.report(g.ip, g.rx, g.tx, now)
		if !found && s.parts.Shared != nil { // it may have registered with another server
			s.readShared(r.Context())
			found = s.ice.report(g.ip, g.rx, g.tx, now)
		}
		if !found {
			say(http.StatusOK, "ice_no_found")
			return
		}
		s.toldOthers(g.ip, false, now)
		say(http.StatusOK, "successful")
	case "iceDeregister":
		here, there := s.ice.deregister(g.ip), s.goneForOthers(g.ip)
		if !here && !there {
			say(http.StatusOK, "ice_no_found")
			return
		}
		say(http.StatusOK, "successful")
	default:
		say(http.StatusBadRequest, "format")
	}
}

// readRegistration reads what an ICE server says. Its address is in canonical form.
func readRegistration(body []byte) (g registration, err error) {
	list, err := readObject(body)
	if err != nil {
		return g, err
	}
	texts := map[string]*string{"cmd": &g.cmd, "ip": &g.ip, "bundlepolicy": &g.bundle, "rtcpmuxpolicy": &g.mux, "icetransportpolicy": &g.policy,
		"username": &g.username, "credential": &g.credential}
	numbers := map[string]*int{"turnport": &g.turnPort, "stunport": &g.stunPort, "maxbandwidth": &g.most, "rxrate": &g.rx, "txrate": &g.tx}
	for _, p := range list {
		key := strings.ToLower(p.key)
		var e error
		if to := texts[key]; to != nil {
			*to, e = readText(p.value, maxText)
		}
		if to := numbers[key]; to != nil && !absent(p.value) {
			*to, e = readKilobits(p.value)
		}
		if e != nil {
			return registration{}, e
		}
	}
	a, err := netip.ParseAddr(g.ip)
	if err != nil {
		return registration{}, errValue
	}
	g.ip = a.Unmap().String()
	return g, nil
}

// readKilobits reads a rate, or a port, of which agents write fractions too.
func readKilobits(raw json.RawMessage) (int, error) {
	v, ok := readRate(raw)
	if !ok || v > 1<<31-1 {
		return 0, errValue
	}
	return int(v), nil
}

// sourceOf is what limits count a request as.
func sourceOf(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return limit.Source(at.Addr())
}

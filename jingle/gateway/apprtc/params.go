package apprtc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// params are what clients are told at /join, at /params and in the page. Several are JSON inside a string, and booleans are the
// words, since the original was so and clients read it.
type params struct {
	RoomID      string   `json:"room_id,omitempty"`
	ClientID    string   `json:"client_id,omitempty"`
	IsInitiator string   `json:"is_initiator,omitempty"`
	RoomLink    string   `json:"room_link,omitempty"`
	Messages    []string `json:"messages,omitzero"`

	WSS     string `json:"wss_url"`
	WSSPost string `json:"wss_post_url"`

	PCConfig         string `json:"pc_config"`
	PCConstraints    string `json:"pc_constraints"`
	OfferOptions     string `json:"offer_options"`
	MediaConstraints string `json:"media_constraints"`
	ICEURL           string `json:"ice_server_url"`
	ICETransports    string `json:"ice_server_transports"`

	IsLoopback    string   `json:"is_loopback"`
	Bypass        string   `json:"bypass_join_confirmation"`
	Loopback      string   `json:"include_loopback_js"`
	HeaderMessage string   `json:"header_message"`
	Version       string   `json:"version_info"`
	Errors        []string `json:"error_messages"`
	Warnings      []string `json:"warning_messages"`
}

// jsonText is a value as JSON, to be put in a string.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(b)
}

// paramsFor are those of a room, "" for none, with a key for credentials of the relay, "" for none.
func (s *Service) paramsFor(r *http.Request, room, key string) params {
	q := query(r)
	secure := s.parts.Secure(r) || s.parts.Public
	scheme := func(name string, tls bool) string {
		if tls {
			name += "s"
		}
		return name + "://"
	}
	base := scheme("http", secure) + r.Host
	relay := r.Host
	if h := q.Get("wshpp"); slices.Contains(s.parts.Hosts, h) {
		relay = h
	}
	tls := secure && q.Get("wstls") != "false"
	p := params{
		WSS: scheme("ws", tls) + relay + s.cfg.Collider + "/ws", WSSPost: scheme("http", tls) + relay + s.cfg.Collider,
		PCConfig: pcConfig(q), PCConstraints: pcConstraints(q), OfferOptions: "{}", ICETransports: q.Get("tt"),
		IsLoopback: jsonText(isLoopback(q)), Bypass: jsonText(!s.cfg.Confirm), Version: "null", Errors: []string{}, Warnings: []string{},
	}
	if isLoopback(q) {
		p.Loopback = `<script src="/js/loopback.js"></script>`
	}
	if other := q.Get("ts"); slices.Contains(s.cfg.Providers, other) {
		p.ICEURL = other + "/v1alpha/iceconfig?key=" + url.QueryEscape(q.Get("apikey"))
	} else if key != "" {
		p.ICEURL = base + "/v1alpha/iceconfig?key=" + key
	}
	p.MediaConstraints, p.Warnings = mediaConstraints(q, r.UserAgent())
	if room != "" {
		p.RoomID, p.RoomLink = room, base+"/r/"+room
		p.WSS += "?room=" + room
		for _, secret := range []string{"jwt", "token"} { // the link is for others
			q.Del(secret)
		}
		if len(q) > 0 {
			p.RoomLink += "?" + q.Encode()
		}
	}
	return p
}

// query are the parameters of a request, of each the first.
func query(r *http.Request) url.Values {
	q := make(url.Values)
	for name, values := range r.URL.Query() {
		if len(q) < 64 && len(name) <= 64 && len(values[0]) <= 2048 && utf8.ValidString(name+values[0]) {
			q.Set(name, values[0])
		}
	}
	return q
}

func isLoopback(q url.Values) bool { return q.Get("debug") == "loopback" }

// pcConfig is an RTCConfiguration. ICE servers are never in it: clients differ in how they read them here, and ask for them if there
// are none.
func pcConfig(q url.Values) string {
	return jsonText(struct {
		Servers    []string `json:"iceServers"`
		Bundle     string   `json:"bundlePolicy"`
		Mux        string   `json:"rtcpMuxPolicy"`
		Transports string   `json:"iceTransports,omitempty"`
	}{[]string{}, "max-bundle", "require", q.Get("it")})
}

func pcConstraints(q url.Values) string {
	optional := []map[string]bool{}
	for _, c := range [...]struct{ name, constraint string }{{"dtls", "DtlsSrtpKeyAgreement"}, {"dscp", "googDscp"}, {"ipv6", "googIPv6"}} {
		value := strings.ToLower(q.Get(c.name))
		if c.name == "dtls" && isLoopback(q) {
			value = "false"
		}
		if value == "true" || value == "false" {
			optional = append(optional, map[string]bool{c.constraint: value == "true"})
		}
	}
	return jsonText(map[string]any{"optional": optional})
}

// mediaConstraints are those of getUserMedia. Desktop Chrome is asked for 720p where nothing else is said.
func mediaConstraints(q url.Values, agent string) (text string, warnings []string) {
	warnings = []string{}
	video, hd := q.Get("video"), strings.ToLower(q.Get("hd"))
	if hd != "" && video != "" {
		warnings = append(warnings, `The "hd" parameter has overridden video=`+video)
	}
	switch {
	case hd == "true":
		video = "mandatory:minWidth=1280,mandatory:minHeight=720"
	case hd == "" && video == "" && strings.Contains(agent, "Chrome") && !strings.Contains(agent, "Android"):
		video = "optional:minWidth=1280,optional:minHeight=720"
	}
	if q.Get("minre") != "" || q.Get("maxre") != "" {
		warnings = append(warnings, `The "minre" and "maxre" parameters are no longer supported. Use "video" instead.`)
	}
	c := map[string]any{"audio": trackConstraints(q.Get("audio")), "video": trackConstraints(video)}
	if q.Get("firefox_fake_device") != "" {
		c["fake"] = true
	}
	return jsonText(c), warnings
}

// trackConstraints are true, false, or a list of [mandatory:|optional:]key=value. Those that say neither are mandatory, unless they
// are goog's, which other browsers do not know.
func trackConstraints(text string) any {
	switch strings.ToLower(text) {
	case "", "true":
		return true
	case "false":
		return false
	}
	mandatory, optional := map[string]string{}, []map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		must := !strings.HasPrefix(part, "goog")
		if kind, rest, ok := strings.Cut(part, ":"); ok {
			must, part = kind == "mandatory", rest
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok || strings.ContainsAny(value, "=:") {
			continue
		}
		if must {
			mandatory[key] = value
		} else {
			optional = append(optional, map[string]string{key: value})
		}
	}
	return map[string]any{"mandatory": mandatory, "optional": optional}
}

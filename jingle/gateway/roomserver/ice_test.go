package roomserver

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/event"
)

// report posts what an ICE server says.
func (h *house) report(key, body string) (status int, answer string) {
	r := httptest.NewRequest("POST", "/api/ice", strings.NewReader(body))
	r.Header.Set("X-Ice-Key", key)
	w := httptest.NewRecorder()
	h.service.ServeICE(w, r)
	return w.Code, w.Body.String()
}

func registered(ip string) string {
	return `{"cmd":"iceRegister","ip":"` + ip + `","iceType":"coturn","bundlePolicy":"balanced","rtcpMuxPolicy":"negotiate","iceTransportPolicy":"relay","turnPort":3478,"stunPort":"3479","maxBandwidth":100000,"username":"u","credential":"c"}`
}

func TestR15_TheLeastLoadedServerIsChosen(t *testing.T) {
	bubble(t, func(c *Config) { c.IceSecret = "k"; c.IceBandwidth = 1 }, func(t *testing.T, h *house) { // our own carries nobody
		for ip, rate := range map[string]string{"192.0.2.13": "10000", "192.0.2.12": `"50000.5"`, "192.0.2.11": "90000"} {
			if _, got := h.report("k", registered(ip)); got != "successful" {
				t.Fatal(got)
			}
			if _, got := h.report("k", registered(ip)); got != "ice_have_registered" {
				t.Fatal(got)
			}
			if _, got := h.report("k", `{"cmd":"iceReportRxTxRate","ip":"`+ip+`","rxRate":1,"txRate":`+rate+`}`); got != "successful" {
				t.Fatal(got)
			}
		}
		if list := h.service.Servers(); len(list) < 3 || list[len(list)-1].URLs[0] != "turn:192.0.2.13:3478" || list[len(list)-1].Rate != 10000 || list[len(list)-1].Capacity != 100000 || list[len(list)-1].Expires.IsZero() {
			t.Errorf("the servers are %+v", list)
		}
		server := func() map[string]any {
			a := h.join("a")
			b := h.join("b")
			conf := a.one("notifyNewPeer")["rtcConfig"].(map[string]any)
			a.say(`{"cmd":"offer","remoteUid":"b","msg":"x"}`)
			a.one("respOffer")
			other, _ := json.Marshal(b.one("relayOffer")["rtcConfig"])
			if own, _ := json.Marshal(conf); string(own) != string(other) {
				t.Errorf("one has %s, the other %s", own, other)
			}
			b.say(`{"cmd":"leave"}`)
			a.say(`{"cmd":"leave"}`)
			return conf
		}
		got, _ := json.Marshal(server())
		want := `{"bundlePolicy":"balanced","iceServers":[{"credential":"c","urls":["turn:192.0.2.13:3478?transport=udp","turn:192.0.2.13:3478?transport=tcp"],"username":"u"},` +
			`{"credential":"","urls":["stun:192.0.2.13:3479"],"username":""}],"iceTransportPolicy":"relay","rtcpMuxPolicy":"require"}`
		if string(got) != want {
			t.Errorf("got %s", got)
		}
		for range 31 { // the first falls silent
			time.Sleep(time.Second)
			h.report("k", `{"cmd":"iceReportRxTxRate","ip":"192.0.2.12","rxRate":1,"txRate":50000}`)
			h.report("k", `{"cmd":"iceReportRxTxRate","ip":"192.0.2.11","rxRate":1,"txRate":90000}`)
		}
		if got, _ := json.Marshal(server()); !strings.Contains(string(got), "turn:192.0.2.12:") {
			t.Errorf("got %s", got)
		}
		if _, got := h.report("k", `{"cmd":"iceReportRxTxRate","ip":"192.0.2.13","rxRate":1,"txRate":1}`); got != "ice_no_found" {
			t.Error(got)
		}
		if _, got := h.report("k", `{"cmd":"iceDeregister","ip":"192.0.2.12"}`); got != "successful" {
			t.Error(got)
		}
		if got, _ := json.Marshal(server()); !strings.Contains(string(got), "turn:192.0.2.11:") {
			t.Errorf("got %s", got)
		}
	})
}

func TestR15_AllFull(t *testing.T) {
	bubble(t, func(c *Config) { c.IceBandwidth = 401 }, func(t *testing.T, h *house) {
		a := h.join("u0") // alone it needs none
		b := h.join("u9")
		a.one("notifyNewPeer")
		c := h.client("u5")
		c.say(`{"cmd":"join"}`)
		c.is(c.one("respJoin"), map[string]any{"result": 8, "desc": "ice server bandwidth is full loading"})
		a.none()
		if got := h.occupants("22"); len(got) != 2 {
			t.Errorf("the room has %v", got)
		}
		b.say(`{"cmd":"leave"}`) // what it may have needed is free again
		b.one("respLeave")
		a.one("relayLeave")
		c.say(`{"cmd":"join"}`)
		c.is(c.one("respJoin"), map[string]any{"result": 0})
	})
}

// The keys of the configuration that the protocol's own servers have, and the ten fields of an ICE server.
func TestR30_KeysOfTheConfiguration(t *testing.T) {
	c := Defaults()
	if c.ClientKeepLiveTimeout != 40*time.Second || c.IceKeepLiveTimeout != 30*time.Second || c.ClientReportStatsInterval != 15*time.Second {
		t.Errorf("%+v", c)
	}
	good := ICEServer{IP: "192.0.2.1", IceType: "coturn", BundlePolicy: "balanced", RtcpMuxPolicy: "negotiate", IceTransportPolicy: "relay", TurnPort: 1, StunPort: 2, MaxBandwidth: 3, Username: "u", Credential: "c"}
	if n := reflect.TypeOf(good).NumField(); n != 10 {
		t.Errorf("%d fields", n)
	}
	for _, mux := range []string{"", "require", "negotiate", "none"} {
		one := good
		one.RtcpMuxPolicy = mux
		c.Ice = []ICEServer{one}
		if err := c.Check(); (err == nil) != (mux != "none") {
			t.Errorf("%q: %v", mux, err)
		}
	}
}

// What members do is written at level info, what is refused at warn; a client that says more writes no more.
func TestR25_StepsAreWrittenAtInfo(t *testing.T) {
	var out bytes.Buffer
	bubble(t, nil, func(t *testing.T, h *house) {
		h.service.rec = event.New(slog.New(slog.NewTextHandler(&out, nil)), prometheus.NewRegistry(), false)
		a, b := h.pair()
		for range 50 {
			a.say(`{"cmd":"offer","remoteUid":"u9","msg":"secret"}`)
			a.one("respOffer")
			b.one("relayOffer")
		}
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":"secret"}`)
		b.one("respAnswer")
		a.one("relayAnswer")
		a.say(`{"cmd":"peerConnected","remoteUid":"u9","connectType":"STUN"}`)
		a.one("respPeerConnected")
		a.raw("no JSON")
		a.one("generalMsgResp")
		b.say(`{"cmd":"leave"}`)
		b.one("respLeave")
		a.one("relayLeave")
		h.service.rec = nil
	})
	for line, want := range map[string]int{
		"level=INFO msg=step event=roomserver.join ": 2, "level=INFO msg=step event=roomserver.offer ": 1, "level=INFO msg=step event=roomserver.answer ": 1,
		"level=INFO msg=step event=roomserver.peerConnected ": 1, "way=STUN": 1, "level=INFO msg=step event=roomserver.leave ": 1,
		"level=WARN msg=refused event=json.reject ": 1, "secret": 0,
	} {
		if got := strings.Count(out.String(), line); got != want {
			t.Errorf("%q is there %d times, not %d: %s", line, got, want, out.String())
		}
	}
}

func TestR15_RegistrationNeedsTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, secret := range []string{"k", ""} {
			h := newHouse(t, func(c *Config) { c.IceSecret = secret })
			for _, key := range []string{"", "x"} {
				if status, got := h.report(key, registered("192.0.2.11")); status != 403 {
					t.Errorf("%q lets %q in: %d %s", secret, key, status, got)
				}
			}
		}
		h := newHouse(t, func(c *Config) { c.IceSecret = "k" })
		for _, body := range []string{"", "{}", "[]", registered("nowhere"), registered("0.0.0.0"), registered("224.0.0.1"), registered("fe80::1%eth0"), registered("192.0.2.1\",\"ip\":\"192.0.2.2"),
			strings.Replace(registered("192.0.2.1"), "3478", "99999", 1), strings.Replace(registered("192.0.2.1"), "balanced", "x", 1), strings.Replace(registered("192.0.2.1"), "100000", "-1", 1),
			strings.Replace(registered("192.0.2.1"), "100000", "\"NaN\"", 1), `{"cmd":"iceSomething","ip":"192.0.2.1"}`} {
			if status, got := h.report("k", body); status != 400 {
				t.Errorf("%s: %d %s", body, status, got)
			}
		}
	})
}

func TestR15_ConfiguredServersStay(t *testing.T) {
	bubble(t, func(c *Config) {
		c.IceBandwidth = 1
		c.Ice = []ICEServer{{IP: "2001:db8::5", TurnPort: 3478, MaxBandwidth: 1000, Username: "u", Credential: "c"}}
	}, func(t *testing.T, h *house) {
		time.Sleep(time.Hour)
		a := h.join("u0")
		h.join("u9")
		if got, _ := json.Marshal(a.one("notifyNewPeer")["rtcConfig"]); !strings.Contains(string(got), `"turn:[2001:db8::5]:3478?transport=udp"`) || strings.Contains(string(got), "stun:") {
			t.Errorf("got %s", got)
		}
	})
}

func FuzzReadRegistration(f *testing.F) {
	f.Add([]byte(registered("192.0.2.1")))
	f.Add([]byte(`{"cmd":"iceReportRxTxRate","ip":"::1","rxRate":1.5,"txRate":"7"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		g, err := readRegistration(body)
		if err != nil {
			return
		}
		if s, err := g.server(); err == nil {
			conf := (&grant{registry: &registry{}, server: s}).config(nil)
			if !json.Valid(conf) {
				t.Fatalf("%s", conf)
			}
		}
	})
}

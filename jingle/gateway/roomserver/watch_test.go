package roomserver

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// complaints counts reports on ICE servers.
type complaints map[string]int

func (c complaints) Reported(server string) { c[server]++ }

// A report counts for the servers that the member was given, and for those alone that it names among them.
func TestR29_ReportsAreOfServersThatWereGiven(t *testing.T) {
	bubble(t, func(c *Config) {
		c.IceBandwidth, c.P2PMost = 401, 3
		c.Ice = []ICEServer{{IP: "192.0.2.20", TurnPort: 3478, MaxBandwidth: 100000}}
	}, func(t *testing.T, h *house) {
		got := make(complaints)
		h.service.alerts = got
		a := h.join("u0")
		a.say(`{"cmd":"reportInfo","result":9,"data1":{"iceServers":[{"urls":["turn:192.0.2.20:3478"]}]}}`)
		a.say(`{"cmd":"keepLive"}`)
		a.one("respKeepLive")
		if len(got) != 0 {
			t.Errorf("alone: %v", got)
		}
		h.join("u5")
		h.join("u9")
		for _, text := range []string{
			`{"cmd":"reportInfo","result":9}`,
			`{"cmd":"reportInfo","result":"9","data2":"turn:192.0.2.20:3478"}`,
			`{"cmd":"reportInfo","result":9,"data1":{"iceServers":[{"urls":["turn:192.0.2.77:3478"]}]}}`,
			`{"cmd":"reportInfo","result":8}`,
			`{"cmd":"keepLive"}`,
		} {
			a.say(text)
		}
		a.got()
		if fmt.Sprint(got) != "map[192.0.2.20:3 our own:2]" {
			t.Errorf("%v", got)
		}
	})
}

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "192.0.2.1": true, "turn:192.0.2.1:3478": true, "192.0.2.10 192.0.2.1": true, "192.0.2.10": false, "1192.0.2.1": false, "1.192.0.2.1": false, "192.0.2.1.192.0.2.1": false,
	} {
		if got := mentions([]byte(text), "192.0.2.1"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if !mentions([]byte("turn:[2001:db8::5]:3478"), "2001:db8::5") || mentions([]byte("turn:[2001:db8::5f]:3478"), "2001:db8::5") || mentions([]byte("x"), "") {
		t.Error("IPv6")
	}
}

// A server that falls silent is lost until it registers again; one that goes by itself is not.
func TestR29_SilentServersAreLost(t *testing.T) {
	bubble(t, func(c *Config) { c.IceSecret = "k" }, func(t *testing.T, h *house) {
		wants := func(want ...string) {
			t.Helper()
			if got := h.service.Lost(); !slices.Equal(got, want) {
				t.Errorf("lost: %v, want %v", got, want)
			}
		}
		for i := range 3 {
			h.report("k", registered(fmt.Sprint("192.0.2.1", i)))
		}
		h.report("k", `{"cmd":"iceDeregister","ip":"192.0.2.12"}`)
		time.Sleep(20 * time.Second)
		h.report("k", `{"cmd":"iceReportRxTxRate","ip":"192.0.2.11","rxRate":1,"txRate":1}`)
		time.Sleep(11 * time.Second)
		wants("192.0.2.10")
		if !h.service.Usable() {
			t.Error("our own is not usable")
		}
		time.Sleep(20 * time.Second)
		wants("192.0.2.10", "192.0.2.11")
		h.report("k", registered("192.0.2.11"))
		wants("192.0.2.10")
		h.report("k", `{"cmd":"iceDeregister","ip":"192.0.2.10"}`)
		wants()
		time.Sleep(time.Minute)
		wants("192.0.2.11")
		time.Sleep(24 * time.Hour)
		wants()
	})
}

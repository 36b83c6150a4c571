package roomserver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// atlas has the country of each /24 of the networks for documentation.
type atlas map[string]string

func (a atlas) Country(ip netip.Addr) string {
	p, _ := ip.Prefix(24)
	return a[p.String()]
}

// from is a client of room 22 with an address of its own.
func (h *house) from(ip, uid string) *client {
	h.t.Helper()
	c := &client{h.t, &pipe{in: make(chan []byte), end: make(chan struct{})}, uid}
	source := netip.MustParseAddr(ip)
	if !h.service.hall.Admit(source) {
		h.t.Fatal("not admitted")
	}
	go func() {
		defer h.service.hall.Dismiss(source)
		h.service.serve(c.pipe, source)
	}()
	c.say(`{"cmd":"join"}`)
	c.one("respJoin")
	return c
}

func TestR23_ServersOfTheRegionThatTwoShare(t *testing.T) {
	world := atlas{"192.0.2.0/24": "DE", "198.51.100.0/24": "FR", "203.0.113.0/24": "US", "10.0.1.0/24": "DE", "10.0.2.0/24": "US", "10.0.3.0/24": "JP", "10.0.4.0/24": "BR"}
	for name, c := range map[string]struct {
		a, b  string
		full  string // servers that have no room, by the start of their addresses
		known bool
		want  string
	}{
		"one region":                   {"192.0.2.1", "198.51.100.1", "-", true, "10.0.1.1"},
		"two regions":                  {"192.0.2.1", "203.0.113.1", "-", true, "10.0.3.1"},
		"one region that is full":      {"192.0.2.1", "198.51.100.1", "10.0.1.", true, "10.0.3.1"},
		"all but one are full":         {"192.0.2.1", "198.51.100.1", "10.0.1. 10.0.3. 10.0.2.", true, "10.0.4.1"},
		"nothing is known of one":      {"192.0.2.1", "127.0.0.1", "-", true, "10.0.3.1"},
		"nothing is known of any":      {"127.0.0.1", "127.0.0.1", "-", true, "10.0.3.1"},
		"without a file":               {"192.0.2.1", "198.51.100.1", "-", false, "10.0.2.1"}, // the least loaded
		"the other region":             {"203.0.113.1", "203.0.113.2", "-", true, "10.0.2.1"},
		"of two in it the less loaded": {"203.0.113.1", "203.0.113.2", "10.0.2.1", true, "10.0.2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(cfg *Config) {
				cfg.IceSecret, cfg.IceBandwidth, cfg.NeutralRegion = "k", 1, "asia"
				cfg.Region = []Region{{"europe", []string{"DE", "FR"}}, {"america", []string{"US"}}, {"asia", []string{"JP"}}}
			}, func(t *testing.T, h *house) {
				if c.known {
					h.service.ice.regions.countries = world
				}
				for i, ip := range []string{"10.0.1.1", "10.0.2.1", "10.0.2.2", "10.0.3.1", "10.0.4.1"} {
					h.report("k", registered(ip))
					rate := []int{40_000, 10_000, 20_000, 50_000, 60_000}[i]
					for _, full := range strings.Fields(c.full) {
						if strings.HasPrefix(ip, full) {
							rate = 100_000
						}
					}
					if _, got := h.report("k", fmt.Sprintf(`{"cmd":"iceReportRxTxRate","ip":"%s","rxRate":1,"txRate":%d}`, ip, rate)); got != "successful" {
						t.Fatal(got)
					}
				}
				a := h.from(c.a, "a")
				h.from(c.b, "b")
				if got := fmt.Sprint(a.one("notifyNewPeer")["rtcConfig"]); !strings.Contains(got, "turn:"+c.want+":") {
					t.Errorf("got %s, not %s", got, c.want)
				}
			})
		})
	}
}

func TestRegionsThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"neutral":  func(c *Config) { c.NeutralRegion = "x" },
		"nameless": func(c *Config) { c.Region = []Region{{"", []string{"DE"}}} },
		"code":     func(c *Config) { c.Region = []Region{{"a", []string{"de"}}} },
		"twice":    func(c *Config) { c.Region = []Region{{"a", []string{"DE"}}, {"b", []string{"DE"}}} },
	} {
		c := Defaults()
		change(&c)
		if c.Check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

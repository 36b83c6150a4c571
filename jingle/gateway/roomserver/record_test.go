package roomserver

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/store"
	"parley/jingle"
)

// diary keeps what it is told, with users in place of the addresses of their occupants.
type diary struct {
	mu        sync.Mutex
	users     map[string]string
	joined    map[string]Joining
	lines     []string
	pairs     map[string]string // ids, as "from to"
	qualities []store.TalkQuality
	guestSub  string // what sub-sessions with people of other protocols are called
}

func (d *diary) line(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, a := range args {
		if s, ok := a.(string); ok && d.users[s] != "" {
			args[i] = d.users[s]
		}
	}
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) Joined(j Joining) {
	d.mu.Lock()
	d.users[j.Member], d.joined[j.UID] = j.UID, j
	d.mu.Unlock()
	d.line("%s joined", j.Member)
}

func (d *diary) Left(_, member string, timeout bool) { d.line("%s left %t", member, timeout) }

func (d *diary) Paired(_, a, b, ab, ba string, ice netip.Addr) {
	d.mu.Lock()
	d.pairs[d.users[a]+" "+d.users[b]], d.pairs[d.users[b]+" "+d.users[a]] = ab, ba
	d.mu.Unlock()
	d.line("%s and %s by %s", a, b, ice)
}

func (d *diary) Begun(_, from, to string)          { d.line("%s begins with %s", from, to) }
func (d *diary) Connected(_, from, to, how string) { d.line("%s has %s by %s", from, to, how) }

func (d *diary) Quality(_, from, to string, q store.TalkQuality) {
	d.mu.Lock()
	d.qualities = append(d.qualities, q)
	d.mu.Unlock()
	d.line("%s measures %s", from, to)
}

func (d *diary) QualityOf(_, from, nick string, q store.TalkQuality) {
	d.line("%s measures %s of elsewhere", from, nick)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.qualities = append(d.qualities, q)
}

func (d *diary) Sub(_, from, nick string) string { return d.guestSub }

func (d *diary) Told(_, member string, result int64, data string) {
	d.line("%s tells %d %s", member, result, data)
}

func (d *diary) Failed(room, door, cause string) { d.line("%s %s %s", room, door, cause) }

func (h *house) diary() *diary {
	d := &diary{users: make(map[string]string), joined: make(map[string]Joining), pairs: make(map[string]string)}
	h.service.records = d
	return d
}

// are fails unless the lines are those; it forgets them.
func (d *diary) are(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		t.Errorf("got  %q\nwant %q", d.lines, want)
	}
	d.lines = nil
}

func TestR18_SessionsAreRecorded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		d := h.diary()
		a := h.client("u0")
		a.raw(`{"cmd":"join","appId":"10000","roomId":"22","uid":"u0","uname":"Ann","talkType":0,"time":"1560152983","osName":"Linux","browser":"chrome58.0","sdkInfo":"1.0.0"}`)
		m := a.one("respJoin")
		d.are(t, "u0 joined")
		j := d.joined["u0"]
		if j.Session != m["sessionId"] || j.Room != "22@muc.x.net" || j.AppID != "10000" || j.UName != "Ann" || j.TalkType != 0 || j.OS != "Linux" || j.Browser != "chrome58.0" || j.SDK != "1.0.0" || j.ClientTime.Unix() != 1560152983 || !j.Source.IsValid() {
			t.Errorf("%+v", j)
		}
		a.say(`{"cmd":"leave"}`)
		a.one("respLeave")
		d.are(t, "u0 left false")
		b := h.join("u9")
		time.Sleep(41 * time.Second)
		b.one("respLeave")
		d.are(t, "u9 joined", "u9 left true")
	})
}

func TestR19_SubSessionsAreRecordedWithTheIDsThatAreTold(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		d := h.diary()
		a, b := h.pair()
		d.are(t, "u0 joined", "u9 joined", "u9 and u0 by 192.0.2.1")
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"x"}`)
		if m := a.one("respOffer"); m["subSessionId"] != d.pairs["u0 u9"] {
			t.Errorf("%v, recorded %v", m, d.pairs)
		}
		if m := b.one("relayOffer"); m["subSessionId"] != d.pairs["u9 u0"] || d.pairs["u0 u9"] == d.pairs["u9 u0"] {
			t.Errorf("%v, recorded %v", m, d.pairs)
		}
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":"y"}`)
		b.one("respAnswer")
		a.one("relayAnswer")
		a.say(`{"cmd":"peerConnected","remoteUid":"u9","connectType":"TURN"}`)
		a.one("respPeerConnected")
		d.are(t, "u0 begins with u9", "u9 begins with u0", "u0 has u9 by TURN")
		before := d.pairs["u9 u0"]
		again := h.client("u9") // comes back: new sub-sessions, the same session
		again.say(`{"cmd":"join"}`)
		again.one("respJoin")
		a.one("notifyNewPeer")
		d.are(t, "u9 and u0 by 192.0.2.1")
		if d.pairs["u9 u0"] == before {
			t.Error("the sub-session is the one of before")
		}
		again.say(`{"cmd":"leave"}`)
		again.one("respLeave")
		a.one("relayLeave")
		d.are(t, "u9 left false")
	})
}

func TestR20_QualityIsRecorded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		d := h.diary()
		a, b := h.pair()
		d.are(t, "u0 joined", "u9 joined", "u9 and u0 by 192.0.2.1")
		a.say(`{"cmd":"reportStats","remoteUid":"u9","audio":{"send":{"bitRate":40,"packetsLostRate":"0.02"},"recv":{"bitRate":"39.6","packetsLostRate":1.5}},
			"video":{"send":{"bitRate":900,"codecName":"VP8","frameRateSent":30,"width":1280,"height":720,"packetsLostRate":0},"recv":{"bitRate":-1,"codecName":7,"frameRateRecv":"NaN","width":null,"height":1e99}}}`)
		a.say(`{"cmd":"reportStats","remoteUid":"u9","subSessionId":"of long ago"}`)
		b.say(`{"cmd":"reportStats","remoteUid":"of nobody","subSessionId":"` + d.pairs["u9 u0"] + `","audio":"nonsense","video":[{}]}`)
		b.say(`{"cmd":"reportStats","remoteUid":"of nobody"}`)
		a.say(`{"cmd":"reportInfo","result":9,"desc":"no way","data1":{"a":1},"data2":"x"}`)
		a.none()
		d.are(t, "u0 measures u9", "u9 measures u0", `u0 tells 9 {"desc":"no way","data1":{"a":1},"data2":"x"}`)
		got, _ := json.Marshal(d.qualities[0])
		for _, want := range []string{`"AudSendLost":0.02`, `"AudRecvLost":null`, `"VidSendLost":0,`, `"AudSendRate":40`, `"AudRecvRate":40`, `"VidSendRate":900`, `"VidRecvRate":null`, `"SendWidth":1280`, `"SendFPS":30`, `"RecvFPS":null`, `"RecvHeight":null`, `"SendCodec":"VP8"`, `"RecvCodec":""`} {
			if !strings.Contains(string(got), want) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		if d.qualities[1] != (store.TalkQuality{}) {
			t.Errorf("%+v", d.qualities[1])
		}
	})
}

// What a member has with somebody of another protocol is kept as well, by that one's nickname; it was told the id that records have.
func TestR14_QualityOfPeopleOfOtherProtocolsIsRecorded(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		d := h.diary()
		d.guestSub = "as recorded"
		u0 := h.join("u0")
		h.come("bob", "<SourceInfo>{}</SourceInfo>")
		u0.all("notifyGate", "notifyNewPeer")
		u0.say(`{"cmd":"reportStats","remoteUid":"bob","audio":{"recv":{"bitRate":40}}}`)
		b.line("u0").Accepted(session("bob", "m", jingle.Both))
		if m := u0.one("relayOffer"); m["subSessionId"] != "as recorded" {
			t.Errorf("%v", m)
		}
		d.guestSub = ""
		h.come("eve", "<SourceInfo>{}</SourceInfo>") // of whom the records do not know yet
		u0.one("notifyNewPeer")
		b.line("u0").Feed(session("eve", "e", jingle.InitiatorSends))
		m := u0.one("relayOffer")
		u0.say(`{"cmd":"reportStats","remoteId":"of nobody","subSessionId":"as recorded","video":{"recv":{"bitRate":900}}}`)
		u0.say(`{"cmd":"reportStats","subSessionId":"` + m["subSessionId"].(string) + `"}`)
		u0.say(`{"cmd":"reportStats","remoteUid":"bob","subSessionId":"of long ago"}`)
		u0.say(`{"cmd":"reportStats","remoteUid":"dino"}`)
		u0.none()
		d.are(t, "u0 joined", "u0 measures bob of elsewhere", "u0 measures bob of elsewhere", "u0 measures eve of elsewhere")
		if q := d.qualities; q[0].AudRecvRate == nil || *q[0].AudRecvRate != 40 || q[1].VidRecvRate == nil || *q[1].VidRecvRate != 900 {
			t.Errorf("%+v", q)
		}
	})
}

func TestR22_JoinsThatFailAreCounted(t *testing.T) {
	bubble(t, func(c *Config) { c.MaxRoomCapacity = 1 }, func(t *testing.T, h *house) {
		d := h.diary()
		h.join("u0")
		b := h.client("u9")
		b.say(`{"cmd":"join"}`)
		b.one("respJoin")
		d.are(t, "u0 joined", "22@muc.x.net roomserver full")
		h.mu.Lock()
		h.refuse = "forbidden"
		h.mu.Unlock()
		b.raw(`{"cmd":"join","appId":"10000","roomId":"23","uid":"u9"}`)
		if m := b.one("respJoin"); m["result"] == 0.0 {
			t.Fatal(m)
		}
		d.are(t, "23@muc.x.net roomserver not-allowed")
	})
}

func FuzzQuality(f *testing.F) {
	f.Add(`{"send":{"bitRate":40,"packetsLostRate":"0.02","width":1},"recv":{"codecName":"VP8"}}`)
	f.Add(`{"send":[],"recv":null}`)
	f.Add(`{"recv":{"bitRate":1e400,"packetsLostRate":-0,"frameRateRecv":"0x1p3"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMessage([]byte(`{"cmd":"reportStats","audio":` + text + `,"video":` + text + `}`))
		if err != nil {
			return
		}
		q := m.quality()
		for _, s := range []*float64{q.AudSendLost, q.AudRecvLost, q.VidSendLost, q.VidRecvLost} {
			if s != nil && !(*s >= 0 && *s <= 1) {
				t.Fatal(*s)
			}
		}
		for _, n := range []*int64{q.AudSendRate, q.VidRecvRate, q.SendWidth, q.RecvFPS} {
			if n != nil && (*n < 0 || *n > 1<<31-1) {
				t.Fatal(*n)
			}
		}
		if !printable(q.SendCodec) || len(q.RecvCodec) > maxText {
			t.Fatalf("%q", q.SendCodec)
		}
	})
}

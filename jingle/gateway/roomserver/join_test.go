package roomserver

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestR02_AloneInARoom(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		c := h.client("u1")
		c.raw(`{"cmd":"join","appId":"10000","token":"t","roomId":"22","roomName":"talk-now","uid":"u1","userType":0,"talkType":1,"time":"1560152983","osName":"Windows","browser":"chrome58.0","sdkInfo":"1.0.0"}`)
		m := c.one("respJoin")
		id, _ := m["sessionId"].(string)
		if len(id) != 26 || strings.Trim(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != "" {
			t.Errorf("sessionId %q is no ULID", id)
		}
		delete(m, "sessionId")
		want := message{"protocol": "resp", "cmd": "respJoin", "result": 0.0, "desc": "ok", "roomId": "22", "roomName": "talk-now", "uid": "u1", "uname": "client_0",
			"reportStatsInterval": 15.0, "keepLiveTimeout": 40.0, "gate": 0.0, "userList": nil}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("got %v, not %v", m, want)
		}
		if got := h.occupants("22"); len(got) != 1 || got[0] != "client_0" {
			t.Errorf("the room has %v", got)
		}
	})
}

func TestR02_IDsThatAreMissingAreMade(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		c := h.client("")
		c.raw(`{"cmd":"join","appId":"1"}`)
		m := c.one("respJoin")
		for _, name := range []string{"roomId", "uid", "uname", "sessionId"} {
			if s, _ := m[name].(string); s == "" {
				t.Errorf("no %s in %v", name, m)
			}
		}
	})
}

func TestR03_OthersAreListedAndToldAfterTheAnswer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("u0")
		b := h.client("u9")
		b.say(`{"cmd":"join","talkType":0}`)
		m := b.one("respJoin")
		want := []any{map[string]any{"appId": "10000", "uid": "u0", "uname": "u0", "userType": 0.0, "talkType": 1.0}}
		if !reflect.DeepEqual(m["userList"], want) {
			t.Errorf("userList is %v", m["userList"])
		}
		a.is(a.one("notifyNewPeer"), map[string]any{"uid": "u9", "uname": "client_0", "userType": 0, "talkType": 0})
		b.none() // who is in the room offers, never the newcomer (R27)
	})
}

func TestR04_TheFourthIsTooMany(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		for i := range 3 {
			h.join(fmt.Sprint("u", i))
		}
		c := h.client("u3")
		c.say(`{"cmd":"join","roomName":"talk-now"}`)
		m := c.one("respJoin")
		c.is(m, map[string]any{"result": 1, "desc": "room is full, it up to max number:3", "roomId": "22", "roomName": "talk-now", "sessionId": "", "reportStatsInterval": 15})
		if list, ok := m["userList"]; !ok || list != nil {
			t.Errorf("userList is %v", list)
		}
		if got := h.occupants("22"); len(got) != 3 {
			t.Errorf("the room has %v", got)
		}
		c.say(`{"cmd":"join","roomId":"23"}`)
		c.is(c.one("respJoin"), map[string]any{"result": 0})
	})
}

func TestR02_WhoComesWhileTheRoomIsMadeWaits(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		h.slow = true
		a, b, c := h.client("u0"), h.client("u9"), h.client("u5")
		for _, x := range []*client{a, b, c} {
			x.say(`{"cmd":"join"}`)
			x.none()
		}
		b.say(`{"cmd":"offer","remoteUid":"u0","msg":"x"}`)
		b.is(b.one("respOffer"), map[string]any{"result": 2})
		h.slow = false
		a.say(`{"cmd":"leave"}`) // who was to make it changes its mind
		a.one("respLeave")
		b.all("respJoin", "notifyNewPeer")
		c.is(c.one("respJoin"), map[string]any{"result": 0})
	})
}

func TestR04_ReconnectIsNotCounted(t *testing.T) {
	bubble(t, func(c *Config) { c.MaxRoomCapacity = 2 }, func(t *testing.T, h *house) {
		a := h.join("u0")
		b := h.client("u9")
		b.say(`{"cmd":"join"}`)
		first := b.one("respJoin")
		a.one("notifyNewPeer")
		again := h.client("u9")
		again.say(`{"cmd":"join"}`)
		again.is(again.one("respJoin"), map[string]any{"result": 0, "sessionId": first["sessionId"]})
		a.one("notifyNewPeer")
		b.say(`{"cmd":"keepLive"}`) // its place is another connection's
		b.is(b.one("respKeepLive"), map[string]any{"result": 2, "desc": "In room 22 can't find the client u9"})
		b.none()
		if got := h.occupants("22"); len(got) != 2 {
			t.Errorf("the room has %v", got)
		}
	})
}

func TestR04_ReconnectMakesNewSubSessions(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"{}"}`)
		before := a.one("respOffer")["subSessionId"]
		b.one("relayOffer")
		again := h.client("u9")
		again.say(`{"cmd":"join"}`)
		again.one("respJoin")
		a.one("notifyNewPeer")
		again.say(`{"cmd":"answer","remoteUid":"u0","msg":"{}"}`)
		again.is(again.one("respAnswer"), map[string]any{"result": 3}) // the offer was for the connection before
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"{}"}`)
		if after := a.one("respOffer")["subSessionId"]; after == before || after == "" {
			t.Errorf("sub-session %v is again %v", before, after)
		}
		again.one("relayOffer")
	})
}

func TestR04_TheRoomRefuses(t *testing.T) {
	for condition, want := range map[string]int{"forbidden": 15, "registration-required": 15, "not-authorized": 15, "item-not-found": 5, "not-allowed": 5, "service-unavailable": 1, "internal-server-error": 4} {
		t.Run(condition, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, h *house) {
				a := h.client("u0")
				h.refuse = condition
				a.say(`{"cmd":"join"}`)
				a.is(a.one("respJoin"), map[string]any{"result": want, "sessionId": ""})
				h.refuse = ""
				a.say(`{"cmd":"join"}`)
				a.is(a.one("respJoin"), map[string]any{"result": 0})
			})
		})
	}
}

func TestR05_NewcomerIsAnnouncedWithAConfiguration(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("u0")
		h.join("u9")
		m := a.one("notifyNewPeer")
		conf := m["rtcConfig"].(map[string]any)
		if conf["bundlePolicy"] != "max-bundle" || conf["iceTransportPolicy"] != "all" || conf["rtcpMuxPolicy"] != "require" {
			t.Errorf("rtcConfig is %v", conf)
		}
		servers := conf["iceServers"].([]any)
		relay, stun := servers[0].(map[string]any), servers[1].(map[string]any)
		if !reflect.DeepEqual(relay["urls"], []any{"turn:192.0.2.1:3478?transport=udp", "turn:192.0.2.1:3478?transport=tcp"}) || relay["username"] == "" || relay["credential"] != "p" {
			t.Errorf("the relay is %v", relay)
		}
		if !reflect.DeepEqual(stun["urls"], []any{"stun:192.0.2.1:3478"}) || stun["username"] != "" || stun["credential"] != "" {
			t.Errorf("STUN is %v", stun)
		}
	})
}

func TestR06_LeaveIsToldToAllOthers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		c := h.join("u5")
		a.one("notifyNewPeer")
		b.one("notifyNewPeer")
		b.say(`{"cmd":"leave","protocol":"relay","time":"1560152983"}`)
		b.is(b.one("respLeave"), map[string]any{"protocol": "resp", "result": 0, "desc": "ok", "uid": "u9", "uname": "u9", "userType": 0})
		for _, o := range []*client{a, c} {
			o.is(o.one("relayLeave"), map[string]any{"protocol": "relay", "appId": "10000", "gate": 0, "roomId": "22", "uid": "u9", "uname": "u9", "userType": 0, "time": "1560152983"})
		}
		b.say(`{"cmd":"leave"}`)
		b.is(b.one("respLeave"), map[string]any{"result": 2, "desc": "can't find the designated uid, it may leave the room halfway"})
		h.join("u6")
		a.one("notifyNewPeer")
		c.got()
		b.none() // who left hears no more
		if len(h.ended) != 1 {
			t.Errorf("relays of %v ended", h.ended)
		}
	})
}

func TestR06_TheLastOneEndsTheRoom(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("u0")
		a.say(`{"cmd":"leave"}`)
		a.one("respLeave")
		if len(h.service.rooms) != 0 || len(h.occupants("22")) != 0 {
			t.Error("the room is still there")
		}
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"x","time":"77"}`)
		a.is(a.one("generalMsgResp"), map[string]any{"result": 5, "desc": "can't find the designated room id", "data1": "offer", "data2": "77"})
	})
}

func TestR10_SilenceEndsAfterFortySeconds(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		for range 9 { // 39 s in which other messages do not count
			time.Sleep(4 * time.Second)
			a.say(`{"cmd":"keepLive"}`)
			a.is(a.one("respKeepLive"), map[string]any{"result": 0})
			b.say(`{"cmd":"turnTalkType","index":1,"enable":true}`)
			b.got()
			a.got()
		}
		time.Sleep(3900 * time.Millisecond)
		a.none()
		time.Sleep(200 * time.Millisecond)
		a.is(a.one("relayLeave"), map[string]any{"uid": "u9"})
		b.one("respLeave")
		b.say(`{"cmd":"keepLive"}`)
		b.is(b.one("respKeepLive"), map[string]any{"result": 2, "desc": "In room 22 can't find the client u9"})
	})
}

func TestR10_ASocketThatIsCutKeepsItsPlace(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		b.CloseNow()
		for range 5 {
			time.Sleep(4 * time.Second)
			a.say(`{"cmd":"keepLive"}`)
			a.one("respKeepLive")
		}
		again := h.client("u9")
		again.say(`{"cmd":"join"}`)
		again.one("respJoin")
		a.one("notifyNewPeer")
		for range 9 {
			time.Sleep(4 * time.Second)
			a.say(`{"cmd":"keepLive"}`)
			a.one("respKeepLive")
		}
		time.Sleep(5 * time.Second)
		a.is(a.one("relayLeave"), map[string]any{"uid": "u9"})
	})
}

func TestR10_AnExpelledOccupantIsTold(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		h.expel("22@muc.x.net/u9")
		b.is(b.one("systemKickUser"), map[string]any{"uid": "u9", "desc": "you were sent out of the meeting"})
		a.is(a.one("relayLeave"), map[string]any{"uid": "u9"})
	})
}

func TestR27_TwoSubSessionsForEachPair(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"x"}`)
		own := a.one("respOffer")["subSessionId"].(string)
		theirs := b.one("relayOffer")["subSessionId"].(string)
		if own == theirs || len(own) != 26 || len(theirs) != 26 {
			t.Errorf("sub-sessions %q and %q", own, theirs)
		}
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":"y","subSessionId":"` + theirs + `"}`)
		b.is(b.one("respAnswer"), map[string]any{"result": 0})
		a.is(a.one("relayAnswer"), map[string]any{"subSessionId": own})
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":"y","subSessionId":"` + own + `"}`) // another's
		b.is(b.one("respAnswer"), map[string]any{"result": 2})
	})
}

func TestR35_ObserversCountAndPromiseNothing(t *testing.T) {
	bubble(t, func(c *Config) { c.MaxRoomCapacity = 2 }, func(t *testing.T, h *house) {
		a := h.join("u0")
		b := h.client("u9")
		b.say(`{"cmd":"join","userType":"1"}`)
		b.one("respJoin")
		a.is(a.one("notifyNewPeer"), map[string]any{"uid": "u9", "userType": 1})
		b.say(`{"cmd":"peerConnected","remoteUid":"u0","connectType":"STUN"}`)
		b.one("respPeerConnected")
		a.none()
		c := h.client("u5")
		c.say(`{"cmd":"join"}`)
		c.is(c.one("respJoin"), map[string]any{"result": 1})
	})
}

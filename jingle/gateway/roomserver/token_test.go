package roomserver

import (
	"net/netip"
	"testing"
	"time"

	"parley/internal/token"
)

func withTokens(c *Config) { c.Auth = authToken }

// issue makes a token for room 22 of a user ("" is nobody in particular) that is good for some time.
func (h *house) issue(raw, user string, life time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens[raw] = token.Claims{Issuer: "i", Room: "22", Expires: time.Now().Add(life), User: token.User{ID: user}}
}

func TestR16_JoiningNeedsATokenForTheRoom(t *testing.T) {
	bubble(t, withTokens, func(t *testing.T, h *house) {
		h.issue("good", "u0", time.Hour)
		h.issue("old", "u0", -time.Second)
		c := h.tokens["good"]
		c.Door = "xmpp"
		h.tokens["door"] = c
		for _, x := range []struct {
			join   string
			result int
		}{
			{`{"cmd":"join","uid":"u0"}`, 13},
			{`{"cmd":"join","uid":"u0","token":"forged"}`, 13},
			{`{"cmd":"join","uid":"u0","token":"old"}`, 14},
			{`{"cmd":"join","uid":"u0","token":"good","roomId":"23"}`, 15},
			{`{"cmd":"join","uid":"u0","token":"door"}`, 15},
			{`{"cmd":"join","uid":"u1","token":"good"}`, 15}, // is of u0
		} {
			a := h.client("")
			a.say(x.join)
			a.is(a.one("respJoin"), map[string]any{"result": x.result, "sessionId": ""})
		}
		a := h.client("")
		a.raw(`{"cmd":"join","appId":"1","roomId":"22","token":"good"}`)
		a.is(a.one("respJoin"), map[string]any{"result": 0, "uid": "u0"})
	})
}

func TestR16_PromptRenewalAndKick(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		bubble(t, func(c *Config) { withTokens(c); c.LegacyTokenCmd = legacy; c.ClientKeepLiveTimeout = time.Hour }, func(t *testing.T, h *house) {
			prompt, kick := "systemPromptToken", "systemKickUser"
			if legacy {
				prompt, kick = "updateToken", "updateToken"
			}
			h.issue("a", "u0", time.Hour)
			h.issue("b", "u9", 70*time.Second)
			a, b := h.client("u0"), h.client("u9")
			a.say(`{"cmd":"join","token":"a"}`)
			a.one("respJoin")
			b.say(`{"cmd":"join","token":"b"}`)
			b.one("respJoin")
			a.one("notifyNewPeer")
			time.Sleep(9900 * time.Millisecond)
			b.none()
			time.Sleep(200 * time.Millisecond)
			b.is(b.one(prompt), map[string]any{"protocol": "req", "appId": "10000"})
			h.issue("c", "u9", 100*time.Second)
			b.say(`{"cmd":"updateToken","protocol":"req","gate":2,"token":"c"}`)
			b.is(b.one("respUpdateToken"), map[string]any{"protocol": "resp", "result": 0, "desc": "ok", "expireIn": 100})
			time.Sleep(41 * time.Second)
			b.one(prompt)
			b.say(`{"cmd":"updateToken","token":"forged"}`)
			b.is(b.one("respUpdateToken"), map[string]any{"result": 13})
			h.issue("d", "u5", time.Hour)
			b.say(`{"cmd":"updateToken","token":"d"}`)
			b.is(b.one("respUpdateToken"), map[string]any{"result": 15}) // somebody else's
			h.mu.Lock()
			c := h.tokens["c"]
			c.Issuer, c.Expires = "another", time.Now().Add(time.Hour)
			h.tokens["e"] = c
			h.mu.Unlock()
			b.say(`{"cmd":"updateToken","token":"e"}`)
			b.is(b.one("respUpdateToken"), map[string]any{"result": 15})
			time.Sleep(68 * time.Second)
			b.none()
			a.none()
			time.Sleep(2 * time.Second)
			b.is(b.one(kick), map[string]any{"protocol": "req", "appId": "10000", "desc": "token is expire"})
			a.is(a.one("relayLeave"), map[string]any{"uid": "u9"})
		})
	}
}

func TestR16_ReconnectWithItsOwnTokenUsedOrExpired(t *testing.T) {
	bubble(t, func(c *Config) { withTokens(c); c.ClientKeepLiveTimeout = time.Hour }, func(t *testing.T, h *house) {
		h.issue("a", "", 100*time.Second)
		h.issue("b", "", time.Hour)
		a := h.client("u0")
		a.say(`{"cmd":"join","token":"a"}`)
		first := a.one("respJoin")
		time.Sleep(105 * time.Second) // expired, within its grace
		a.got()
		again := h.client("u0")
		again.say(`{"cmd":"join","token":"a"}`)
		again.is(again.one("respJoin"), map[string]any{"result": 0, "sessionId": first["sessionId"]})
		other := h.client("u0") // another token for nobody in particular is no proof
		other.say(`{"cmd":"join","token":"b"}`)
		other.is(other.one("respJoin"), map[string]any{"result": 12, "desc": "duplicate user"})
		again.say(`{"cmd":"leave"}`)
		again.one("respLeave")
		again.say(`{"cmd":"join","token":"a"}`) // there is no place any more
		again.is(again.one("respJoin"), map[string]any{"result": 14})
	})
}

func TestHP5_AOneTimeTokenOpensTheRoomOnce(t *testing.T) {
	bubble(t, withTokens, func(t *testing.T, h *house) {
		h.issue("a", "", time.Hour)
		h.mu.Lock()
		c := h.tokens["a"]
		c.Once, c.ID = true, "j1"
		h.tokens["a"] = c
		h.mu.Unlock()
		a := h.client("u0")
		a.say(`{"cmd":"join","token":"a"}`)
		a.is(a.one("respJoin"), map[string]any{"result": 0})
		b := h.client("u1")
		b.say(`{"cmd":"join","token":"a"}`)
		b.is(b.one("respJoin"), map[string]any{"result": 13})
	})
}

func TestR16_NobodyNewComesWithoutClaims(t *testing.T) {
	bubble(t, withTokens, func(t *testing.T, h *house) {
		a := h.client("u0")
		a.say(`{"cmd":"keepLive"}`)
		a.got()
		c := h.service.newConn(a.pipe, netip.MustParseAddr("192.0.2.9"))
		r := h.service.acquire("22@muc.x.net")
		r.Do(func() {
			if r.join(c, &Message{Cmd: cmdJoin, UID: "u0", RoomID: "22"}, nil) {
				t.Error("it is in")
			}
		})
		h.service.release(r)
		a.is(a.one("respJoin"), map[string]any{"result": 13})
	})
}

func TestR16_TheSameUserTakesItsPlace(t *testing.T) {
	bubble(t, withTokens, func(t *testing.T, h *house) {
		h.issue("a", "u0", time.Hour)
		h.issue("b", "u0", time.Hour)
		c := h.tokens["b"]
		c.Issuer = "another"
		h.tokens["c"] = c
		a := h.client("u0")
		a.say(`{"cmd":"join","token":"a"}`)
		first := a.one("respJoin")
		for raw, result := range map[string]int{"b": 0, "c": 12} {
			again := h.client("u0")
			again.say(`{"cmd":"join","token":"` + raw + `"}`)
			m := again.one("respJoin")
			again.is(m, map[string]any{"result": result})
			if result == 0 && m["sessionId"] != first["sessionId"] {
				t.Error("another session")
			}
		}
	})
}

func TestR16_OnePlaceForEachConnection(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("u0")
		a.say(`{"cmd":"join","roomId":"23"}`)
		a.is(a.one("respJoin"), map[string]any{"result": 12})
		a.say(`{"cmd":"join","uid":"u1"}`)
		a.is(a.one("respJoin"), map[string]any{"result": 12})
		a.say(`{"cmd":"leave"}`)
		a.one("respLeave")
		a.say(`{"cmd":"join","roomId":"23"}`)
		a.is(a.one("respJoin"), map[string]any{"result": 0})
	})
}

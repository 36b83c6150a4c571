package roomserver

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestR07_OfferIsRelayedWithAConfiguration(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		a.raw(`{"cmd":"offer","appId":"10000","roomId":"22","uid":"u0","uname":"somebody else","remoteUid":"u9","time":"1560152983",` +
			`"msg":"{\"type\":\"offer\",\"sdp\":\"v=0\\r\\n\"}","sdkFlag":{"a":[1]},"rtcConfig":{"iceServers":[]},"desc":"x"}`)
		a.is(a.one("respOffer"), map[string]any{"remoteUid": "u9", "result": 0, "desc": "ok"})
		m := b.one("relayOffer")
		b.is(m, map[string]any{"protocol": "relay", "uid": "u0", "uname": "u0", "remoteUid": "u9", "msg": "{\"type\":\"offer\",\"sdp\":\"v=0\\r\\n\"}"})
		if fmt.Sprint(m["sdkFlag"]) != "map[a:[1]]" || m["isIceReset"] != nil || m["desc"] != nil {
			t.Errorf("got %v", m)
		}
		if servers := m["rtcConfig"].(map[string]any)["iceServers"].([]any); len(servers) != 2 {
			t.Errorf("the configuration is not the server's: %v", servers)
		}
	})
}

func TestR07_OfferToNobody(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		for _, to := range []string{"u7", "u0"} {
			a.say(`{"cmd":"offer","remoteUid":"` + to + `","msg":"x"}`)
			a.is(a.one("respOffer"), map[string]any{"result": 2, "desc": "can't find the designated uid, it may leave the room halfway", "subSessionId": ""})
		}
		b.none()
	})
}

func TestR07_BothMayOffer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"1"}`)
		b.say(`{"cmd":"offer","remoteUid":"u0","msg":"2"}`)
		for _, c := range []*client{a, b} {
			got := c.got()
			if len(got) != 2 {
				t.Fatalf("%s got %v", c.uid, got)
			}
		}
	})
}

func TestR08_AnswerIsRelayed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":"y"}`) // there is no offer yet
		b.is(b.one("respAnswer"), map[string]any{"result": 3})
		a.none()
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"x"}`)
		a.one("respOffer")
		b.one("relayOffer")
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":{"type":"answer"},"connectType":"2"}`)
		b.is(b.one("respAnswer"), map[string]any{"result": 0, "desc": "ok", "uid": "u9", "uname": "u9", "remoteUid": "u0"})
		m := a.one("relayAnswer")
		a.is(m, map[string]any{"uid": "u9", "uname": "u9", "remoteUid": "u0", "connectType": 2})
		if fmt.Sprint(m["msg"]) != "map[type:answer]" {
			t.Errorf("an object was relayed as %v", m["msg"])
		}
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":"y"}`)
		b.one("respAnswer")
		a.is(a.one("relayAnswer"), map[string]any{"connectType": 0, "msg": "y"})
	})
}

func TestR08_QuietSuccess(t *testing.T) {
	bubble(t, func(c *Config) { c.QuietSuccess = true }, func(t *testing.T, h *house) {
		a, b := h.pair()
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"x"}`)
		a.one("respOffer")
		b.one("relayOffer")
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":"y"}`)
		b.say(`{"cmd":"candidate","remoteUid":"u0","msg":"{\"candidate\":\"c\",\"sdpMid\":\"0\"}"}`)
		b.say(`{"cmd":"peerConnected","remoteUid":"u0","connectType":"STUN"}`)
		b.none()
		b.say(`{"cmd":"answer","remoteUid":"u7","msg":"y"}`)
		b.is(b.one("respAnswer"), map[string]any{"result": 2})
		b.say(`{"cmd":"candidate","remoteUid":"u7","msg":"{\"candidate\":\"c\"}"}`)
		b.is(b.one("respCandidate"), map[string]any{"result": 2})
	})
}

const (
	browserForm = `{\"candidate\":\"candidate:1 1 udp 1 192.0.2.1 9 typ host\",\"sdpMid\":\"audio\",\"sdpMLineIndex\":0,\"usernameFragment\":\"abcd\"}`
	androidForm = `{\"type\":\"candidate\",\"label\":0,\"id\":\"audio\",\"candidate\":\"candidate:1 1 udp 1 192.0.2.1 9 typ host\"}`
	sdkForm     = `{\"label\":0,\"id\":\"audio\",\"candidate\":\"candidate:1 1 udp 1 192.0.2.1 9 typ host\"}`
)

// offered are a and b after a's offer.
func (h *house) offered() (a, b *client) {
	a, b = h.pair()
	a.say(`{"cmd":"offer","remoteUid":"u9","msg":"x"}`)
	a.one("respOffer")
	b.one("relayOffer")
	return a, b
}

func TestR09_CandidatesHaveBothSpellings(t *testing.T) {
	for name, form := range map[string]string{"browser": browserForm, "android": androidForm, "sdk": sdkForm} {
		for _, quoted := range []bool{true, false} {
			t.Run(fmt.Sprint(name, quoted), func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, h *house) {
					a, b := h.offered()
					msg := `"` + form + `"`
					if !quoted {
						json.Unmarshal([]byte(msg), &msg)
					}
					a.say(`{"cmd":"candidate","remoteUid":"u9","time":"1","msg":` + msg + `}`)
					a.is(a.one("respCandidate"), map[string]any{"result": 0, "uid": "u0", "remoteUid": "u9"})
					m := b.one("relayCandidate")
					b.is(m, map[string]any{"uid": "u0", "uname": "u0", "remoteUid": "u9"})
					got, isObject := m["msg"].(map[string]any)
					if !isObject {
						json.Unmarshal([]byte(m["msg"].(string)), &got)
					}
					if isObject == quoted {
						t.Errorf("msg came in another type: %v", m["msg"])
					}
					for member, want := range map[string]any{"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "audio", "sdpMLineIndex": 0.0, "type": "candidate", "label": 0.0, "id": "audio"} {
						if got[member] != want {
							t.Errorf("%s is %v", member, got[member])
						}
					}
					if want := map[string]any{"browser": "abcd"}[name]; got["usernameFragment"] != want {
						t.Errorf("usernameFragment is %v", got["usernameFragment"])
					}
				})
			})
		}
	}
}

func TestR09_CandidatesWaitForTheirOfferOrAnswer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		for i := range 3 {
			a.say(fmt.Sprintf(`{"cmd":"candidate","remoteUid":"u9","msg":"{\"candidate\":\"c%d\",\"sdpMid\":\"0\"}"}`, i))
			a.one("respCandidate")
		}
		b.none()
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"x"}`)
		a.one("respOffer")
		for i, m := range b.all("relayOffer", "relayCandidate", "relayCandidate", "relayCandidate")[1:] {
			var got map[string]any
			json.Unmarshal([]byte(m["msg"].(string)), &got)
			if got["candidate"] != fmt.Sprint("c", i) {
				t.Errorf("candidate %d is %v", i, got)
			}
		}
		b.say(`{"cmd":"candidate","remoteUid":"u0","msg":"{\"candidate\":\"d\",\"sdpMid\":\"0\"}"}`)
		b.one("respCandidate")
		a.none()
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":"y"}`)
		b.one("respAnswer")
		a.all("relayAnswer", "relayCandidate")
	})
}

func TestR09_WaitingCandidatesAreBounded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		for range heldMost {
			a.say(`{"cmd":"candidate","remoteUid":"u9","msg":"{\"candidate\":\"c\"}"}`)
			a.is(a.one("respCandidate"), map[string]any{"result": 0})
		}
		a.say(`{"cmd":"candidate","remoteUid":"u9","msg":"{\"candidate\":\"c\"}"}`)
		a.is(a.one("respCandidate"), map[string]any{"result": 11})
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"x"}`)
		if got := len(b.got()); got != 1+heldMost {
			t.Errorf("%d messages", got)
		}
	})
}

func TestR09_TheEndOfCandidatesIsForBrowsersAlone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.offered()
		end := `{"cmd":"candidate","remoteUid":"u9","msg":"{\"candidate\":\"\",\"sdpMid\":\"0\"}"}`
		a.say(end) // what b reads is not known
		a.one("respCandidate")
		b.none()
		b.say(`{"cmd":"answer","remoteUid":"u0","msg":"y"}`)
		b.say(`{"cmd":"candidate","remoteUid":"u0","msg":"` + androidForm + `"}`)
		b.got()
		a.got()
		a.say(end)
		a.one("respCandidate")
		b.none()
		b.say(`{"cmd":"candidate","remoteUid":"u0","msg":"` + browserForm + `"}`)
		b.got()
		a.got()
		a.say(end)
		a.one("respCandidate")
		b.one("relayCandidate")
	})
}

func TestR09_WhatIsNoCandidateIsRefused(t *testing.T) {
	for _, msg := range []string{`"x"`, `""`, `{}`, `"{}"`, `{"candidate":5}`, `{"candidate":"c","sdpMLineIndex":-1}`, `{"candidate":"c","label":"x"}`, `{"candidate":"a\nb"}`, `{"candidate":"c","candidate":"d"}`} {
		t.Run(msg, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, h *house) {
				a, b := h.offered()
				a.say(`{"cmd":"candidate","remoteUid":"u9","msg":` + msg + `}`)
				a.is(a.one("respCandidate"), map[string]any{"result": 3})
				b.none()
			})
		})
	}
}

func TestR11_DevicesAreToldToAllOthers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		a.say(`{"cmd":"turnTalkType","index":1,"enable":false,"x":1}`)
		a.is(a.one("respTurnTalkType"), map[string]any{"uid": "u0", "result": 0, "desc": "ok"})
		b.is(b.one("relayTurnTalkType"), map[string]any{"uid": "u0", "uname": "u0", "index": 1, "enable": false, "x": 1})
		if got := h.presence("u0"); !has(got, "<audiomuted>true<", "<videomuted>false<", `{"u0-a0":{"muted":true},"u0-v0":{"muted":false}}`) {
			t.Errorf("people who use XMPP see %s", got)
		}
		a.say(`{"cmd":"turnTalkType","index":"0","enable":"0"}`)
		b.is(b.one("relayTurnTalkType"), map[string]any{"index": 0, "enable": false})
		if got := h.presence("u0"); !has(got, "<videomuted>true<") {
			t.Errorf("people who use XMPP see %s", got)
		}
	})
}

func TestR11_WhoConnectsLaterHearsOfIt(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		a.say(`{"cmd":"turnTalkType","index":1,"enable":false}`)
		a.one("respTurnTalkType")
		b.one("relayTurnTalkType")
		c := h.join("u5")
		a.one("notifyNewPeer")
		b.one("notifyNewPeer")
		a.say(`{"cmd":"peerConnected","remoteUid":"u5","connectType":"STUN"}`)
		a.is(a.one("respPeerConnected"), map[string]any{"result": 0, "uid": "u0", "remoteUid": "u5"})
		c.is(c.one("relayTurnTalkType"), map[string]any{"uid": "u0", "index": 1, "enable": false})
		b.say(`{"cmd":"peerConnected","remoteUid":"u5","connectType":"Unknown"}`)
		c.none() // its devices are as it promised
		b.one("respPeerConnected")
	})
}

func TestR11_WhoComesBackIsStillMuted(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.pair()
		b.say(`{"cmd":"turnTalkType","index":1,"enable":false}`)
		a.one("relayTurnTalkType")
		again := h.client("u9")
		again.say(`{"cmd":"join"}`)
		again.one("respJoin")
		a.one("notifyNewPeer")
		again.say(`{"cmd":"peerConnected","remoteUid":"u0","connectType":"STUN"}`)
		a.is(a.one("relayTurnTalkType"), map[string]any{"uid": "u9", "index": 1, "enable": false})
	})
}

func TestR12_ConnectedToNobody(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("u0")
		a.say(`{"cmd":"peerConnected","remoteUid":"u7","connectType":"TURN"}`)
		a.is(a.one("respPeerConnected"), map[string]any{"result": 2})
	})
}

func TestR13_ReportsAreNotAnswered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("u0")
		a.say(`{"cmd":"reportInfo","result":"9","desc":"no way","data1":{"iceServers":[]},"data2":null}`)
		a.say(`{"cmd":"reportInfo","result":4711,"data1":5}`)
		a.none()
		a.say(`{"cmd":"keepLive"}`)
		a.one("respKeepLive")
	})
}

func TestR14_QualityReportsAreTakenAsTheyCome(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("u0")
		for _, report := range []string{
			`{"cmd":"reportStats","remoteUid":"u9","audio":{"send":{"bitRate":40,"packetsLostRate":"0.02"}},"video":null}`,
			`{"cmd":"reportStats","remoteId":"u9","subSessionId":"of long ago","audio":{"send":{"bitRate":"NaN"}},"video":{"recv":{"bitRate":-1,"width":1.5}}}`,
		} {
			a.say(report)
		}
		a.none()
	})
}

func TestR26_ResetIsRelayed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.offered()
		a.say(`{"cmd":"offer","remoteUid":"u9","msg":"x","isIceReset":true}`)
		m := b.one("relayOffer")
		b.is(m, map[string]any{"isIceReset": true})
		if m["rtcConfig"] == nil {
			t.Error("no rtcConfig")
		}
	})
}

func TestR36_NothingHangsOnTheClientsClock(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.client("u0")
		a.say(`{"cmd":"join","time":"yesterday"}`)
		a.is(a.one("respJoin"), map[string]any{"result": 0})
		b := h.client("u9")
		b.say(`{"cmd":"join","time":99999999999999}`)
		b.one("respJoin")
		a.one("notifyNewPeer")
		time.Sleep(39 * time.Second)
		a.none()
	})
}

package apprtc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestA03_CallerCalleeFullAndAgain(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a := h.join("")
		b := h.join("")
		if a.Result != resultSuccess || a.Params.Initiator != "true" || b.Result != resultSuccess || b.Params.Initiator != "false" || a.Params.Client == b.Params.Client || a.Params.Room != "22" {
			t.Fatalf("%+v %+v", a, b)
		}
		if len(h.occupants()) != 2 {
			t.Errorf("occupants are %q", h.occupants())
		}
		c := h.join("")
		if c.Result != resultFull || c.Params.Messages == nil || c.Params.Client != "" {
			t.Errorf("the third: %+v", c)
		}
		for _, x := range []reply{a, b} {
			if w := h.ask("POST", "/leave/22/"+x.Params.Client, ""); w.Code != 200 || w.Body.Len() != 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		if len(h.occupants()) != 0 {
			t.Errorf("occupants are %q", h.occupants())
		}
		if d := h.join(""); d.Params.Initiator != "true" {
			t.Errorf("%+v", d)
		}
	})
}

func TestA04_MessagesAreStoredInOrderAndForwarded(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a := h.join("").Params.Client
		want := []string{`{"type":"offer","sdp":"v=0"}`, `{"type":"candidate","label":0}`, "\"\\\u2028<b>"}
		for _, m := range want {
			if r := h.message(a, m); r != resultSuccess {
				t.Fatal(r)
			}
		}
		b := h.join("").Params
		if !slices.Equal(b.Messages, want) {
			t.Errorf("%q", b.Messages)
		}
		// What is said between the join and the WebSocket waits for that.
		h.message(a, "late")
		ws := h.register("22", b.Client)
		ws.wants("late")
		h.message(a, "now")
		ws.wants("now")
		for r, got := range map[string]string{
			resultRoom:    strings.TrimSpace(h.ask("POST", "/message/23/"+a, "x").Body.String()),
			resultClient:  strings.TrimSpace(h.ask("POST", "/message/22/00000000x", "x").Body.String()),
			resultError:   strings.TrimSpace(h.ask("POST", "/message/22/"+a, "\xff").Body.String()),
			resultSuccess: strings.TrimSpace(h.ask("POST", "/message/22/"+a, "x").Body.String()),
		} {
			if got != `{"result":"`+r+`"}` {
				t.Errorf("%s: %s", r, got)
			}
		}
		ws.wants("x")
		if w := h.ask("POST", "/message/22/"+a, strings.Repeat("x", messageMost+1)); w.Body.String() != `{"result":"ERROR"}`+"\n" {
			t.Errorf("too long: %d %s", w.Code, w.Body)
		}
	})
}

func TestA05_LeaveOfWhoIsNotThere(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		for _, path := range []string{"/leave/22/12345678", "/leave/nobody/1", "/bye/22/12345678"} {
			if w := h.ask("POST", path, ""); w.Code != 200 || w.Body.Len() != 0 {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		for _, path := range []string{"/leave/22/a.b", "/message/a%20b/1", "/join/a.b", "/r/a@b"} {
			method := "POST"
			if strings.HasPrefix(path, "/r/") {
				method = "GET"
			}
			if w := h.ask(method, path, "x"); w.Code != 404 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	})
}

func TestA06_ByeFreesTheSeatAndClosesTheSocket(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a, b := h.join("").Params.Client, h.join("").Params.Client
		wa, wb := h.register("22", a), h.register("22", b)
		for range 2 {
			if w := h.ask("POST", "/bye/22/"+a, ""); w.Code != 200 {
				t.Errorf("%d", w.Code)
			}
		}
		wa.wantClosed(true)
		wb.wants(bye) // nobody else says it
		if c := h.join("").Params; c.Initiator != "false" {
			t.Errorf("%+v", c)
		}
	})
}

func TestA11_WhoIsSilentIsOut(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a := h.join("").Params.Client
		b := h.join("").Params.Client
		wa, wb := h.register("22", a), h.register("22", b)
		wb.send(`{"type":"answer","sdp":"x"}`)
		wa.wants(`{"type":"answer","sdp":"x"}`)
		wb.hangUp() // a tab that was closed says nothing
		time.Sleep(9 * time.Second)
		if r := h.join("").Result; r != resultFull {
			t.Errorf("before its time is over: %s", r)
		}
		time.Sleep(2 * time.Second)
		wa.wants(bye) // it offers anew to who comes next
		c := h.join("").Params
		if c.Initiator != "false" || len(h.occupants()) != 2 {
			t.Errorf("%+v %q", c, h.occupants())
		}
		// Who has joined and does not connect is out too.
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if len(h.occupants()) != 1 {
			t.Errorf("occupants are %q", h.occupants())
		}
		if r := h.message(c.Client, "x"); r != resultClient {
			t.Error(r)
		}
		if c := h.join("").Params; c.Initiator != "false" {
			t.Errorf("%+v", c)
		}
	})
}

func TestA12_WaitingMessagesAreBounded(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a := h.join("").Params.Client
		for i := range waitingMost {
			if r := h.message(a, fmt.Sprint(i)); r != resultSuccess {
				t.Fatal(i, r)
			}
		}
		if r := h.message(a, "more"); r != "500" {
			t.Error(r)
		}
		if w := h.ask("POST", "/22/"+a, "more"); w.Code != 500 || w.Body.String() != "Failed to send the message: Too many messages queued for the client\n" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		b := h.join("").Params
		if len(b.Messages) != waitingMost || b.Messages[0] != "0" || b.Messages[waitingMost-1] != fmt.Sprint(waitingMost-1) {
			t.Errorf("%d messages", len(b.Messages))
		}
		if r := h.message(a, "again"); r != resultSuccess {
			t.Error(r)
		}
	})
	bubble(t, pairs, func(t *testing.T, h *house) {
		a := h.join("").Params.Client
		for i := range 100 {
			r := h.message(a, strings.Repeat("x", messageMost))
			if full := i >= queueBytes/messageMost; full != (r == "500") {
				t.Fatal(i, r)
			}
		}
	})
}

// A hang-up runs: leave, then bye over the socket, then DELETE. The bye is for whom the sender was paired with.
func TestA22_ByeReachesThePeerNotTheNewcomer(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a, b := h.join("").Params.Client, h.join("").Params.Client
		wa, wb := h.register("22", a), h.register("22", b)
		wb.send("hello")
		wa.wants("hello")
		h.ask("POST", "/leave/22/"+b, "")
		c := h.join("").Params
		if c.Initiator != "false" {
			t.Errorf("%+v", c)
		}
		wc := h.register("22", c.Client)
		wb.send(bye)
		wa.wants(bye)
		wc.wants()
		wb.hangUp()
		if w := h.ask("DELETE", "/22/"+b, ""); w.Body.String() != "OK\n" {
			t.Error(w.Body)
		}
		wa.wants() // it was told once
		h.message(a, "offer")
		wc.wants("offer")
		wc.send("answer")
		wa.wants("answer")
	})
}

func TestA22_WhoLeavesWithoutByeIsSaidGoodbyeFor(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a, b := h.join("").Params.Client, h.join("").Params.Client
		wa, wb := h.register("22", a), h.register("22", b)
		h.ask("POST", "/leave/22/"+b, "")
		wa.wants()
		wb.hangUp()
		wa.wants(bye)
	})
}

func TestA23_TwoAreAPairAndNothingIsReadOfWhatTheySay(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) { // with the bridge there
		a, b := h.join(""), h.join("")
		wa, wb := h.register("22", a.Params.Client), h.register("22", b.Params.Client)
		for _, m := range []string{"not json", `{"type":7}`, `{"type":"candidates-of-tomorrow"}`, `{"type":"offer","sdp":"not sdp"}`, "\u2028", strings.Repeat("x", messageMost)} {
			wa.send(m)
			wb.wants(m)
			wb.send(m)
			wa.wants(m)
		}
		if len(h.calls) > 0 {
			t.Error("the bridge was called")
		}
		for _, s := range h.occupants() {
			if strings.Contains(s, "SourceInfo") {
				t.Errorf("it shows that it is in the call: %s", s)
			}
		}
		wa.send(strings.Repeat("x", messageMost+1))
		wa.wants("?Invalid send request: the message is too long")
		wa.wantClosed(true)
	})
}

func TestA02_TheFirstOnesLoopback(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("?debug=loopback")
		if a.Params.Initiator != "true" || h.join("").Result != resultFull {
			t.Fatalf("%+v", a)
		}
		var p struct{ Params params }
		if err := json.Unmarshal(h.ask("POST", "/join/33?debug=loopback", "").Body.Bytes(), &p); err != nil || p.Params.IsLoopback != "true" ||
			!strings.Contains(p.Params.PCConstraints, `"DtlsSrtpKeyAgreement":false`) || p.Params.Loopback != `<script src="/js/loopback.js"></script>` {
			t.Errorf("%+v %v", p, err)
		}
		wa, wl := h.register("22", a.Params.Client), h.register("22", loopbackID)
		h.message(a.Params.Client, "offer")
		wl.wants("offer")
		wl.send("answer")
		wa.wants("answer")
		h.ask("POST", "/leave/22/"+a.Params.Client, "")
		wl.wantClosed(true)
		wa.send(bye)
		if h.join("").Result != resultSuccess {
			t.Error("the room is full")
		}
		synctest.Wait()
	})
}

package apprtc

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/jingle"
	"parley/xmpp/wire"
)

const inCall = "<SourceInfo>{}</SourceInfo>"

// description reads a message that has one.
func description(t *testing.T, text, typ string) *jingle.Jingle {
	t.Helper()
	var m map[string]string
	if err := json.Unmarshal([]byte(text), &m); err != nil || m["type"] != typ || len(m) != 2 {
		t.Fatalf("not an %s: %s", typ, text)
	}
	by := jingle.Initiator
	if typ == typeAnswer {
		by = jingle.Responder
	}
	j, err := jingle.ParseSDP(m["sdp"], by, jingle.DefaultLimits)
	if err != nil {
		t.Fatalf("%v: %s", err, m["sdp"])
	}
	return j
}

// clientSays is a description of a client, as a message.
func clientSays(t *testing.T, typ string, contents ...jingle.Content) string {
	t.Helper()
	j := bridgeSays(contents...)
	by := jingle.Initiator
	for i := range j.Contents {
		tr := *j.Contents[i].Transport
		tr.Ufrag, tr.Candidates = "cccc", nil
		tr.Fingerprints = []jingle.Fingerprint{tr.Fingerprints[0]}
		if typ == typeAnswer {
			by = jingle.Responder
			tr.Fingerprints[0].Setup = jingle.Active
		}
		j.Contents[i].Transport = &tr
	}
	text, err := complete(j, j).AppendSDP(nil, by, origin())
	if err != nil {
		t.Fatal(err)
	}
	return appendSignal(typ, text)
}

const found = `{"type":"candidate","label":0,"id":"audio","candidate":"candidate:1 1 udp 2122260223 192.0.2.7 5000 typ host generation 0 ufrag cccc network-id 1"}`

func TestA24_SeatsInMixedRooms(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		var answers []func() reply
		h.joining("")()
		h.stranger("bob", inCall)
		for i := range 5 {
			answers = append(answers, h.joining(""))
			h.call(i + 1).to.Accepted(bothOffered())
		}
		for _, a := range answers {
			if a := a(); a.Result != resultSuccess {
				t.Errorf("%+v", a)
			}
		}
		if w := h.ask("GET", "/r/22", ""); strings.Contains(w.Body.String(), "Room full") {
			t.Error("the room counts as full")
		}
		h.mu.Lock()
		h.refuse = "service-unavailable"
		h.mu.Unlock()
		if r := h.join("").Result; r != resultFull {
			t.Errorf("%s", r)
		}
		if w := h.ask("GET", "/r/22", ""); !strings.Contains(w.Body.String(), "<title>AppRTC: Room full</title>") {
			t.Error("the page would ask again and again")
		}
		time.Sleep(fullTime)
		if w := h.ask("GET", "/r/22", ""); strings.Contains(w.Body.String(), "Room full") {
			t.Error("it stays full")
		}
		// Collider's interface alone does not lead to the bridge.
		ws := h.register("22", "abc")
		ws.wants("?Max room capacity reached")
		ws.wantClosed(true)
	})
	full := false // as the room says, before anybody was refused
	bubble(t, func(_ *Config, p *Parts) {
		p.Full = func(_ context.Context, room wire.Addr) bool { return full && room == "22@muc.x.net" }
	}, func(t *testing.T, h *house) {
		for _, full = range []bool{false, true, false} {
			if w := h.ask("GET", "/r/22", ""); strings.Contains(w.Body.String(), "Room full") != full {
				t.Errorf("the page of a room that is full (%v): %s", full, w.Body)
			}
		}
		full = true
		if w := h.ask("GET", "/r/23", ""); strings.Contains(w.Body.String(), "Room full") {
			t.Error("another room counts as full")
		}
	})
	bubble(t, func(_ *Config, p *Parts) { p.Focus = nil }, func(t *testing.T, h *house) { // no bridge
		h.join("")
		h.stranger("bob", inCall)
		h.join("")
		if r := h.join("").Result; r != resultFull {
			t.Errorf("%s", r)
		}
	})
}

func TestA25_WhoComesIsCalled(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		first := h.join("").Params.Client // who makes it a room of ours; it has not offered yet
		h.stranger("bob", inCall)
		answer := h.joining("?name=Ann")
		c := h.call(1)
		if h.stranger("eve", "<show>away</show>"); len(h.calls) != 1 {
			t.Fatal("somebody who is in no call makes calls")
		}
		c.to.Accepted(bothOffered())
		a := answer()
		if a.Params.Initiator != "false" || len(a.Params.Messages) != 1 {
			t.Fatalf("%+v", a)
		}
		// One section of each medium, on one transport, all candidates in it.
		offer := description(t, a.Params.Messages[0], typeOffer)
		if len(offer.Contents) != 2 || offer.Bundle() == nil || len(offer.Contents[0].Transport.Candidates) != 1 || offer.Contents[0].Description.Media != "audio" || offer.Contents[1].Description.Media != "video" {
			t.Errorf("%s", a.Params.Messages[0])
		}
		ws := h.register("22", a.Params.Client)
		ws.wants()
		ws.send(found) // before the answer: it waits
		if len(c.trickled) != 0 {
			t.Error("the bridge has a candidate of nothing")
		}
		ws.send(clientSays(t, typeAnswer, content("audio", "audio", "opus", 48000), content("video", "video", "VP8", 90000)))
		if c.answer == nil || len(c.answer.Contents) != 2 || c.answer.Contents[0].Transport.Ufrag != "cccc" {
			t.Fatalf("the bridge is answered %+v", c.answer)
		}
		ws.send(found)
		ws.send(strings.Replace(found, "ufrag cccc", "ufrag aaaa", 1)) // of an earlier call
		ws.send(strings.Replace(found, "5000", "none", 1))
		if len(c.trickled) != 2 || c.trickled[0].Transport.Candidates[0].IP != "192.0.2.7" {
			t.Errorf("the bridge has %+v", c.trickled)
		}
		// Noise does not end the call.
		for _, m := range []string{"{", `{"type":"remove-candidates","candidates":[]}`, `{"type":"answer","sdp":"again"}`, `{"type":"offer","sdp":"v=0"}`, `{"type":1}`} {
			ws.send(m)
		}
		ws.wants()
		if c.forgotten || len(h.calls) != 1 {
			t.Error("the call has ended")
		}
		if r := h.message(a.Params.Client, "{"); r != resultError {
			t.Error(r)
		}
		if r := h.message(first, found); r != resultSuccess {
			t.Error(r)
		}
		h.ask("POST", "/leave/22/"+a.Params.Client, "")
		if !c.forgotten {
			t.Error("the call goes on")
		}
	})
}

func TestA25_WhoIsAloneAndHasOfferedIsAnswered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("").Params.Client
		ws := h.register("22", a)
		data := jingle.Content{Creator: jingle.Initiator, Name: "data", Senders: jingle.Both, Description: &jingle.Description{Media: "application"}}
		j := clientSays(t, typeOffer, content("0", "audio", "opus", 48000), content("1", "video", "VP8", 90000))
		j = strings.Replace(j, "a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 data", 1)
		j = strings.TrimSuffix(j, `"}`) + `m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\na=sctp-port:5000\r\n"}`
		h.message(a, j)
		h.message(a, strings.Replace(found, "audio", "0", 1))
		if len(h.calls) != 0 {
			t.Fatal("it calls the bridge for nobody")
		}
		h.stranger("bob", inCall)
		c := h.call(1)
		if len(c.trickled) != 1 {
			t.Errorf("%+v", c.trickled)
		}
		c.to.Accepted(bridgeSays(content("0", "audio", "opus", 48000), content("1", "video", "VP8", 90000)))
		got := ws.got()
		if len(got) != 1 {
			t.Fatalf("%q", got)
		}
		answer := description(t, got[0], typeAnswer)
		if len(answer.Contents) != 3 || answer.Contents[2].Senders != jingle.RejectedContent || answer.Contents[2].Name != data.Name || len(answer.Bundle().Contents) != 2 || len(answer.Contents[0].Transport.Candidates) != 1 {
			t.Errorf("%s", got[0])
		}
	})
}

func TestA25_APairIsMovedByBye(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.join("").Params.Client, h.join("").Params.Client
		wa, wb := h.register("22", a), h.register("22", b)
		h.message(a, "offer")
		wb.wants("offer")
		// b has no connection yet that could hear a bye; a has.
		h.stranger("bob", inCall)
		wa.wants(bye)
		wb.wants()
		wb.send(clientSays(t, typeAnswer, content("0", "audio", "opus", 48000)))
		wb.wants(bye)
		wa.wants()
		wb.send(found) // of what it had with a
		if len(h.calls) != 0 {
			t.Fatal("the bridge was called")
		}
		for i, x := range []struct {
			id string
			ws *client
		}{{a, wa}, {b, wb}} {
			if r := h.message(x.id, clientSays(t, typeOffer, content("0", "audio", "opus", 48000))); r != resultSuccess {
				t.Fatal(r)
			}
			h.call(i + 1).to.Accepted(bridgeSays(content("0", "audio", "opus", 48000)))
			if got := x.ws.got(); len(got) != 1 {
				t.Fatalf("%q", got)
			} else {
				description(t, got[0], typeAnswer)
			}
		}
		// They stay there when the other has gone.
		h.stranger("bob", "")
		wa.wants()
		// Until everybody has left.
		for _, id := range []string{a, b} {
			h.ask("POST", "/bye/22/"+id, "")
		}
		if c := h.join("").Params; c.Initiator != "true" {
			t.Errorf("%+v", c)
		}
	})
}

func TestA25_AThirdMovesThePair(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.join("").Params.Client, h.join("").Params.Client
		wa, wb := h.register("22", a), h.register("22", b)
		wa.send("offer")
		wb.wants("offer")
		wb.send("answer")
		wa.wants("answer")
		answer := h.joining("")
		wa.wants(bye)
		wb.wants(bye)
		h.call(1).to.Accepted(bothOffered())
		if a := answer(); a.Params.Initiator != "false" {
			t.Errorf("%+v", a)
		}
	})
}

// Android's and iOS's clients end a call at a bye: they are called by the bridge from the start.
func TestA25_NativeClientsTalkToTheBridgeFromTheStart(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		h.agent = "Dalvik/2.1.0 (Linux; U; Android 14)"
		answer := h.joining("")
		h.call(1).to.Accepted(bothOffered())
		if a := answer(); a.Params.Initiator != "false" || len(a.Params.Messages) != 1 {
			t.Errorf("%+v", a)
		}
		h.agent = ""
		answer = h.joining("")
		h.call(2).to.Accepted(bothOffered())
		if a := answer(); a.Params.Initiator != "false" {
			t.Errorf("%+v", a)
		}
	})
	for agent, native := range map[string]bool{"Dalvik/2.1.0": true, "AppRTCMobile/1 CFNetwork/1390 Darwin/22.0.0": true, "okhttp/4.9": true,
		"Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126": false, "": false} {
		if isNative(agent) != native {
			t.Error(agent)
		}
	}
}

func TestA25_ABridgeThatIsLostIsFollowedByAnother(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		h.join("")
		h.stranger("bob", inCall)
		answer := h.joining("")
		c := h.call(1)
		c.to.Accepted(bothOffered())
		ws := h.register("22", answer().Params.Client)
		answered := clientSays(t, typeAnswer, content("audio", "audio", "opus", 48000), content("video", "video", "VP8", 90000))
		ws.send(answered)
		c.to.Ended(&jingle.Reason{Condition: jingle.ConnectivityError})
		c.to.Ended(&jingle.Reason{Condition: jingle.ConnectivityError}) // it is told once
		next := h.call(2)
		if next.occupant.Addr() == c.occupant.Addr() {
			t.Error("the occupant has had a call")
		}
		next.to.Accepted(bothOffered())
		got := ws.got()
		if len(got) != 1 {
			t.Fatalf("%q", got)
		}
		description(t, got[0], typeOffer)
		ws.send(answered)
		if next.answer == nil {
			t.Error("the bridge is not answered")
		}
		c.to.Accepted(bothOffered()) // too late
		ws.wants()
		if len(h.occupants()) != 2 {
			t.Errorf("occupants are %q", h.occupants())
		}
		next.to.Ended(&jingle.Reason{Condition: jingle.FailedApplication})
		ws.wants(bye)
	})
	bubble(t, nil, func(t *testing.T, h *house) { // a bridge that makes no offer
		h.join("")
		h.stranger("bob", inCall)
		answer := h.joining("")
		h.call(1).to.Ended(&jingle.Reason{Condition: jingle.GeneralError})
		if a := answer(); a.Result != resultError {
			t.Errorf("%+v", a)
		}
	})
}

func TestA25_OffersAreBounded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("").Params.Client
		h.register("22", a)
		h.stranger("bob", inCall)
		refused := 0
		for range 20 {
			if h.message(a, clientSays(t, typeOffer, content("0", "audio", "opus", 48000))) == resultError {
				refused++
			}
		}
		synctest.Wait()
		if refused != 15 || len(h.calls) != 5 {
			t.Errorf("%d are refused, %d calls", refused, len(h.calls))
		}
	})
}

func TestA26_WhatTheRoomSees(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a := h.join("?name=%1bAnn%20%3Cb%3E").Params.Client
		b := h.join("").Params.Client
		h.stranger("bob", inCall)
		h.register("22", a)
		h.message(a, clientSays(t, typeOffer, content("0", "audio", "opus", 48000)))
		h.register("22", b)
		h.message(b, clientSays(t, typeOffer, content("0", "audio", "opus", 48000), everyVideo("1")))
		synctest.Wait()
		list := h.occupants()
		if len(list) != 2 {
			t.Fatalf("%q", list)
		}
		voice, both := list[0], list[1]
		if strings.Contains(voice, "AppRTC_") {
			voice, both = both, voice
		}
		for _, part := range []string{"/Annb'", "<nick xmlns='" + nsNick + "'>Ann &lt;b&gt;</nick>", "Annb-a0", "<audiomuted>false<", "<videomuted>true<", "jigasi"} {
			if !strings.Contains(voice, part) {
				t.Errorf("no %s in %s", part, voice)
			}
		}
		for _, part := range []string{"/AppRTC_", ">AppRTC-", "-v0", "<jitsi_participant_codecList>vp8,vp9,av1<", "<videomuted>false<"} {
			if !strings.Contains(both, part) {
				t.Errorf("no %s in %s", part, both)
			}
		}
		for _, id := range []string{a, b} { // who knows the id can speak as the client
			if strings.Contains(voice+both, id) {
				t.Error("the room is told a client's id")
			}
		}
	})
}

func TestWhoIsSentOutOfTheRoom(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, b := h.join("?name=a").Params.Client, h.join("?name=b").Params.Client
		wa, wb := h.register("22", a), h.register("22", b)
		h.mu.Lock()
		s := h.nicks[roomAddr+"/b"]
		delete(h.nicks, roomAddr+"/b")
		delete(h.shown, roomAddr+"/b")
		h.mu.Unlock()
		s.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='" + string(roomAddr) + "/b' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'><status code='307'/></x></presence>")})
		wb.wants(bye)
		wb.wantClosed(true)
		wa.wants(bye)
		if r := h.message(b, "x"); r != resultClient {
			t.Error(r)
		}
	})
}

func TestRoomThatLetsNobodyIn(t *testing.T) {
	for condition, result := range map[string]string{"forbidden": resultError, "not-authorized": resultError, "service-unavailable": resultFull} {
		bubble(t, nil, func(t *testing.T, h *house) {
			h.refuse = condition
			if r := h.join("").Result; r != result {
				t.Errorf("%s: %s", condition, r)
			}
			ws := h.register("22", "abc")
			ws.wants("?Max room capacity reached")
			ws.wantClosed(true)
		})
	}
}

func TestAtTheEndEverybodyIsToldToComeBack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		ws := h.register("22", h.join("").Params.Client)
		h.service.Close()
		ws.wantClosed(true)
		if ws.code != 1012 {
			t.Errorf("%d", ws.code)
		}
		if r := h.join("").Result; r != resultError {
			t.Error(r)
		}
	})
}

func FuzzParseSignal(f *testing.F) {
	for _, seed := range []string{found, bye, `{"type":"offer","sdp":"v=0\r\n"}`, `{"type":"candidate","label":"1","candidate":""}`, `{"type":"candidate","label":-1e9}`, `[]`, `{`, `{"type":"remove-candidates","candidates":[{}]}`} {
		f.Add(seed)
	}
	if b, err := os.ReadFile("../../../jingle/testdata/offer.sdp"); err == nil {
		f.Add(appendSignal(typeOffer, b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := parseSignal(text)
		if err != nil {
			if g != (signal{}) {
				t.Errorf("%+v with an error", g)
			}
			return
		}
		if typeOf(text) != g.typ || g.index < -1 || g.index > 255 {
			t.Errorf("%+v of %q", g, text)
		}
		if c, err := jingle.ParseTrickle(g.candidate, g.mid, g.index, ""); err == nil && !c.End {
			if _, _, err := jingle.ParseCandidate(c.Candidate.SDP()); err != nil {
				t.Errorf("%q is written %q: %v", g.candidate, c.Candidate.SDP(), err)
			}
		}
		if j, err := jingle.ParseSDP(g.sdp, jingle.Initiator, jingle.DefaultLimits); err == nil {
			complete(&jingle.Jingle{Contents: j.Contents[:1]}, j).AppendSDP(nil, jingle.Responder, origin())
		}
	})
}

func FuzzParseFrame(f *testing.F) {
	for _, seed := range []string{`{"cmd":"register","roomid":"22","clientid":"1"}`, `{"cmd":"send","msg":"x","roomid":7}`, `{"CMD":"send"}`, `null`, `{"cmd":"a","cmd":"b"}`, "{\"msg\":\"\\ud800\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		fr, err := parseFrame(text)
		if err != nil {
			if fr != (frame{}) {
				t.Errorf("%+v with an error", fr)
			}
			return
		}
		var back struct{ Msg, Error string }
		if err := json.Unmarshal(appendFrame(fr.Msg, ""), &back); err != nil || back.Msg != fr.Msg || back.Error != "" {
			t.Errorf("%q is written %q: %v", fr.Msg, back.Msg, err)
		}
	})
}

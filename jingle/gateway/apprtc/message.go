package apprtc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// messageMost bounds one message between clients, in bytes.
const messageMost = 256 << 10

// frame is what a client says over its WebSocket.
type frame struct {
	Cmd    string `json:"cmd"`
	Room   string `json:"roomid"`
	Client string `json:"clientid"`
	Msg    string `json:"msg"`
}

var errText = errors.New("invalid UTF-8")

// parseFrame reads a frame. Members that are not known are passed over.
func parseFrame(text []byte) (f frame, err error) {
	if !utf8.Valid(text) {
		return f, errText
	}
	if err = json.Unmarshal(text, &f); err != nil {
		return frame{}, err
	}
	return f, nil
}

// appendFrame writes what the server says: both members are always there, and exactly one of them says something.
func appendFrame(msg, fault string) []byte {
	b, _ := json.Marshal(struct {
		Msg   string `json:"msg"`
		Error string `json:"error"`
	}{msg, fault})
	return b
}

// The types of messages between clients, but for those that the bridge has no use for.
const (
	typeOffer     = "offer"
	typeAnswer    = "answer"
	typeCandidate = "candidate"
	typeBye       = "bye"
)

// bye is the message by which a client is told that the other has gone.
const bye = `{"type":"bye"}`

// typeOf is the type of a message between clients, "" if it has none. Nothing else of it is looked at between two of them.
func typeOf(text string) string {
	var m struct {
		Type string `json:"type"`
	}
	if len(text) > messageMost || json.Unmarshal([]byte(text), &m) != nil {
		return ""
	}
	return m.Type
}

// signal is a message of a client to the bridge.
type signal struct {
	typ       string
	sdp       string
	candidate string
	mid       string
	index     int // of the medium, -1 if it is not said
}

// parseSignal reads one.
func parseSignal(text string) (signal, error) {
	var m struct {
		Type      string          `json:"type"`
		SDP       string          `json:"sdp"`
		Candidate string          `json:"candidate"`
		ID        string          `json:"id"`
		Label     json.RawMessage `json:"label"`
	}
	if len(text) > messageMost || !utf8.ValidString(text) || json.Unmarshal([]byte(text), &m) != nil || m.Type == "" {
		return signal{}, errSignal
	}
	s := signal{typ: m.Type, sdp: m.SDP, candidate: m.Candidate, mid: m.ID, index: -1}
	if label := bytes.Trim(m.Label, `"`); len(label) > 0 { // some write the number as a string
		if n, err := strconv.ParseUint(string(label), 10, 8); err == nil {
			s.index = int(n)
		}
	}
	return s, nil
}

// appendSignal writes a description as a message.
func appendSignal(typ string, sdp []byte) string {
	b, _ := json.Marshal(struct {
		Type string `json:"type"`
		SDP  string `json:"sdp"`
	}{typ, string(sdp)})
	return string(b)
}

package roomserver

import (
	"encoding/json"
	"errors"
)

// candidate is an ICE candidate in either of the spellings that clients have, and read:
//
//	browser  {"candidate":"candidate:… typ host …","sdpMid":"audio","sdpMLineIndex":0,"usernameFragment":"abcd"}
//	Android  {"type":"candidate","label":0,"id":"audio","candidate":"candidate:…"}
type candidate struct {
	line     string
	mid      string
	hasMid   bool
	index    int
	hasIndex bool
	fragment string
	form     form
}

// form is which spelling a client has.
type form uint8

const (
	formUnknown form = iota
	formBrowser
	formAndroid
)

const maxCandidate = 2048 // bytes of a line

var errCandidate = errors.New("roomserver: not a candidate")

// readCandidate reads the msg of a candidate: a string that holds JSON, or an object.
func readCandidate(msg json.RawMessage) (c candidate, err error) {
	text := []byte(msg)
	if len(msg) > 0 && msg[0] == '"' {
		text = []byte(unquote(msg))
	}
	list, err := readObject(text)
	if err != nil {
		return c, errCandidate
	}
	said := false
	for _, p := range list {
		if absent(p.value) {
			continue
		}
		var e error
		switch p.key {
		case "candidate":
			c.line, e = readText(p.value, maxCandidate)
			said = true
		case "sdpMid":
			c.mid, e = readText(p.value, maxText)
			c.hasMid, c.form = true, formBrowser
		case "id":
			if !c.hasMid {
				c.mid, e = readText(p.value, maxText)
				c.hasMid = true
			}
		case "sdpMLineIndex":
			c.index, e = readInt(p.value, 0, 1<<16-1)
			c.hasIndex, c.form = true, formBrowser
		case "label":
			if !c.hasIndex {
				c.index, e = readInt(p.value, 0, 1<<16-1)
				c.hasIndex = true
			}
		case "usernameFragment":
			c.fragment, e = readText(p.value, maxText)
		}
		if e != nil {
			return candidate{}, errCandidate
		}
	}
	if !said {
		return candidate{}, errCandidate
	}
	if c.form == formUnknown && (c.hasMid || c.hasIndex) {
		c.form = formAndroid
	}
	return c, nil
}

// write writes the candidate with all members of both spellings, as a string of JSON or as an object.
func (c candidate) write(asText bool) json.RawMessage {
	o := frame(`{"type":"candidate"`).text("candidate", c.line)
	if c.hasMid {
		o = o.text("sdpMid", c.mid).text("id", c.mid)
	}
	if c.hasIndex {
		o = o.number("sdpMLineIndex", c.index).number("label", c.index)
	}
	if c.fragment != "" {
		o = o.text("usernameFragment", c.fragment)
	}
	text := o.end()
	if asText {
		quoted, _ := json.Marshal(string(text))
		return quoted
	}
	return json.RawMessage(text)
}

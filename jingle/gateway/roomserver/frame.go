package roomserver

import (
	"encoding/json"
	"strconv"
)

// frame is a message of ours, written member by member in the order in which the design lists them.
type frame []byte

// newFrame begins a message.
func newFrame(protocol, cmd string) frame {
	return frame(`{"protocol":"` + protocol + `","cmd":"` + cmd + `"`)
}

// response begins the answer to a request.
func response(cmd string, r result, desc string) frame {
	return newFrame("resp", cmd).number("result", int(r)).text("desc", desc)
}

func (f frame) text(name, value string) frame {
	quoted, _ := json.Marshal(value)
	return f.raw(name, quoted)
}

func (f frame) number(name string, n int) frame {
	return f.raw(name, strconv.AppendInt(nil, int64(n), 10))
}

// raw adds JSON that is known to be valid, null where there is none.
func (f frame) raw(name string, value []byte) frame {
	f = append(append(append(f, `,"`...), name...), `":`...)
	if len(value) == 0 {
		return append(f, "null"...)
	}
	return append(f, value...)
}

// extra adds what a client said that is not known, as it came.
func (f frame) extra(list []pair) frame {
	for _, p := range list {
		quoted, _ := json.Marshal(p.key)
		f = append(append(append(append(f, ','), quoted...), ':'), p.value...)
	}
	return f
}

func (f frame) end() []byte { return append(f, '}') }

// general is the answer to what cannot be answered otherwise.
func general(r result, m *Message) []byte {
	return newFrame("resp", "generalMsgResp").number("result", int(r)).text("desc", texts[r]).text("data1", m.Cmd).text("data2", m.TimeText).end()
}

package roomserver

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// Commands of clients.
const (
	cmdJoin          = "join"
	cmdLeave         = "leave"
	cmdOffer         = "offer"
	cmdAnswer        = "answer"
	cmdCandidate     = "candidate"
	cmdKeepLive      = "keepLive"
	cmdTurnTalkType  = "turnTalkType"
	cmdPeerConnected = "peerConnected"
	cmdReportInfo    = "reportInfo"
	cmdReportStats   = "reportStats"
	cmdUpdateToken   = "updateToken"
	cmdLogin         = "login"
)

// answers are the commands that requests are answered with; those that report something are not answered.
var answers = map[string]string{
	cmdJoin: "respJoin", cmdLeave: "respLeave", cmdOffer: "respOffer", cmdAnswer: "respAnswer", cmdCandidate: "respCandidate",
	cmdKeepLive: "respKeepLive", cmdTurnTalkType: "respTurnTalkType", cmdPeerConnected: "respPeerConnected",
	cmdReportInfo: "", cmdReportStats: "", cmdUpdateToken: "respUpdateToken", cmdLogin: cmdLogin,
}

// What talkType promises.
const (
	talkAudio = iota
	talkBoth
	talkVideo
	talkNone
)

// observer is the userType of somebody who only receives.
const observer = 1

// Message is one frame of a client, its fields under the design's names whatever spelling they came in. Texts are bounded and
// without control characters. Absent fields are zero, but for talkType, which is audio and video.
type Message struct {
	Cmd, Protocol                string
	AppID, Token                 string
	RoomID, RoomName, UID, UName string
	RemoteUID                    string
	SessionID, SubSessionID      string
	UserType, TalkType           int
	OSInfo, Browser, SDKInfo     string

	Time     time.Time // by the client's clock; zero if it cannot be read
	TimeText string    // as it came, at most 32 bytes

	Msg         json.RawMessage // a string or an object
	Reset       json.RawMessage // isIceReset: true or false; nil: absent
	ConnectType string          // TURN, STUN, Unknown, or a number

	Index  int // 0 camera, 1 microphone, 2 screen, 3 sound of the system; -1 absent
	Enable json.RawMessage

	Result       int
	Desc         string
	Data1, Data2 json.RawMessage

	IP, URL string

	Audio, Video json.RawMessage // of a quality report

	Extra []pair // what is not known; none of the names that the server gives
}

// names are the fields of requests by their spellings in lower case. The first spelling of a field is its own.
var names = map[string]string{
	"cmd": "cmd", "protocol": "protocol", "token": "token", "roomid": "roomId", "roomname": "roomName", "uid": "uid", "uname": "uname",
	"appid": "appId", "appld": "appId", "app_id": "appId",
	"remoteuid": "remoteUid", "remoteid": "remoteUid", "remotelid": "remoteUid",
	"sessionid": "sessionId", "subsessionid": "subSessionId", "usertype": "userType", "talktype": "talkType",
	"osinfo": "osInfo", "osname": "osInfo", "browser": "browser", "sdkinfo": "sdkInfo", "time": "time",
	"msg": "msg", "isicereset": "isIceReset", "connecttype": "connectType", "index": "index", "enable": "enable",
	"result": "result", "desc": "desc", "data1": "data1", "data2": "data2", "gate": "gate", "ip": "ip", "url": "url",
	"audio": "audio", "video": "video",
}

// given are further names that only the server gives, so that no client passes such a field to another.
var given = map[string]bool{"rtcconfig": true, "userlist": true, "reportstatsinterval": true, "keeplivetimeout": true, "expirein": true, "reason": true}

// ParseMessage reads a frame. When it returns an error the message has what could be read of cmd and time.
func ParseMessage(text []byte) (*Message, error) {
	m := &Message{TalkType: talkBoth, Index: -1}
	list, err := readObject(text)
	if err != nil {
		return m, err
	}
	fields := make(map[string]json.RawMessage, len(list))
	for _, p := range list {
		lower := strings.ToLower(p.key)
		name, ok := names[lower]
		switch {
		case !ok && !given[lower]:
			m.Extra = append(m.Extra, p)
		case !ok:
		case strings.EqualFold(name, lower) || fields[name] == nil: // another spelling gives way
			fields[name] = p.value
		}
	}
	return m, m.read(fields)
}

func (m *Message) read(fields map[string]json.RawMessage) (err error) {
	text := func(name string, most int, to *string) {
		s, e := readText(fields[name], most)
		if *to = s; e != nil {
			err = e
		}
	}
	number := func(name string, least, most int, to *int) {
		if absent(fields[name]) {
			return
		}
		n, e := readInt(fields[name], least, most)
		if e != nil {
			err = e
			return
		}
		*to = n
	}
	text("cmd", 32, &m.Cmd)
	if m.Cmd == "logon" {
		m.Cmd = cmdLogin
	}
	if raw := fields["time"]; !absent(raw) && len(raw) <= 32 {
		if m.TimeText = unquote(raw); !printable(m.TimeText) {
			m.TimeText = ""
		}
		m.Time, _ = readTime(raw)
	}
	text("protocol", 16, &m.Protocol)
	text("token", maxToken, &m.Token)
	for name, to := range map[string]*string{
		"appId": &m.AppID, "roomId": &m.RoomID, "roomName": &m.RoomName, "uid": &m.UID, "uname": &m.UName, "remoteUid": &m.RemoteUID,
		"sessionId": &m.SessionID, "subSessionId": &m.SubSessionID, "osInfo": &m.OSInfo, "browser": &m.Browser, "sdkInfo": &m.SDKInfo, "ip": &m.IP,
	} {
		text(name, maxText, to)
	}
	text("url", maxLong, &m.URL)
	text("desc", maxLong, &m.Desc)
	if utf8.RuneCountInString(m.UID) > maxUID || utf8.RuneCountInString(m.RemoteUID) > maxUID {
		err = errValue
	}
	number("userType", 0, observer, &m.UserType)
	number("talkType", talkAudio, talkNone, &m.TalkType)
	number("index", 0, devices-1, &m.Index)
	number("result", -1<<31, 1<<31-1, &m.Result)
	for name, to := range map[string]*json.RawMessage{"enable": &m.Enable, "isIceReset": &m.Reset} {
		if raw := fields[name]; !absent(raw) {
			on, e := readFlag(raw)
			if e != nil {
				err = e
			}
			*to = flag(on)
		}
	}
	if raw := fields["connectType"]; !absent(raw) {
		if m.ConnectType = unquote(raw); raw[0] == '{' || raw[0] == '[' || len(m.ConnectType) > 16 || !printable(m.ConnectType) {
			m.ConnectType, err = "", errValue
		}
	}
	if raw := fields["msg"]; !absent(raw) {
		if m.Msg = raw; raw[0] != '"' && raw[0] != '{' {
			err = errValue
		}
	}
	m.Data1, m.Data2, m.Audio, m.Video = fields["data1"], fields["data2"], fields["audio"], fields["video"]
	if err == nil && !m.complete() {
		err = errValue
	}
	return err
}

func flag(on bool) json.RawMessage {
	if on {
		return json.RawMessage("true")
	}
	return json.RawMessage("false")
}

// complete reports that a message has what its command cannot do without.
func (m *Message) complete() bool {
	switch m.Cmd {
	case "":
		return false
	case cmdJoin:
		return m.AppID != ""
	case cmdOffer, cmdAnswer, cmdCandidate:
		return m.RemoteUID != "" && m.Msg != nil
	case cmdPeerConnected:
		return m.RemoteUID != ""
	case cmdTurnTalkType:
		return m.Index >= 0 && m.Enable != nil
	case cmdUpdateToken:
		return m.Token != ""
	case cmdLogin:
		return m.AppID != "" && m.IP != "" && m.URL != "" && m.SDKInfo != "" && m.OSInfo != "" && m.TimeText != ""
	}
	return true
}

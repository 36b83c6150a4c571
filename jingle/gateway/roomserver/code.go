package roomserver

import "strconv"

// result is a result code of the protocol.
type result int

// The result codes. 7, 9, 10 and 11 are those that clients report; from 12 on they are our own.
const (
	resultOK           result = 0
	resultFull         result = 1
	resultNoUID        result = 2
	resultFormat       result = 3
	resultBroken       result = 4
	resultNoRoom       result = 5
	resultNoRemote     result = 6
	resultNoServer     result = 7
	resultICEFull      result = 8
	resultICEInvalid   result = 9
	resultNoMicrophone result = 10
	resultException    result = 11
	resultDuplicate    result = 12
	resultToken        result = 13
	resultExpired      result = 14
	resultNotAllowed   result = 15
)

// texts are shown to people by clients, letter by letter as the design has them, slips included.
var texts = map[result]string{
	resultOK:           "ok",
	resultNoUID:        "can't find the designated uid, it may leave the room halfway",
	resultFormat:       "server parse the message faild, please check the format",
	resultBroken:       "websocket may be broken",
	resultNoRoom:       "can't find the designated room id",
	resultNoRemote:     "can't find the remote user id",
	resultNoServer:     "can't connect to room server ",
	resultICEFull:      "ice server bandwidth is full loading",
	resultICEInvalid:   "ice server invalid, please report to the Ovoice technology",
	resultNoMicrophone: "no microphone device, you can't use talk feature",
	resultException:    "client exception",
	resultDuplicate:    "duplicate user",
	resultToken:        "token invalid",
	resultExpired:      "token expired",
	resultNotAllowed:   "not allowed in this room",
}

// fault is a refusal: what a request is answered with in place of success.
type fault struct {
	result result
	desc   string
}

func (f *fault) Error() string { return f.desc }

func fail(r result) *fault { return &fault{r, texts[r]} }

func failFull(capacity int) *fault {
	return &fault{resultFull, "room is full, it up to max number:" + strconv.Itoa(capacity)}
}

func failNobody(room, uid string) *fault {
	return &fault{resultNoUID, "In room " + room + " can't find the client " + uid}
}

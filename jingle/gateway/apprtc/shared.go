package apprtc

import (
	"context"
	"time"

	"github.com/coder/websocket"

	"parley/jingle/gateway/socket"
)

// openTime is how long the first frame may take at an address that two doors share.
const openTime = time.Minute

// opened is a WebSocket of which the first frame has been looked at. Whoever reads from it reads that first.
type opened struct {
	socket.Socket
	typ   websocket.MessageType
	first []byte
}

// read waits for the first frame, and reports that it came.
func (o *opened) read() bool {
	ctx, done := context.WithTimeout(context.Background(), openTime)
	defer done()
	var err error
	o.typ, o.first, err = o.Socket.Read(ctx)
	return err == nil
}

// ours reports that the first frame is one of this protocol.
func (o *opened) ours() bool {
	f, err := parseFrame(o.first)
	return err == nil && (f.Cmd == "register" || f.Cmd == "send")
}

// Read implements Socket.
func (o *opened) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	if first := o.first; first != nil {
		o.first = nil
		return o.typ, first, nil
	}
	return o.Socket.Read(ctx)
}

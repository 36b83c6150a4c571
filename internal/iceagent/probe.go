package iceagent

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"time"

	"parley/internal/stun"
)

// ask sends a STUN Binding request (RFC 8489 §7.1), and waits so long for an answer: a success, or an error, by which the server is there
// as well. What else comes is not looked at.
func ask(ctx context.Context, addr string, patience time.Duration) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(patience))
	var id stun.ID
	rand.Read(id[:])
	w := stun.Write(nil, stun.Binding, stun.Request, id)
	if _, err := conn.Write(w.Buffer()); err != nil {
		return err
	}
	b := make([]byte, 1500)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return errors.Join(errors.New("no answer to a STUN request"), err)
		}
		if answer(b[:n], id) {
			return nil
		}
	}
}

// answer reports that a packet is the answer to a request.
func answer(b []byte, id stun.ID) bool {
	var m stun.Message
	if m.Parse(b, stun.TURN) != nil {
		return false
	}
	return m.ID == id && m.Method == stun.Binding && (m.Class == stun.Success || m.Class == stun.Failure)
}

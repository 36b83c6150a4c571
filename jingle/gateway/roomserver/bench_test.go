package roomserver

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/jingle/gateway/socket"
)

// nowhere is the WebSocket of a client whose messages are counted, and which says nothing.
type nowhere struct {
	socket.Socket
	got chan struct{}
}

func (n nowhere) Write(context.Context, websocket.MessageType, []byte) error {
	n.got <- struct{}{}
	return nil
}

// BenchmarkCandidate has a member's candidate read, relayed and answered.
func BenchmarkCandidate(b *testing.B) {
	s, conns := benchRoom(b, 2)
	text := []byte(`{"cmd":"candidate","appId":"1","roomId":"22","uid":"u0","remoteUid":"u1","time":"1560152983","msg":"{\"label\":0,\"id\":\"audio\",\"candidate\":\"candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host generation 0 ufrag abcd network-id 1\"}"}`)
	b.ReportAllocs()
	for b.Loop() {
		s.message(conns[0], text)
		<-conns[1].Socket.(nowhere).got
		<-conns[0].Socket.(nowhere).got
	}
}

// BenchmarkJoin has a third member join and leave.
func BenchmarkJoin(b *testing.B) {
	s, conns := benchRoom(b, 2)
	c := s.newConn(nowhere{got: make(chan struct{}, 10)}, netip.MustParseAddr("192.0.2.9"))
	b.ReportAllocs()
	for b.Loop() {
		s.message(c, []byte(`{"cmd":"join","appId":"1","roomId":"22","uid":"u5","uname":"u5","time":"1560152983","osName":"Linux","browser":"chrome58.0","sdkInfo":"1.0.0"}`))
		<-c.Socket.(nowhere).got
		s.message(c, []byte(`{"cmd":"leave","appId":"1","roomId":"22","uid":"u5"}`))
		<-c.Socket.(nowhere).got
		for _, o := range conns { // who came, and left
			<-o.Socket.(nowhere).got
			<-o.Socket.(nowhere).got
		}
	}
}

func benchRoom(b *testing.B, members int) (*Service, []*conn) {
	h := bareHouse()
	cfg := Defaults()
	cfg.Auth, cfg.ClientKeepLiveTimeout = authNone, time.Hour
	s, err := New(cfg, Parts{Domain: "x.net", Rooms: "muc.x.net", MUC: h, Router: h, Relays: h, Tokens: h})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	var conns []*conn
	for i := range members {
		c := s.newConn(nowhere{got: make(chan struct{}, 10)}, netip.MustParseAddr("192.0.2.9"))
		s.message(c, fmt.Appendf(nil, `{"cmd":"join","appId":"1","roomId":"22","uid":"u%d","uname":"u%d"}`, i, i))
		<-c.Socket.(nowhere).got
		for _, o := range conns {
			<-o.Socket.(nowhere).got
		}
		conns = append(conns, c)
	}
	s.message(conns[0], []byte(`{"cmd":"offer","remoteUid":"u1","msg":"x"}`))
	<-conns[0].Socket.(nowhere).got
	<-conns[1].Socket.(nowhere).got
	return s, conns
}

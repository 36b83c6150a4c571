package roomserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/internal/peertest"
)

// BenchmarkAnswers has a thousand clients in two hundred rooms ask, one request each every two seconds; one operation is that long.
// It reports how late answers are at the 99th percentile, and how many requests the server works off in a second of its CPUs: joins,
// with the presence in the room that each is, and then the requests of a call.
func BenchmarkAnswers(b *testing.B) {
	const rooms, each, every = 200, 5, 2 * time.Second
	s := start(b, "[roomserver]\nenabled = true\nauth = \"none\"\ngate = \"p2p\"\nmax_room_capacity = 5\n")
	clients := make([]*asker, rooms*each)
	var all sync.WaitGroup
	gate := make(chan struct{}, 16) // at a time
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for i := range clients {
		all.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			ws, _, err := websocket.Dial(ctx, "ws://"+s.HTTP+"/rs/ws", nil)
			if err != nil {
				b.Error(err)
				return
			}
			ws.SetReadLimit(1 << 20)
			clients[i] = &asker{ws: ws, room: fmt.Sprint("r", i/each), uid: fmt.Sprint("u", i%each), other: fmt.Sprint("u", (i+1)%each)}
		})
	}
	all.Wait()
	if b.Failed() {
		return
	}
	defer func() {
		for _, c := range clients {
			c.ws.CloseNow()
		}
	}()
	before := cpu(b, s)
	for _, c := range clients {
		all.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			if err := c.ask(ctx, `"cmd":"join","appId":"1"`, `"respJoin"`); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	if b.Failed() {
		return
	}
	joins := float64(len(clients)) / (cpu(b, s) - before)
	for _, c := range clients {
		c.late = nil
	}
	before = cpu(b, s)
	asked := 0
	for b.Loop() {
		begun := time.Now()
		for i, c := range clients {
			all.Go(func() {
				time.Sleep(time.Until(begun.Add(every * time.Duration(i) / time.Duration(len(clients)))))
				if err := c.request(ctx); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		asked += len(clients)
		if b.Failed() {
			return
		}
	}
	b.ReportMetric(joins, "joins/CPU-s")
	b.ReportMetric(float64(asked)/(cpu(b, s)-before), "requests/CPU-s")
	var late []time.Duration
	for _, c := range clients {
		late = append(late, c.late...)
	}
	slices.Sort(late)
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "p50-ms")
}

// asker is a client that knows no more than to wait for an answer.
type asker struct {
	ws               *websocket.Conn
	room, uid, other string
	turn             int
	late             []time.Duration
}

// request asks what clients ask in a call, in turn.
func (c *asker) request(ctx context.Context) error {
	c.turn++
	switch c.turn % 4 {
	case 0:
		return c.ask(ctx, fmt.Sprintf(`"cmd":"turnTalkType","index":1,"enable":%t`, c.turn%8 == 0), `"respTurnTalkType"`)
	case 1:
		return c.ask(ctx, `"cmd":"candidate","remoteUid":"`+c.other+`","msg":"{\"label\":0,\"id\":\"audio\",\"candidate\":\"candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host\"}"`, `"respCandidate"`)
	case 2:
		return c.ask(ctx, `"cmd":"offer","remoteUid":"`+c.other+`","msg":"{\"type\":\"offer\",\"sdp\":\"v=0\"}"`, `"respOffer"`)
	}
	return c.ask(ctx, `"cmd":"keepLive"`, `"respKeepLive"`)
}

// ask sends a request, and reads until it is answered.
func (c *asker) ask(ctx context.Context, members, answer string) error {
	begun := time.Now()
	text := `{"roomId":"` + c.room + `","uid":"` + c.uid + `","uname":"` + c.uid + `","time":"1560152983",` + members + `}`
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return err
	}
	for {
		_, got, err := c.ws.Read(ctx)
		if err != nil {
			return err
		}
		if !bytes.Contains(got, []byte(answer)) {
			continue
		}
		c.late = append(c.late, time.Since(begun))
		if !bytes.Contains(got, []byte(`"result":0`)) {
			return fmt.Errorf("%s got %s", text, got)
		}
		return nil
	}
}

// cpu is how many seconds of a CPU the server has used: user and system time of proc(5), in ticks of a hundredth of a second.
func cpu(b *testing.B, s *peertest.Parley) float64 {
	b.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(s.PID) + "/stat")
	if err != nil {
		b.Skip("there is no CPU time to read here: ", err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	user, _ := strconv.ParseFloat(string(fields[11]), 64)
	system, _ := strconv.ParseFloat(string(fields[12]), 64)
	return (user + system) / 100
}

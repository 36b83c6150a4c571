package hostile

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/binary"
	"encoding/xml"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	pturn "github.com/pion/turn/v5"

	"parley/internal/peertest"
)

// Methods and attributes of RFC 8489 and RFC 8656 by number: the messages of these tests are written byte by byte, so
// that they can be wrong in any way, and read by another project's library.
const (
	bindingMethod = 0x001
	allocate      = 0x003
	refresh       = 0x004
	sendMethod    = 0x006
	permission    = 0x008
	channelBind   = 0x009
	connect       = 0x00A
	connectBind   = 0x00B

	request    = 0
	indication = 1

	channelNumber = 0x000C
	lifetime      = 0x000D
	peerAddress   = 0x0012
	dataAttr      = 0x0013
	transport     = 0x0019
)

// credential is what XEP-0215 gives a session.
type credential struct{ user, password string }

// relayCredential asks for it as a client does.
func relayCredential(t testing.TB, p *peertest.Client) credential {
	t.Helper()
	got := ask(t, p, "get", "localhost", "<services xmlns='urn:xmpp:extdisco:2'/>")
	var answer struct {
		Services []struct {
			Type     string `xml:"type,attr"`
			User     string `xml:"username,attr"`
			Password string `xml:"password,attr"`
		} `xml:"services>service"`
	}
	if err := xml.Unmarshal([]byte(got), &answer); err != nil {
		t.Fatal(err)
	}
	for _, s := range answer.Services {
		if s.Type == "turn" && s.User != "" {
			return credential{s.User, s.Password}
		}
	}
	t.Fatalf("no relay in %s", got)
	return credential{}
}

// relayClient talks to the relay from a source address of its own.
type relayClient struct {
	net.Conn
	t      testing.TB
	stream bool
	credential
	realm, nonce string
	have         []byte // of a stream
}

var relayDoors = []string{"udp", "tcp", "tls"}

// dialRelay connects over udp, tcp or tls.
func dialRelay(t testing.TB, at *peertest.Parley, door string, c credential) *relayClient {
	t.Helper()
	d := net.Dialer{Timeout: peertest.Patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}
	network, address := "tcp", at.TURN
	switch door {
	case "udp":
		network = "udp"
		d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(source())}
	case "tls":
		address = at.TURNS
	}
	conn, err := d.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if door == "tls" {
		conn = tls.Client(conn, at.TLS())
	}
	return &relayClient{Conn: conn, t: t, stream: door != "udp", credential: c}
}

// attribute is one of a message with this id.
type attribute func(id []byte) (kind uint16, value []byte)

func plain(kind uint16, value ...byte) attribute {
	return func([]byte) (uint16, []byte) { return kind, value }
}

func number(kind uint16, n uint32) attribute {
	return plain(kind, binary.BigEndian.AppendUint32(nil, n)...)
}

func channel(n uint16) attribute { return number(channelNumber, uint32(n)<<16) }

var overUDP = number(transport, 17<<24)

// toward is XOR-PEER-ADDRESS, in the family that the address is written in.
func toward(peer netip.AddrPort) attribute {
	return func(id []byte) (uint16, []byte) {
		v := []byte{0, 1, byte(peer.Port()>>8) ^ 0x21, byte(peer.Port()) ^ 0x12}
		mask := append([]byte{0x21, 0x12, 0xA4, 0x42}, id...)
		a := peer.Addr().AsSlice()
		if len(a) == 16 {
			v[1] = 2
		}
		for i := range a {
			v = append(v, a[i]^mask[i])
		}
		return peerAddress, v
	}
}

// newMessage writes a message without signature.
func newMessage(method, class uint16, id []byte, attributes ...attribute) []byte {
	b := binary.BigEndian.AppendUint16(nil, method&0xF|method&0x70<<1|class<<4)
	b = append(b, 0, 0, 0x21, 0x12, 0xA4, 0x42)
	b = append(b, id...)
	for _, a := range attributes {
		kind, value := a(id)
		b = binary.BigEndian.AppendUint16(b, kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
		b = append(b, value...)
		b = append(b, make([]byte, -len(value)&3)...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
	return b
}

func newID() []byte {
	id := make([]byte, 12)
	rand.Read(id)
	return id
}

// signed writes a request by the long-term mechanism (RFC 8489 §9.2), once there has been a challenge.
func (c *relayClient) signed(method uint16, id []byte, attributes ...attribute) []byte {
	if c.nonce == "" {
		return newMessage(method, request, id, attributes...)
	}
	attributes = append(slices.Clone(attributes), plain(0x0006, []byte(c.user)...), plain(0x0014, []byte(c.realm)...), plain(0x0015, []byte(c.nonce)...))
	b := newMessage(method, request, id, attributes...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20+24))
	key := md5.Sum([]byte(c.user + ":" + c.realm + ":" + c.password))
	mac := hmac.New(sha1.New, key[:])
	mac.Write(b)
	return append(append(b, 0, 8, 0, 20), mac.Sum(nil)...)
}

func (c *relayClient) send(b []byte) {
	c.t.Helper()
	c.SetWriteDeadline(time.Now().Add(peertest.Patience))
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// receive returns the next message or ChannelData, nil if none comes in time or the connection ends.
func (c *relayClient) receive(wait time.Duration) []byte {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(wait))
	for {
		if len(c.have) >= 4 && c.stream {
			n := 4 + int(binary.BigEndian.Uint16(c.have[2:]))
			if c.have[0] < 0x40 {
				n += 16
			} else {
				n += -n & 3
			}
			if len(c.have) >= n {
				b := c.have[:n:n]
				c.have = c.have[n:]
				return b
			}
		}
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil {
			return nil
		}
		if !c.stream {
			return b[:n]
		}
		c.have = append(c.have, b[:n]...)
	}
}

// ended reports that the server closes the connection without another word.
func (c *relayClient) ended() bool {
	c.t.Helper()
	began := time.Now()
	return c.receive(30*time.Second) == nil && time.Since(began) < 30*time.Second
}

// answerTo reads on until the answer with this id, sending the request again where it may have been lost. Data that comes
// before it is left out.
func (c *relayClient) answerTo(b []byte) *stun.Message {
	c.t.Helper()
	for end := time.Now().Add(peertest.Patience); time.Now().Before(end); {
		c.send(b)
		wait := peertest.Patience
		if !c.stream {
			wait = time.Second
		}
		for got := c.receive(wait); got != nil; got = c.receive(wait) {
			m := &stun.Message{Raw: got}
			if m.Decode() == nil && bytes.Equal(m.TransactionID[:], b[8:20]) {
				return m
			}
		}
		if c.stream {
			break
		}
	}
	c.t.Fatalf("no answer to %x", b)
	return nil
}

// dataIn returns what a Data indication brings.
func dataIn(b []byte) string {
	m := &stun.Message{Raw: b}
	if m.Decode() != nil {
		return ""
	}
	data, _ := m.Get(stun.AttrData)
	return string(data)
}

// code returns an answer's error, 0 for none.
func code(m *stun.Message) int {
	var e stun.ErrorCodeAttribute
	if m.Type.Class != stun.ClassErrorResponse || e.GetFrom(m) != nil {
		return 0
	}
	return int(e.Code)
}

// ask sends a signed request, after the challenge if need be, and returns the error and the answer.
func (c *relayClient) ask(method uint16, attributes ...attribute) (int, *stun.Message) {
	c.t.Helper()
	m := c.answerTo(c.signed(method, newID(), attributes...))
	if n := code(m); c.nonce == "" && n == 401 {
		c.challenged(m)
		m = c.answerTo(c.signed(method, newID(), attributes...))
	}
	return code(m), m
}

func (c *relayClient) challenged(m *stun.Message) {
	c.t.Helper()
	var realm stun.Realm
	var nonce stun.Nonce
	if err := m.Parse(&realm, &nonce); err != nil {
		c.t.Fatalf("the challenge %s: %v", m, err)
	}
	c.realm, c.nonce = realm.String(), nonce.String()
}

func (c *relayClient) want(want int, method uint16, attributes ...attribute) *stun.Message {
	c.t.Helper()
	got, m := c.ask(method, attributes...)
	if got != want {
		c.t.Errorf("method %x is answered %d, want %d", method, got, want)
	}
	return m
}

// allocate makes a relayed address.
func (c *relayClient) allocate() netip.AddrPort {
	c.t.Helper()
	got, m := c.ask(allocate, overUDP)
	var relayed stun.XORMappedAddress
	if got != 0 || relayed.GetFromAs(m, stun.AttrXORRelayedAddress) != nil {
		c.t.Fatalf("an allocation is refused with %d", got)
	}
	a, _ := netip.AddrFromSlice(relayed.IP)
	return netip.AddrPortFrom(a.Unmap(), uint16(relayed.Port))
}

// indicate sends a Send indication.
func (c *relayClient) indicate(peer netip.AddrPort, data string) {
	c.t.Helper()
	c.send(newMessage(sendMethod, indication, newID(), toward(peer), plain(dataAttr, []byte(data)...)))
}

// channelData writes ChannelData (RFC 8656 §12.4), padded for a stream.
func (c *relayClient) channelData(n uint16, data string) []byte {
	b := binary.BigEndian.AppendUint16(nil, n)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
	if c.stream {
		b = append(b, make([]byte, -len(data)&3)...)
	}
	return b
}

// relayed is an allocation that another project's client has made.
type relayed struct{ net.PacketConn }

// relay makes one.
func relay(t testing.TB, at *peertest.Parley, door string, c credential) relayed {
	t.Helper()
	var conn net.PacketConn
	address := at.TURN
	if door == "udp" {
		var err error
		if conn, err = net.ListenPacket("udp4", source()+":0"); err != nil {
			t.Fatal(err)
		}
	} else {
		conn = pturn.NewSTUNConn(dialRelay(t, at, door, c).Conn)
		if door == "tls" {
			address = at.TURNS
		}
	}
	client, err := pturn.NewClient(&pturn.ClientConfig{
		TURNServerAddr: address, Conn: conn, Username: c.user, Password: c.password,
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled},
	})
	if err == nil {
		err = client.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); conn.Close() })
	allocated, err := client.Allocate()
	if err != nil {
		t.Fatalf("over %s: %v", door, err)
	}
	t.Cleanup(func() { allocated.Close() })
	return relayed{allocated}
}

// call sends words both ways through two relayed addresses until they have come: the first of them may be sent before
// the other side lets them in.
func call(t testing.TB, a, b relayed, words string) {
	t.Helper()
	for _, way := range [][2]relayed{{a, b}, {b, a}, {a, b}} {
		from, to := way[0], way[1]
		buf := make([]byte, 2048)
		for end := time.Now().Add(3 * peertest.Patience); ; {
			if time.Now().After(end) {
				t.Fatalf("%q does not come through", words)
			}
			if _, err := from.WriteTo([]byte(words), to.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if _, err := to.WriteTo([]byte("let in"), from.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			to.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			n, sender, err := to.ReadFrom(buf)
			if err == nil && string(buf[:n]) == words && sender.String() == from.LocalAddr().String() {
				break
			}
		}
	}
}

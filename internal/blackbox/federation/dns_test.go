package federation

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
)

// serveDNS answers SRV records of _xmpp-server and addresses for the domains in at (RFC 1035, RFC 2782), and nothing else. The
// records lead to an address, which is no name, or by name to the domain itself.
func serveDNS(t testing.TB, byName bool) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	known := make(map[string]string)
	for domain, address := range at {
		known[domain] = address
	}
	go func() {
		defer close(done)
		for b := make([]byte, 1500); ; {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if reply := resolve(b[:n], known, byName); reply != nil {
				c.WriteTo(reply, from)
			}
		}
	}()
	return c.LocalAddr().String()
}

func resolve(query []byte, known map[string]string, byName bool) []byte {
	if len(query) < 12 {
		return nil
	}
	var labels []string
	p := 12
	for p < len(query) && query[p] != 0 {
		n := int(query[p])
		if p+1+n > len(query) {
			return nil
		}
		labels = append(labels, strings.ToLower(string(query[p+1:p+1+n])))
		p += 1 + n
	}
	if p+5 > len(query) {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[p+1:])
	question := query[12 : p+5]
	name := strings.Join(labels, ".")
	var data []byte
	domain, service := strings.CutPrefix(name, "_xmpp-server._tcp.")
	address, found := known[domain]
	if found {
		a, _ := net.ResolveTCPAddr("tcp", address)
		switch {
		case service && kind == 33: // SRV
			data = binary.BigEndian.AppendUint16(make([]byte, 4), uint16(a.Port))
			target := a.IP.String()
			if byName {
				target = domain
			}
			for _, l := range strings.Split(target, ".") { // ejabberd asks the C library for it, which knows our names not
				data = append(append(data, byte(len(l))), l...)
			}
			data = append(data, 0)
		case !service && kind == 1: // A
			data = a.IP.To4()
		}
	}
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if !found {
		reply[3] |= 3 // there is no such name
	}
	if data != nil {
		reply[7] = 1
		reply = append(reply, 0xC0, 12)
		reply = binary.BigEndian.AppendUint16(reply, kind)
		reply = append(reply, 0, 1, 0, 0, 0, 60)
		reply = binary.BigEndian.AppendUint16(reply, uint16(len(data)))
		reply = append(reply, data...)
	}
	return reply
}

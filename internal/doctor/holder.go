package doctor

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holder names the process that has a port of this machine, as far as /proc shows it: "nginx (process 1234)". Network is
// "tcp" or "udp", host an IP address or empty for every address. It returns "" if nothing is found.
func Holder(network, host string, port uint16) string {
	want, err := netip.ParseAddr(host)
	if host == "localhost" {
		want, err = netip.MustParseAddr("127.0.0.1"), nil
	}
	inode := ""
	for _, table := range []string{network, network + "6"} {
		for _, s := range sockets("/proc/net/" + table) {
			if s.port != port || network == "tcp" && s.state != "0A" { // TCP_LISTEN
				continue
			}
			if err == nil && !want.IsUnspecified() && !s.addr.IsUnspecified() && s.addr != want {
				continue
			}
			inode = s.inode
		}
	}
	if inode == "" {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, l := range links {
		if target, err := os.Readlink(l); err == nil && target == "socket:["+inode+"]" {
			pid := strings.Split(l, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return "a process of another user"
}

type socket struct {
	addr  netip.Addr
	port  uint16
	state string
	inode string
}

// sockets reads one of the tables of proc(5).
func sockets(table string) (list []socket) {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			continue
		}
		at, port, ok := strings.Cut(fields[1], ":")
		raw, err := hex.DecodeString(at)
		n, err2 := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil || err2 != nil || len(raw)%4 != 0 {
			continue
		}
		for i := 0; i < len(raw); i += 4 { // words in the order of the machine, which is little-endian
			raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
		}
		addr, ok := netip.AddrFromSlice(raw)
		if ok {
			list = append(list, socket{addr.Unmap(), uint16(n), fields[3], fields[9]})
		}
	}
	return list
}

package iceagent

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sysNet is where the kernel shows its network interfaces.
const sysNet = "/sys/class/net"

// counters are the bytes that an interface has received and sent.
type counters struct{ rx, tx uint64 }

// readCounters reads those of an interface.
func readCounters(folder, iface string) (c counters, err error) {
	if iface == "" || iface == "." || iface == ".." || strings.ContainsAny(iface, "/\x00") {
		return c, fmt.Errorf("%q is no network interface", iface)
	}
	for name, to := range map[string]*uint64{"rx_bytes": &c.rx, "tx_bytes": &c.tx} {
		text, err := os.ReadFile(filepath.Join(folder, iface, "statistics", name))
		if err != nil {
			return c, fmt.Errorf("there is no network interface %s: %w", iface, err)
		}
		if *to, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err != nil {
			return c, fmt.Errorf("%s of %s: %w", name, iface, err)
		}
	}
	return c, nil
}

// ifaceOf is the interface that has an address.
func ifaceOf(ip netip.Addr) (string, error) {
	list, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	for _, one := range list {
		addresses, err := one.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok {
				if at, ok := netip.AddrFromSlice(n.IP); ok && at.Unmap() == ip {
					return one.Name, nil
				}
			}
		}
	}
	return "", fmt.Errorf("no network interface has %s: name the one whose rates are reported", ip)
}

// meter tells rates from counters.
type meter struct {
	read func() (counters, error)
	last counters
	at   time.Time // when last was read; zero: it was not
}

// rates are kbit/s received and sent since the last time, 0 at first. Counters that begin anew count from 0.
func (m *meter) rates(now time.Time) (rx, tx int, err error) {
	c, err := m.read()
	if err != nil {
		return 0, 0, err
	}
	last, passed := m.last, now.Sub(m.at)
	first := m.at.IsZero()
	m.last, m.at = c, now
	if first || passed <= 0 {
		return 0, 0, nil
	}
	rate := func(before, after uint64) int {
		if after < before {
			before = 0
		}
		return int(min(float64(after-before)*8/1000/passed.Seconds(), 1<<31-1))
	}
	return rate(last.rx, c.rx), rate(last.tx, c.tx), nil
}

// Package geotest writes files in the MaxMind DB format, for tests.
package geotest

import (
	"encoding/binary"
	"net/netip"
)

// Marker begins the metadata, and separator is between the tree and the values, in bytes.
const (
	Marker    = "\xab\xcd\xefMaxMind.com"
	separator = 16
)

// Text writes a text.
func Text(s string) []byte {
	switch {
	case len(s) < 29:
		return append([]byte{2<<5 | byte(len(s))}, s...)
	case len(s) < 285:
		return append([]byte{2<<5 | 29, byte(len(s) - 29)}, s...)
	}
	return append(binary.BigEndian.AppendUint16([]byte{2<<5 | 30}, uint16(len(s)-285)), s...)
}

// Number writes a number.
func Number(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{6<<5 | 4}, n) }

// Object writes a map of names and values.
func Object(members ...[]byte) []byte {
	out := []byte{7<<5 | byte(len(members)/2)}
	for _, m := range members {
		out = append(out, m...)
	}
	return out
}

// File writes a file of one version and record size: the networks lead to values, by their place in the section.
func File(version, bits int, values []byte, networks map[string]int) []byte {
	type node [2]uint32
	nodes := []node{{}}
	const leaf = 1 << 31
	for network, at := range networks {
		p := netip.MustParsePrefix(network)
		ip := p.Addr().AsSlice()
		n := p.Bits()
		if version == 6 && p.Addr().Is4() {
			ip, n = append(make([]byte, 12), ip...), n+96
		}
		at := uint32(at) | leaf
		here := 0
		for i := range n {
			bit := ip[i/8] >> (7 - i%8) & 1
			if i == n-1 {
				nodes[here][bit] = at
				break
			}
			if nodes[here][bit] == 0 {
				nodes[here][bit] = uint32(len(nodes))
				nodes = append(nodes, node{})
			}
			here = int(nodes[here][bit])
		}
	}
	var out []byte
	for _, n := range nodes {
		for i, v := range n {
			switch {
			case v == 0:
				n[i] = uint32(len(nodes))
			case v&leaf != 0:
				n[i] = v&^leaf + uint32(len(nodes)) + separator
			}
		}
		l, r := n[0], n[1]
		switch bits {
		case 24:
			out = append(out, byte(l>>16), byte(l>>8), byte(l), byte(r>>16), byte(r>>8), byte(r))
		case 28:
			out = append(out, byte(l>>16), byte(l>>8), byte(l), byte(l>>24)<<4|byte(r>>24), byte(r>>16), byte(r>>8), byte(r))
		case 32:
			out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(out, l), r)
		}
	}
	out = append(append(out, make([]byte, separator)...), values...)
	out = append(out, Marker...)
	return append(out, Object(Text("binary_format_major_version"), []byte{5<<5 | 1, 2}, Text("description"), Object(Text("en"), Text("made for a test, in more than twenty-nine bytes")),
		Text("ip_version"), []byte{5<<5 | 1, byte(version)}, Text("languages"), []byte{1, 4, 2<<5 | 2, 'e', 'n'},
		Text("node_count"), Number(uint32(len(nodes))), Text("record_size"), []byte{5<<5 | 1, byte(bits)})...)
}

// Countries writes a file of the countries of networks, by their codes.
func Countries(of map[string]string) []byte {
	var values []byte
	networks := make(map[string]int)
	for network, code := range of {
		networks[network] = len(values)
		values = append(values, Object(Text("country"), Object(Text("iso_code"), Text(code)))...)
	}
	return File(6, 28, values, networks)
}

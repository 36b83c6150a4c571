package jingle

import (
	"strconv"
	"strings"

	"parley/xmpp/wire"
)

// transport reads an ICE-UDP transport. Fingerprints of weak or unknown hashes are left out (RFC 8122 §5 lets a peer give
// several), unless there is no other.
func (d *decoder) transport(e wire.Elem) *Transport {
	t := &Transport{Ufrag: e.AttrString("ufrag"), Password: e.AttrString("pwd"),
		ICEGeneration: int(d.number(e, "ice-generation", 0, 1<<31-1, 0))}
	weak := false
	for it := e.Children(); it.Next() && d.err == nil; {
		switch x := it.Elem; {
		case x.Is("candidate", NSICE):
			if d.candidates++; d.candidates > d.limits.Candidates {
				d.fail(tooMany("candidates"))
				return t
			}
			t.Candidates = append(t.Candidates, d.candidate(x))
		case x.Is("fingerprint", NSDTLS):
			if f := d.fingerprint(x); hashBytes[f.Hash] > 0 {
				put(d, &t.Fingerprints, maxFingerprints, "fingerprints", f)
			} else {
				weak = true
			}
		case x.Is("rtcp-mux", NSICE):
			t.RTCPMux = true
		case x.Is("gathering-complete", NSICE):
			t.GatheringComplete = true
		case string(x.NS()) == NSICEOption:
			put(d, &t.Options, maxOptions, "ICE options", string(x.Local()))
		case x.Is("sctpmap", NSSCTP):
			d.once(t.SCTP == nil)
			t.SCTP = &SCTP{Port: uint16(d.number(x, "number", 1, 1<<16-1, must)), Protocol: x.AttrString("protocol"),
				Streams:        int(d.number(x, "streams", 0, 1<<16-1, 0)),
				MaxMessageSize: uint64(d.number(x, "max-message-size", 0, 1<<53, 0))}
		case x.Is("web-socket", NSColibri):
			put(d, &t.WebSockets, maxWebSockets, "web sockets", x.AttrString("url"))
		default:
			d.extension(&t.Extensions, x, NSICE)
		}
	}
	if weak && len(t.Fingerprints) == 0 { // it would pass for a transport without encryption
		d.fail(badRequest("no fingerprint of a hash that is good enough"))
	}
	return t
}

func (d *decoder) fingerprint(e wire.Elem) Fingerprint {
	return Fingerprint{
		Hash: strings.ToLower(e.AttrString("hash")), Value: strings.ToUpper(strings.TrimSpace(e.Text())),
		Setup: Setup(e.AttrString("setup")), Required: d.flag(e, "required"), Cryptex: d.flag(e, "cryptex"),
	}
}

func (d *decoder) candidate(e wire.Elem) Candidate {
	c := Candidate{
		ID:         e.AttrString("id"),
		Component:  int(d.number(e, "component", 1, 256, must)),
		Foundation: e.AttrString("foundation"),
		Generation: int(d.number(e, "generation", 0, 1<<31-1, 0)),
		IP:         e.AttrString("ip"),
		Network:    int(d.number(e, "network", 0, 1<<31-1, 0)),
		Port:       uint16(d.number(e, "port", 0, 1<<16-1, must)),
		Priority:   uint32(d.number(e, "priority", 0, 1<<32-1, must)),
		Protocol:   strings.ToLower(e.AttrString("protocol")),
		Type:       e.AttrString("type"),
		TCPType:    e.AttrString("tcptype"),
		RelAddr:    e.AttrString("rel-addr"),
		RelPort:    uint16(d.number(e, "rel-port", 0, 1<<16-1, 0)),
	}
	if c.RelAddr == "" {
		c.RelPort = 0
	}
	return c
}

// parseUint reads a decimal number.
func parseUint(s string, bits int) (n uint64, ok bool) {
	n, err := strconv.ParseUint(s, 10, bits)
	return n, err == nil
}

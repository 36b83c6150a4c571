package jingle

// hashBytes are the hash functions that certificates are signalled with (RFC 8122 §5); the weak ones are refused.
var hashBytes = map[string]int{"sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}

func (t *Transport) check() error {
	switch {
	case (t.Ufrag == "") != (t.Password == ""):
		return badRequest("ICE credentials are given by half")
	case t.Ufrag != "" && (!isICE(t.Ufrag, 4, 256) || !isICE(t.Password, 22, 256)):
		return badRequest("bad ICE credentials")
	case len(t.Fingerprints) > maxFingerprints, len(t.Options) > maxOptions, len(t.WebSockets) > maxWebSockets:
		return tooMany("entries in a transport")
	case t.ICEGeneration < 0:
		return badRequest("bad ICE generation")
	}
	for _, o := range t.Options {
		if !isName(o) {
			return badRequest("bad ICE option")
		}
	}
	for _, u := range t.WebSockets {
		if !isWord(u, maxText) {
			return badRequest("bad web socket")
		}
	}
	for _, f := range t.Fingerprints {
		if err := f.check(); err != nil {
			return err
		}
	}
	if s := t.SCTP; s != nil && (s.Port == 0 || !isToken(s.Protocol) || s.Streams < 0 || s.Streams > 1<<16-1 || s.MaxMessageSize > 1<<53) {
		return badRequest("bad SCTP map")
	}
	for i := range t.Candidates {
		if err := t.Candidates[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// isName reports that s can be the local name of an XML element, of the ASCII ones.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return s != ""
}

func (f *Fingerprint) check() error {
	n, ok := hashBytes[f.Hash]
	if !ok || len(f.Value) != 3*n-1 || !isPairs(f.Value) {
		return badRequest("bad fingerprint, or one of a weak hash")
	}
	switch f.Setup {
	case "", Active, Passive, ActPass, HoldConn:
		return nil
	}
	return badRequest("bad setup")
}

func (c *Candidate) check() error {
	switch c.Type {
	case "host", "prflx", "relay", "srflx":
	default:
		return badRequest("bad candidate type")
	}
	switch c.TCPType {
	case "", "active", "passive", "so":
	default:
		return badRequest("bad candidate tcptype")
	}
	switch {
	case !isICE(c.Foundation, 1, 32), c.Component < 1, c.Component > 256, c.Generation < 0, c.Network < 0, !isToken(c.Protocol),
		!isHost(c.IP), c.RelAddr != "" && !isHost(c.RelAddr), c.RelAddr == "" && c.RelPort != 0, !isText(c.ID, maxName):
		return badRequest("bad candidate")
	}
	return nil
}

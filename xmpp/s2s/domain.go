package s2s

import (
	"bytes"
	"math"
	"net/netip"
	"strings"

	"parley/xmpp/wire"
)

// pair is a domain of ours and one of others.
type pair struct{ local, remote string }

// senderDomain returns the domain in the attribute from that a tail begins with, nil if there is none. A domain has no
// character that is written as a reference, nor has what parts it from the rest of an address.
func senderDomain(tail []byte) []byte {
	const start = " from='"
	if !bytes.HasPrefix(tail, []byte(start)) {
		return nil
	}
	tail = tail[len(start):]
	i := bytes.IndexByte(tail, '\'')
	if i < 0 {
		return nil
	}
	from := tail[:i]
	if i := bytes.IndexByte(from, '/'); i >= 0 {
		from = from[:i]
	}
	return from[bytes.IndexByte(from, '@')+1:]
}

// parseDomain canonicalises a domain that a peer names.
func parseDomain(s string) (string, bool) {
	a, err := wire.ParseAddr(s)
	if err != nil || a.Domain() != string(a) {
		return "", false
	}
	return string(a), true
}

// literal returns the address that a domain is (RFC 7622 §3.2), if it is one.
func literal(domain string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.Trim(domain, "[]"))
	return a.Unmap(), err == nil
}

// ascii is the form of a domain that the DNS and certificates use: labels with other characters as A-labels (RFC 5890
// §2.3.2.1). The domain is in the canonical form of addresses, so its labels are U-labels already.
func ascii(domain string) string {
	labels := strings.Split(domain, ".")
	for i, label := range labels {
		for _, c := range label {
			if c >= 0x80 {
				labels[i] = "xn--" + punycode(label)
				break
			}
		}
	}
	return strings.Join(labels, ".")
}

// punycode is the encoder of RFC 3492 §6.3 with the parameters of §5.
func punycode(label string) string {
	const base, tMin, tMax, skew, damp, firstBias, firstN = 36, 1, 26, 38, 700, 72, 128
	points := []rune(label)
	var out []byte
	for _, c := range points {
		if c < firstN {
			out = append(out, byte(c))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias := rune(firstN), 0, firstBias
	for handled := basic; handled < len(points); {
		next := rune(math.MaxInt32)
		for _, c := range points {
			if c >= n && c < next {
				next = c
			}
		}
		delta += int(next-n) * (handled + 1)
		n = next
		for _, c := range points {
			if c < n {
				delta++
			}
			if c != n {
				continue
			}
			q := delta
			for k := base; ; k += base {
				t := min(max(k-bias, tMin), tMax)
				if q < t {
					break
				}
				out = append(out, digit(t+(q-t)%(base-t)))
				q = (q - t) / (base - t)
			}
			out = append(out, digit(q))
			// Adaptation, §6.1.
			if handled == basic {
				delta /= damp
			} else {
				delta /= 2
			}
			delta += delta / (handled + 1)
			k := 0
			for ; delta > (base-tMin)*tMax/2; k += base {
				delta /= base - tMin
			}
			bias = k + (base-tMin+1)*delta/(delta+skew)
			delta = 0
			handled++
		}
		delta++
		n++
	}
	return string(out)
}

func digit(d int) byte {
	if d < 26 {
		return byte('a' + d)
	}
	return byte('0' + d - 26)
}

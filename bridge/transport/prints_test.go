package transport

import (
	"fmt"
	"strings"

	"parley/bridge/api"
)

// prints writes the fingerprints that an endpoint knows of its peer.
func prints(e *Endpoint) (out []api.Fingerprint) {
	for _, d := range e.digests {
		var pairs []string
		for _, b := range d.sum[:sizes[d.hash]] {
			pairs = append(pairs, fmt.Sprintf("%02x", b))
		}
		out = append(out, api.Fingerprint{Hash: d.hash, Value: strings.Join(pairs, ":")})
	}
	return out
}

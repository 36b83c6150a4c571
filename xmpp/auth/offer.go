package auth

import "slices"

// OfferHashes has only those members of the SCRAM family be offered that are named: who has no credential for one that is offered could not
// log in with a client that chooses it. It is called before the first stream. If none of those that are named is known and PLAIN is not
// offered either, all stay.
func (s *Server) OfferHashes(names []string) {
	var some []scramHash
	for _, h := range hashes {
		if slices.Contains(names, h.name) {
			some = append(some, h)
		}
	}
	if len(some) > 0 || s.cfg.Plain {
		s.hashes = some
	}
}

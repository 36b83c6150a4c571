package archive

import (
	"context"

	"parley/xmpp/wire"
)

// Ends returns the <metadata/> of an account's archive (XEP-0313 §5), for a client that has bound its session (XEP-0386 §4.2);
// nothing if the store does not tell.
func (s *Service) Ends(ctx context.Context, account wire.Addr) string {
	own := shelf{owner: account, ends: s.store.ArchiveEnds}
	dst, err := own.metadata(ctx)
	if err != nil {
		s.unwell(account, err)
		return ""
	}
	return string(dst)
}

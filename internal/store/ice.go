package store

import (
	"context"
	"time"
)

// ICEServer is a STUN and TURN server that has registered, with what it has reported last.
type ICEServer struct {
	IP                 string // canonical
	Bundle, Policy     string
	TurnPort, StunPort int
	Most               int // kbit/s that it carries
	Username           string
	Credential         string
	Rx, Tx             int       // kbit/s, as it reports
	Expires            time.Time // when the registration ends without another report, to the millisecond
}

// ICEServers keeps the ICE servers that have registered with any of the servers on one database.
type ICEServers interface {
	// KeepICE takes a registration, in place of the one that there was.
	KeepICE(ctx context.Context, s ICEServer) error
	// ReportICE takes rates, and when the registration ends now. ErrNotFound: there is none, or it has ended by then.
	ReportICE(ctx context.Context, ip string, rx, tx int, now, expires time.Time) error
	// DropICE ends a registration. ErrNotFound: there is none.
	DropICE(ctx context.Context, ip string) error
	// ListICE returns the registrations that have not ended, by address.
	ListICE(ctx context.Context, now time.Time) ([]ICEServer, error)
}

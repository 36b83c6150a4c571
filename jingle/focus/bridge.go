package focus

import "parley/xmpp/wire"

// Bridge carries the media of conferences. The interface is level-triggered: Apply hands over the whole wished state, a
// later version replaces an earlier one, and applying the same twice changes nothing. So a bridge that was lost,
// restarted or drained is brought up to date by applying again what is wished.
type Bridge interface {
	// Apply asks for a conference as it is described. It does not wait for the bridge; what comes of it is reported as
	// events of the bridge. A conference without endpoints is ended.
	Apply(c Conference)
	// Available reports whether the bridge takes new conferences.
	Available() bool
}

// Conference is what is wished of the bridge for one room.
type Conference struct {
	Room      wire.Addr
	Meeting   string // meeting id, a UUID
	Version   uint64 // counts changes
	Gate      Gate
	Endpoints []Endpoint
}

// Endpoint is a member of a conference as the bridge knows it.
type Endpoint struct {
	ID string
}

// NoBridge is for a server without a bridge: conferences of two work, a third member is told that there is none.
type NoBridge struct{}

// Apply does nothing.
func (NoBridge) Apply(Conference) {}

// Available returns false.
func (NoBridge) Available() bool { return false }

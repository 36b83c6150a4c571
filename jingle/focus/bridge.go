package focus

import "parley/bridge/api"

// Bridge carries the media of conferences. It is level-triggered (bridge/api): Apply hands over the whole wished state, and
// what becomes of it comes back through Focus.BridgeEvent.
type Bridge interface {
	// Apply asks for a conference as it is described, in the order of versions. It does not wait for the bridge. What the
	// value refers to is never changed afterwards.
	Apply(api.Conference)
	// Info returns which bridge it is, and whether it can be reached. It tells what an event tells as soon as the event is
	// given, is quick, and calls nothing of the focus's.
	Info() (hello api.Hello, there bool)
}

// NoBridge is for a server without a bridge: conferences of two work, a third member is told that there is none.
type NoBridge struct{}

// Apply does nothing.
func (NoBridge) Apply(api.Conference) {}

// Info returns that there is no bridge.
func (NoBridge) Info() (api.Hello, bool) { return api.Hello{}, false }

// Package callpeer is an ordinary client that calls and is called: Jingle message initiation (XEP-0353), then a Jingle session
// (XEP-0166, 0167, 0176, 0320) with a PeerConnection for each content, as Dino has it, or one for all (BUNDLE, as Conversations
// does). It sends synthetic media whose packets say whose they are, and counts what comes.
//
// A Phone belongs to one goroutine: it reads its client's stanzas while it waits for something, and answers what is asked of it
// meanwhile. Media flow by themselves.
package callpeer

package jingle

// Jingle is one <jingle/> element (XEP-0166 §7.2).
type Jingle struct {
	Action               Action
	SID                  string
	Initiator, Responder string // addresses as written; the sender's own address comes from its session, never from here
	Contents             []Content
	Groups               []Group
	Reason               *Reason
	Info                 *Info // payload of session-info
	Conference           *Conference
	Muji                 *Muji

	// Jitsi's dialect.
	Bridge     *BridgeSession
	Sources    []OwnedSources // from json-message; nil without one
	Extensions []Extension
}

// Action says what a Jingle element asks for (XEP-0166 §7.2.2).
type Action string

// The actions of XEP-0166 §7.2, and two of Jitsi's dialect.
const (
	ContentAccept    Action = "content-accept"
	ContentAdd       Action = "content-add"
	ContentModify    Action = "content-modify"
	ContentReject    Action = "content-reject"
	ContentRemove    Action = "content-remove"
	DescriptionInfo  Action = "description-info"
	SecurityInfo     Action = "security-info"
	SessionAccept    Action = "session-accept"
	SessionInfo      Action = "session-info"
	SessionInitiate  Action = "session-initiate"
	SessionTerminate Action = "session-terminate"
	TransportAccept  Action = "transport-accept"
	TransportInfo    Action = "transport-info"
	TransportReject  Action = "transport-reject"
	TransportReplace Action = "transport-replace"

	SourceAdd    Action = "source-add"
	SourceRemove Action = "source-remove"
)

// known reports that the action is one of the above.
func (a Action) known() bool {
	switch a {
	case SessionInfo, SessionTerminate, SecurityInfo:
		return true
	}
	return a.wantsContents()
}

// wantsContents reports that an element of this action without contents says nothing.
func (a Action) wantsContents() bool {
	switch a {
	case ContentAccept, ContentAdd, ContentModify, ContentReject, ContentRemove, DescriptionInfo, SessionAccept,
		SessionInitiate, TransportAccept, TransportInfo, TransportReject, TransportReplace, SourceAdd, SourceRemove:
		return true
	}
	return false
}

// Role is a side of a session.
type Role string

// The two sides.
const (
	Initiator Role = "initiator"
	Responder Role = "responder"
)

// Other returns the other side.
func (r Role) Other() Role {
	if r == Initiator {
		return Responder
	}
	return Initiator
}

// Senders says which sides send (XEP-0166 §7.3). It is never empty in a checked content.
type Senders string

// The values of XEP-0166 §7.3, and Rejected, by which Jitsi's dialect keeps the place of an SDP medium with port 0.
const (
	Both            Senders = "both"
	InitiatorSends  Senders = "initiator"
	ResponderSends  Senders = "responder"
	Nobody          Senders = "none"
	RejectedContent Senders = "rejected"
)

// Has reports that the side sends.
func (s Senders) Has(r Role) bool { return s == Both || string(s) == string(r) }

// direction returns the SDP attribute (RFC 8866 §6.7) for the description of one side.
func (s Senders) direction(by Role) string {
	switch own, other := s.Has(by), s.Has(by.Other()); {
	case own && other:
		return "sendrecv"
	case own:
		return "sendonly"
	case other:
		return "recvonly"
	}
	return "inactive"
}

// sendersOf is the reverse of direction.
func sendersOf(direction string, by Role) (s Senders, ok bool) {
	switch direction {
	case "sendrecv":
		return Both, true
	case "sendonly":
		return Senders(by), true
	case "recvonly":
		return Senders(by.Other()), true
	case "inactive":
		return Nobody, true
	}
	return "", false
}

// Content is one medium of a session (XEP-0166 §7.3).
type Content struct {
	Creator     Role
	Name        string
	Senders     Senders
	Disposition string       // "" for session
	Description *Description // nil where absent or of another application; see Extensions
	Transport   *Transport   // nil where absent or of another kind; see Extensions

	// Jitsi's dialect.
	InitialLastN *int          // how many videos the sender wants at first; negative for all
	FrameHeights []FrameHeight // wished heights in a content-modify

	Extensions []Extension
}

// Group joins contents (XEP-0338), by BUNDLE onto one transport.
type Group struct {
	Semantics string
	Contents  []string // names
}

// Bundle returns the first BUNDLE group, nil without one.
func (j *Jingle) Bundle() *Group {
	for i := range j.Groups {
		if j.Groups[i].Semantics == "BUNDLE" {
			return &j.Groups[i]
		}
	}
	return nil
}

// Content returns the content of that name, nil without one.
func (j *Jingle) Content(name string) *Content {
	for i := range j.Contents {
		if j.Contents[i].Name == name {
			return &j.Contents[i]
		}
	}
	return nil
}

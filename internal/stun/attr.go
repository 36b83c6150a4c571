package stun

// Method is a STUN method (RFC 8489 §18.2, RFC 8656 §17, RFC 6062 §6.1).
type Method uint16

// The methods. ICE has only Binding.
const (
	Binding          Method = 0x001
	Allocate         Method = 0x003
	Refresh          Method = 0x004
	Send             Method = 0x006
	DataIndication   Method = 0x007
	CreatePermission Method = 0x008
	ChannelBind      Method = 0x009
	Connect          Method = 0x00A
	ConnectionBind   Method = 0x00B
)

// Class is a STUN class (RFC 8489 §5).
type Class uint8

// The classes.
const (
	Request Class = iota
	Indication
	Success
	Failure
)

// Attr is the type of an attribute. Those below 0x8000 must be understood by whoever reads them (RFC 8489 §14).
type Attr uint16

// The attributes that are read or written here (RFC 8489 §18.3, RFC 8656 §18, RFC 8445 §20.2).
const (
	Username               Attr = 0x0006
	MessageIntegrity       Attr = 0x0008
	ErrorCode              Attr = 0x0009
	UnknownAttributes      Attr = 0x000A
	ChannelNumber          Attr = 0x000C
	Lifetime               Attr = 0x000D
	XORPeerAddress         Attr = 0x0012
	Data                   Attr = 0x0013
	Realm                  Attr = 0x0014
	Nonce                  Attr = 0x0015
	XORRelayedAddress      Attr = 0x0016
	RequestedAddressFamily Attr = 0x0017
	EvenPort               Attr = 0x0018
	RequestedTransport     Attr = 0x0019
	XORMappedAddress       Attr = 0x0020
	ReservationToken       Attr = 0x0022
	Priority               Attr = 0x0024
	UseCandidate           Attr = 0x0025
	Fingerprint            Attr = 0x8028
	Controlled             Attr = 0x8029 // ICE-CONTROLLED
	Controlling            Attr = 0x802A // ICE-CONTROLLING
)

// The numbers of address families in attributes (RFC 8489 §14.1, RFC 8656 §18.6).
const (
	IPv4 = 0x01
	IPv6 = 0x02
)

// set is a set of the attributes above.
type set uint64

// of returns the set of one attribute. It is empty for those that are too far from all of the above.
func of(t Attr) set {
	switch {
	case t < 0x28:
		return 1 << t
	case t >= 0x8028 && t < 0x8040:
		return 1 << (t - 0x8000)
	}
	return 0
}

// Usage is what one user of STUN reads (RFC 8489 §13). An attribute that is not its own it does not look into; of those,
// the ones that must be understood are Message.Unknown.
type Usage struct {
	attrs    set
	message  int // bytes of the largest message
	count    int // attributes of a message
	username int // bytes of the longest USERNAME
}

var (
	// ICE is the usage of connectivity checks (RFC 8445 §7). No check fills a packet, and one of a browser has about ten
	// attributes. A USERNAME is two ufrags of up to 256 bytes and a colon (RFC 8445 §5.3).
	ICE = &Usage{
		attrs: of(Username) | of(MessageIntegrity) | of(ErrorCode) | of(UnknownAttributes) | of(XORMappedAddress) | of(Priority) |
			of(UseCandidate) | of(Fingerprint) | of(Controlled) | of(Controlling),
		message: 1280, count: 32, username: 513,
	}
	// TURN is the usage of a TURN server and its clients (RFC 8656). A CreatePermission may name many peers, nothing else
	// is long. A USERNAME is as long as RFC 8489 §14.3 lets it be.
	TURN = &Usage{
		attrs: of(Username) | of(MessageIntegrity) | of(ErrorCode) | of(UnknownAttributes) | of(ChannelNumber) | of(Lifetime) |
			of(XORPeerAddress) | of(Data) | of(Realm) | of(Nonce) | of(XORRelayedAddress) | of(RequestedAddressFamily) | of(EvenPort) |
			of(RequestedTransport) | of(XORMappedAddress) | of(ReservationToken) | of(Fingerprint),
		message: MaxMessage, count: 64, username: 508,
	}
)

// sized reports that the value of an attribute of the usage has a size, and for addresses a family, that its definition
// allows.
func (u *Usage) sized(t Attr, v []byte) bool {
	switch t {
	case Username:
		return len(v) > 0 && len(v) <= u.username
	case Realm, Nonce:
		return len(v) > 0 && len(v) <= 763 // RFC 8489 §14.9, §14.10
	case MessageIntegrity:
		return len(v) == 20
	case ErrorCode:
		return len(v) >= 4 && len(v) <= 4+763
	case UnknownAttributes:
		return len(v)%2 == 0
	case ChannelNumber, Lifetime, RequestedTransport, RequestedAddressFamily, Priority, Fingerprint:
		return len(v) == 4
	case EvenPort:
		return len(v) == 1
	case ReservationToken, Controlled, Controlling:
		return len(v) == 8
	case UseCandidate:
		return len(v) == 0
	case XORPeerAddress, XORRelayedAddress, XORMappedAddress:
		return len(v) == 8 && v[1] == IPv4 || len(v) == 20 && v[1] == IPv6
	}
	return true
}

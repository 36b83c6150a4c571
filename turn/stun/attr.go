package stun

// Method is a STUN method (RFC 8489 §18.2, RFC 8656 §17, RFC 6062 §6.1).
type Method uint16

// The methods that a TURN server knows.
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

// The attributes of RFC 8489 §18.3 and RFC 8656 §18 that are read or written here.
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
	Fingerprint            Attr = 0x8028
)

// The numbers of address families in attributes (RFC 8489 §14.1, RFC 8656 §18.6).
const (
	IPv4 = 0x01
	IPv6 = 0x02
)

const (
	header      = 20         // bytes before the first attribute
	cookie      = 0x2112A442 // RFC 8489 §5
	fingerprint = 0x5354554E // XORed into the CRC (RFC 8489 §14.7)

	// MaxMessage is the size in bytes of the largest message or ChannelData, header included, that is taken.
	MaxMessage = 2048
	// maxAttrs bounds the attributes of one message: a CreatePermission may name many peers, nothing else is long.
	maxAttrs = 64
)

// known is the set, by number, of the attributes above that are below 64: all but FINGERPRINT.
const known uint64 = 1<<Username | 1<<MessageIntegrity | 1<<ErrorCode | 1<<UnknownAttributes | 1<<ChannelNumber | 1<<Lifetime |
	1<<XORPeerAddress | 1<<Data | 1<<Realm | 1<<Nonce | 1<<XORRelayedAddress | 1<<RequestedAddressFamily | 1<<EvenPort |
	1<<RequestedTransport | 1<<XORMappedAddress | 1<<ReservationToken

// sized reports that the value of an attribute has a size, and for addresses a family, that its definition allows.
func sized(t Attr, v []byte) bool {
	switch t {
	case Username:
		return len(v) > 0 && len(v) <= 508 // RFC 8489 §14.3
	case Realm, Nonce:
		return len(v) > 0 && len(v) <= 763 // RFC 8489 §14.9, §14.10
	case MessageIntegrity:
		return len(v) == 20
	case ErrorCode:
		return len(v) >= 4 && len(v) <= 4+763
	case UnknownAttributes:
		return len(v)%2 == 0
	case ChannelNumber, Lifetime, RequestedTransport, RequestedAddressFamily, Fingerprint:
		return len(v) == 4
	case EvenPort:
		return len(v) == 1
	case ReservationToken:
		return len(v) == 8
	case XORPeerAddress, XORRelayedAddress, XORMappedAddress:
		return len(v) == 8 && v[1] == IPv4 || len(v) == 20 && v[1] == IPv6
	}
	return true
}

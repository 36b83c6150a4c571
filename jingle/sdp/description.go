package sdp

import "iter"

// Description is one session description (RFC 8866 §5).
type Description struct {
	Origin     Origin
	Name       string // of the session (s=), "-" for none
	Connection *Connection
	Bandwidth  []Bandwidth
	Attributes Attributes
	Media      []Media
}

// Origin says who made the description and which version it is (RFC 8866 §5.2).
type Origin struct {
	Username    string // "-" for none
	ID, Version uint64
	Address     Connection
}

// Connection is an address in a c= or o= line (RFC 8866 §5.7). The network type is always IN.
type Connection struct {
	Type    string // IP4 or IP6
	Address string // as written; never resolved
}

// Bandwidth is a b= line (RFC 8866 §5.8): kilobits per second for AS and CT, bits per second for TIAS (RFC 3890).
type Bandwidth struct {
	Type  string
	Value uint64
}

// Attribute is an a= line (RFC 8866 §5.13). A property has no value.
type Attribute struct{ Name, Value string }

// Attributes are the a= lines of a session or a medium in their order.
type Attributes []Attribute

// Media is a media description (RFC 8866 §5.14).
type Media struct {
	Type       string // audio, video, application
	Port       uint16 // 0 rejects the medium, 9 stands for any before candidates are known
	Protocol   string // e.g. UDP/TLS/RTP/SAVPF
	Formats    []string
	Connection *Connection
	Bandwidth  []Bandwidth
	Attributes Attributes
}

// Get returns the value of the first attribute of that name, and whether there is one.
func (a Attributes) Get(name string) (value string, ok bool) {
	for _, at := range a {
		if at.Name == name {
			return at.Value, true
		}
	}
	return "", false
}

// Has reports that there is an attribute of that name.
func (a Attributes) Has(name string) bool {
	_, ok := a.Get(name)
	return ok
}

// All walks the values of every attribute of that name.
func (a Attributes) All(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, at := range a {
			if at.Name == name && !yield(at.Value) {
				return
			}
		}
	}
}

// Add appends an attribute; a property has no value.
func (a *Attributes) Add(name, value string) { *a = append(*a, Attribute{name, value}) }

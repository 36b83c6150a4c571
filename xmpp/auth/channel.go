package auth

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
)

// Channel is what the transport knows about one stream.
type Channel struct {
	Source   netip.Addr // of the peer
	Secure   bool       // nobody on the way can read: TLS, here or at a front that is trusted
	Bindings []Binding  // the peer's TLS ends here and can be bound to; first choice first
	Token    string     // that came with the connection, out of band: ?token= of a WebSocket
}

// Binding is one way to bind an exchange to its TLS connection (RFC 5056).
type Binding struct {
	Type string // tls-exporter, tls-server-end-point, tls-unique
	Data func() ([]byte, error)
}

// Bindings returns what a TLS connection that ends here can be bound by: tls-exporter (RFC 9266) on TLS 1.3; tls-unique
// on TLS 1.2 alone (RFC 5929 §3, it is not defined for 1.3); and tls-server-end-point where the certificate's signature
// has a hash. Leaf is the certificate that was presented in this very handshake, nil if it is not known.
func Bindings(state *tls.ConnectionState, leaf *x509.Certificate) []Binding {
	var list []Binding
	switch {
	case state.Version >= tls.VersionTLS13:
		list = append(list, Binding{"tls-exporter", func() ([]byte, error) {
			return state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		}})
	case len(state.TLSUnique) > 0:
		list = append(list, Binding{"tls-unique", func() ([]byte, error) { return state.TLSUnique, nil }})
	}
	if leaf != nil {
		if _, err := endPoint(leaf); err == nil {
			list = append(list, Binding{"tls-server-end-point", func() ([]byte, error) { return endPoint(leaf) }})
		}
	}
	return list
}

// endPoint hashes a certificate with the hash of its signature, MD5 and SHA-1 raised to SHA-256 (RFC 5929 §4.1). For
// signatures without a hash of their own, such as Ed25519, the binding is not defined.
func endPoint(leaf *x509.Certificate) ([]byte, error) {
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		sum := sha256.Sum256(leaf.Raw)
		return sum[:], nil
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		sum := sha512.Sum384(leaf.Raw)
		return sum[:], nil
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		sum := sha512.Sum512(leaf.Raw)
		return sum[:], nil
	}
	return nil, errors.New("auth: the certificate's signature has no hash")
}

func (ch *Channel) binding(name string) (Binding, bool) {
	for _, b := range ch.Bindings {
		if b.Type == name {
			return b, true
		}
	}
	return Binding{}, false
}

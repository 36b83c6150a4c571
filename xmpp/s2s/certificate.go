package s2s

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"parley/xmpp/wire"
)

var errNoCertificate = errors.New("no certificate was shown")

// certified reports, as nil, that a chain of certificates is good for a domain: it leads to an authority that is trusted, and
// the first one names the domain as RFC 6120 §13.7.1.2 and RFC 6125 want it. A certificate for servers is good for the side that opens a connection
// too: public authorities do not make other ones any more, and both sides are servers.
func certified(chain []*x509.Certificate, domain string, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return errNoCertificate
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	if !names(chain[0], domain) {
		return fmt.Errorf("the certificate is not one for %s", domain)
	}
	return nil
}

// names reports that a certificate names a domain: as DNS-ID, where the first label may be a wildcard, as SRV-ID for servers,
// or as an XMPP address. The common name is not looked at.
func names(c *x509.Certificate, domain string) bool {
	if ip, ok := literal(domain); ok {
		for _, a := range c.IPAddresses {
			if a.Equal(ip.AsSlice()) {
				return true
			}
		}
		return false
	}
	want := ascii(domain)
	for _, n := range c.DNSNames {
		if matches(n, want) {
			return true
		}
	}
	others, err := otherNames(c)
	if err != nil {
		return false
	}
	for _, n := range others.services {
		if service, name, ok := strings.Cut(n, "."); ok && strings.EqualFold(service, "_xmpp-server") && matches(name, want) {
			return true
		}
	}
	for _, n := range others.addresses {
		if a, err := wire.ParseAddr(n); err == nil && string(a) == domain {
			return true
		}
	}
	return false
}

// matches is RFC 6125 §6.4.3: a wildcard is a whole label, the first, stands for one label, and not above a lone one.
func matches(name, want string) bool {
	name = strings.TrimSuffix(name, ".")
	if strings.EqualFold(name, want) {
		return !strings.Contains(name, "*")
	}
	rest, ok := strings.CutPrefix(name, "*.")
	if !ok || strings.Contains(rest, "*") || !strings.Contains(rest, ".") {
		return false
	}
	first, above, ok := strings.Cut(want, ".")
	return ok && first != "" && strings.EqualFold(above, rest)
}

// otherNamesOf are the names of a certificate that package x509 does not read.
type otherNamesOf struct {
	services  []string // SRVName, RFC 4985: "_xmpp-server.example.org"
	addresses []string // XmppAddr, RFC 6120 §13.7.1.4
}

var (
	oidAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidSRVName  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}
	oidXMPPAddr = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}
)

// otherNames reads the names of type otherName (RFC 5280 §4.2.1.6).
func otherNames(c *x509.Certificate) (o otherNamesOf, err error) {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidAltName) {
			if err := o.read(e.Value); err != nil {
				return o, err
			}
		}
	}
	return o, nil
}

func (o *otherNamesOf) read(der []byte) error {
	var list asn1.RawValue
	rest, err := asn1.Unmarshal(der, &list)
	if err != nil || len(rest) > 0 || list.Class != asn1.ClassUniversal || list.Tag != asn1.TagSequence || !list.IsCompound {
		return errors.New("s2s: malformed subject alternative name")
	}
	for rest = list.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			return err
		}
		if name.Class != asn1.ClassContextSpecific || name.Tag != 0 || !name.IsCompound {
			continue
		}
		var id asn1.ObjectIdentifier
		value, err := asn1.Unmarshal(name.Bytes, &id)
		if err != nil {
			return err
		}
		var outer, text asn1.RawValue
		if _, err := asn1.Unmarshal(value, &outer); err != nil {
			return err
		}
		if outer.Class != asn1.ClassContextSpecific || outer.Tag != 0 {
			continue
		}
		if _, err := asn1.Unmarshal(outer.Bytes, &text); err != nil {
			return err
		}
		switch {
		case text.Class != asn1.ClassUniversal:
		case id.Equal(oidSRVName) && text.Tag == asn1.TagIA5String:
			o.services = append(o.services, string(text.Bytes))
		case id.Equal(oidXMPPAddr) && text.Tag == asn1.TagUTF8String:
			o.addresses = append(o.addresses, string(text.Bytes))
		}
	}
	return nil
}

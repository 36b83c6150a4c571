package s2s

import (
	"crypto/x509"
	"encoding/asn1"
	"net"
	"testing"
	"time"
)

// TestNames is RFC 6120 §13.7.1.2 with RFC 6125 §6.4.
func TestNames(t *testing.T) {
	ca := newAuthority(t)
	srv := func(name string) otherName { return otherName{oidSRVName, asn1.TagIA5String, name} }
	xmpp := func(name string) otherName { return otherName{oidXMPPAddr, asn1.TagUTF8String, name} }
	for _, c := range []struct {
		dns    []string
		others []otherName
		domain string
		want   bool
	}{
		{[]string{"a.example"}, nil, "a.example", true},
		{[]string{"A.Example."}, nil, "a.example", true},
		{[]string{"x.example", "a.example"}, nil, "a.example", true},
		{[]string{"a.example"}, nil, "b.a.example", false},
		{[]string{"b.a.example"}, nil, "a.example", false},
		{[]string{"*.a.example"}, nil, "muc.a.example", true},
		{[]string{"*.a.example"}, nil, "a.example", false},
		{[]string{"*.a.example"}, nil, "x.muc.a.example", false},
		{[]string{"m*.a.example"}, nil, "muc.a.example", false},
		{[]string{"*.example"}, nil, "a.example", false},
		{[]string{"*"}, nil, "example", false},
		{[]string{"*.*.example"}, nil, "b.a.example", false},
		{nil, []otherName{srv("_xmpp-server.a.example")}, "a.example", true},
		{nil, []otherName{srv("_XMPP-Server.A.example")}, "a.example", true},
		{nil, []otherName{srv("_xmpp-server.*.a.example")}, "muc.a.example", true},
		{nil, []otherName{srv("_xmpp-client.a.example")}, "a.example", false},
		{nil, []otherName{srv("a.example")}, "a.example", false},
		{nil, []otherName{xmpp("a.example")}, "a.example", true},
		{nil, []otherName{xmpp("A.EXAMPLE")}, "a.example", true},
		{nil, []otherName{xmpp("someone@a.example")}, "a.example", false},
		{nil, []otherName{xmpp("münchen.example")}, "münchen.example", true},
		{[]string{"xn--mnchen-3ya.example"}, nil, "münchen.example", true},
		{nil, []otherName{{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, asn1.TagUTF8String, "a.example"}}, "a.example", false}, // a Windows account
		{nil, []otherName{{oidSRVName, asn1.TagUTF8String, "_xmpp-server.a.example"}}, "a.example", false},
		{nil, nil, "a.example", false},
	} {
		cert := ca.issue(t, nil, withNames(t, c.dns, c.others...))
		if got := names(cert.Leaf, c.domain); got != c.want {
			t.Errorf("%q %v for %s: %v", c.dns, c.others, c.domain, got)
		}
	}
	byAddress := ca.issue(t, nil, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 7)} })
	if !names(byAddress.Leaf, "192.0.2.7") || names(byAddress.Leaf, "192.0.2.8") {
		t.Error("an address is not looked for as it should be")
	}
	common := ca.issue(t, nil, func(c *x509.Certificate) { c.Subject.CommonName = "a.example" })
	if names(common.Leaf, "a.example") {
		t.Error("the common name counts")
	}
}

// TestHS2Chains: what does not lead to an authority that is trusted, or not now, is not good.
func TestHS2Chains(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	domain := []string{"a.example"}
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		want  bool
	}{
		"good":               {[]*x509.Certificate{ca.issue(t, domain).Leaf}, true},
		"with its authority": {[]*x509.Certificate{ca.issue(t, domain).Leaf, ca.cert}, true},
		"for clients":        {[]*x509.Certificate{ca.issue(t, domain, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }).Leaf}, true},
		"for mail":           {[]*x509.Certificate{ca.issue(t, domain, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} }).Leaf}, false},
		"expired":            {[]*x509.Certificate{ca.issue(t, domain, expired).Leaf}, false},
		"not yet":            {[]*x509.Certificate{ca.issue(t, domain, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }).Leaf}, false},
		"of a stranger":      {[]*x509.Certificate{other.issue(t, domain).Leaf}, false},
		"stranger brought":   {[]*x509.Certificate{other.issue(t, domain).Leaf, other.cert}, false},
		"self-signed":        {[]*x509.Certificate{(*authority)(nil).issue(t, domain).Leaf}, false},
		"for another":        {[]*x509.Certificate{ca.issue(t, []string{"b.example"}).Leaf}, false},
		"none":               {nil, false},
	} {
		if err := certified(c.chain, "a.example", ca.pool()); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzOtherNames: names of a stranger's certificate.
func FuzzOtherNames(f *testing.F) {
	ca := newAuthority(f)
	for _, others := range [][]otherName{nil, {{oidSRVName, asn1.TagIA5String, "_xmpp-server.a.example"}, {oidXMPPAddr, asn1.TagUTF8String, "a.example"}}} {
		for _, e := range ca.issue(f, nil, withNames(f, []string{"a.example"}, others...)).Leaf.Extensions {
			if e.Id.Equal(oidAltName) {
				f.Add(e.Value)
			}
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		var o otherNamesOf
		o.read(der)
		for _, n := range append(o.services, o.addresses...) {
			if len(n) > len(der) {
				t.Fatalf("%q out of %x", n, der)
			}
		}
	})
}

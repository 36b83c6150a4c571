package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// certificate writes a key and a certificate for localhost into the folder, the same kind for every server: P-256,
// since the kind of key decides most of what a TLS handshake costs. Both returns the file that holds the two.
func certificate(dir string) (cert, key, both string, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames:  []string{"localhost", "conference.localhost", "muc.localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &k.PublicKey, k)
	if err != nil {
		return
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return
	}
	c := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
	cert, key, both = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "both.pem")
	for _, f := range []struct {
		name string
		data []byte
	}{{cert, c}, {key, p}, {both, append(append([]byte{}, p...), c...)}} {
		if err = os.WriteFile(f.name, f.data, 0o600); err != nil {
			return
		}
	}
	return
}

package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"parley/bridge/api"
)

// NewCertificate makes a self-signed certificate with a key on P-256 and returns both as PEM. Peers know it by its
// fingerprint alone, so the caller keeps it where a restart finds it, as a secret.
func NewCertificate(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("transport: key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("transport: serial number: %w", err)
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "parley"},
		NotBefore:    now.AddDate(0, 0, -1), // clients' clocks are wrong
		NotAfter:     now.AddDate(20, 0, 0), // whom the fingerprint proves needs no end
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("transport: certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("transport: key: %w", err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

// certificate reads what NewCertificate has made, and nothing else: the cipher suites are for ECDSA.
func certificate(text []byte) (tls.Certificate, error) {
	c, err := tls.X509KeyPair(text, text)
	if err != nil {
		return c, fmt.Errorf("transport: certificate: %w", err)
	}
	if key, ok := c.PrivateKey.(*ecdsa.PrivateKey); !ok || key.Curve != elliptic.P256() {
		return c, errors.New("transport: certificate: the key is not on P-256")
	}
	return c, nil
}

func fingerprint(der []byte) api.Fingerprint {
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return api.Fingerprint{Hash: "sha-256", Value: strings.Join(pairs, ":")}
}

// maxDigests is how many fingerprints of a peer are looked at; browsers signal one.
const maxDigests = 8

// digest is a signalled fingerprint, read. It is comparable.
type digest struct {
	hash string
	sum  [sha512.Size]byte
}

var sizes = map[string]int{"sha-256": sha256.Size, "sha-384": sha512.Size384, "sha-512": sha512.Size}

// digests reads fingerprints. Those of weak or unknown hashes prove nothing and are left out (RFC 8122 §5); one has to be
// left, and none may be malformed.
func digests(list []api.Fingerprint) (out []digest, err error) {
	if len(list) > maxDigests {
		return nil, fmt.Errorf("%w: %d fingerprints", ErrSecurity, len(list))
	}
	for _, f := range list {
		p := digest{hash: strings.ToLower(f.Hash)}
		size, ok := sizes[p.hash]
		if !ok {
			continue
		}
		pairs := strings.Split(f.Value, ":")
		if len(pairs) != size {
			return nil, fmt.Errorf("%w: malformed fingerprint", ErrSecurity)
		}
		for i, pair := range pairs {
			if len(pair) != 2 {
				return nil, fmt.Errorf("%w: malformed fingerprint", ErrSecurity)
			}
			if _, err := hex.Decode(p.sum[i:i+1], []byte(pair)); err != nil {
				return nil, fmt.Errorf("%w: malformed fingerprint", ErrSecurity)
			}
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no fingerprint of sha-256 or stronger", ErrSecurity)
	}
	return out, nil
}

var errFingerprint = errors.New("transport: the certificate has another fingerprint than was signalled")

// verify compares the first certificate of a peer with its fingerprints, all of them and in constant time.
func verify(list []digest, certs [][]byte) error {
	if len(certs) == 0 {
		return errFingerprint
	}
	fits := 0
	for _, p := range list {
		var sum [sha512.Size]byte
		switch p.hash {
		case "sha-256":
			s := sha256.Sum256(certs[0])
			copy(sum[:], s[:])
		case "sha-384":
			s := sha512.Sum384(certs[0])
			copy(sum[:], s[:])
		case "sha-512":
			sum = sha512.Sum512(certs[0])
		default:
			continue
		}
		fits |= subtle.ConstantTimeCompare(sum[:], p.sum[:])
	}
	if fits != 1 {
		return errFingerprint
	}
	return nil
}

func verifier(list []digest) func([][]byte, [][]*x509.Certificate) error {
	return func(certs [][]byte, _ [][]*x509.Certificate) error { return verify(list, certs) }
}

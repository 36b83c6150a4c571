package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// key is one key that signatures are checked with. The algorithms follow from what the key is (RFC 8725 §3.1), so that
// a public key can never serve as the secret of an HMAC.
type key struct {
	id       string // kid, "" if it has none
	algs     []string
	material any // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey, as package jwt wants them
}

func (k *key) allows(alg string) bool { return slices.Contains(k.algs, alg) }

// algorithms lists all that any key may allow.
var algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

const (
	minRSA  = 2048 // bits
	maxRSA  = 8192 // bits; larger ones cost milliseconds a signature
	maxKeys = 64   // of one set
)

func secretKey(secret string) key {
	return key{algs: []string{"HS256", "HS384", "HS512"}, material: []byte(secret)}
}

func publicKey(id string, material any) (key, error) {
	k := key{id: id, material: material}
	switch m := material.(type) {
	case *rsa.PublicKey:
		if n := m.N.BitLen(); n < minRSA || n > maxRSA || m.E < 3 || m.E&1 == 0 {
			return key{}, fmt.Errorf("RSA key of %d bits is not accepted", n)
		}
		k.algs = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		switch m.Curve {
		case elliptic.P256():
			k.algs = []string{"ES256"}
		case elliptic.P384():
			k.algs = []string{"ES384"}
		case elliptic.P521():
			k.algs = []string{"ES512"}
		default:
			return key{}, errors.New("elliptic curve is not accepted")
		}
	case ed25519.PublicKey:
		k.algs = []string{"EdDSA"}
	default:
		return key{}, fmt.Errorf("key of type %T is not accepted", material)
	}
	return k, nil
}

// parsePEM reads one public key.
func parsePEM(id string, data []byte) (key, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return key{}, errors.New("no PEM block")
	}
	switch block.Type {
	case "PUBLIC KEY":
		m, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return key{}, err
		}
		return publicKey(id, m)
	case "RSA PUBLIC KEY":
		m, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return key{}, err
		}
		return publicKey(id, m)
	}
	return key{}, fmt.Errorf("PEM block is a %.32q, not a public key", block.Type)
}

// parseSet reads a JWK set (RFC 7517 §5). Keys that are not for signatures, or of a kind that is not accepted, are left
// out, symmetric ones among them: a secret does not belong into a published set.
func parseSet(data []byte) ([]key, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	list, ok := o["keys"].([]any)
	if !ok {
		return nil, errors.New("no keys in the JWK set")
	}
	if len(list) > maxKeys {
		return nil, fmt.Errorf("%d keys in the JWK set, at most %d are accepted", len(list), maxKeys)
	}
	keys := make([]key, 0, len(list))
	for _, v := range list {
		if jwk, ok := v.(object); ok {
			if k, err := parseJWK(jwk); err == nil {
				keys = append(keys, k)
			}
		}
	}
	return keys, nil
}

func parseJWK(o object) (key, error) {
	var f struct{ kty, use, kid, alg, crv string }
	for name, to := range map[string]*string{"kty": &f.kty, "use": &f.use, "kid": &f.kid, "alg": &f.alg, "crv": &f.crv} {
		s, err := o.text(name, maxKid)
		if err != nil {
			return key{}, err
		}
		*to = s
	}
	if f.use != "" && f.use != "sig" {
		return key{}, errors.New("not for signatures")
	}
	if ops, ok := o["key_ops"]; ok {
		if list, _ := ops.([]any); !slices.Contains(list, any("verify")) {
			return key{}, errors.New("not for verifying")
		}
	}
	material, err := parseMaterial(o, f.kty, f.crv)
	if err != nil {
		return key{}, err
	}
	k, err := publicKey(f.kid, material)
	if err != nil {
		return key{}, err
	}
	if f.alg != "" {
		if !k.allows(f.alg) {
			return key{}, fmt.Errorf("algorithm %.16q does not fit the key", f.alg)
		}
		k.algs = []string{f.alg}
	}
	return k, nil
}

func parseMaterial(o object, kty, crv string) (any, error) {
	switch {
	case kty == "RSA":
		n, err := o.binary("n")
		if err != nil {
			return nil, err
		}
		e, err := o.binary("e")
		if err != nil {
			return nil, err
		}
		exp := new(big.Int).SetBytes(e)
		if exp.BitLen() > 31 {
			return nil, errors.New("RSA exponent is too large")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp.Int64())}, nil
	case kty == "EC":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[crv]
		if curve == nil {
			return nil, errors.New("elliptic curve is not accepted")
		}
		x, err := o.binary("x")
		if err != nil {
			return nil, err
		}
		y, err := o.binary("y")
		if err != nil {
			return nil, err
		}
		if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size { // RFC 7518 §6.2.1.2
			return nil, errors.New("coordinate of the wrong length")
		}
		return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	case kty == "OKP" && crv == "Ed25519": // RFC 8037 §2
		x, err := o.binary("x")
		if err != nil {
			return nil, err
		}
		if len(x) != ed25519.PublicKeySize {
			return nil, errors.New("key of the wrong length")
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, errors.New("kind of key is not accepted")
}

var base64url = base64.RawURLEncoding.Strict()

// binary returns a member that must be base64url (RFC 7518 §2) and not empty.
func (o object) binary(name string) ([]byte, error) {
	s, err := o.text(name, 2*maxRSA/8)
	if err != nil {
		return nil, err
	}
	b, err := decodeSegment(s)
	if err == nil && len(b) == 0 {
		err = fmt.Errorf("%s is missing", name)
	}
	return b, err
}

// decodeSegment decodes base64url without padding. The library skips line ends; here they are refused, so that one
// token has one spelling.
func decodeSegment(s string) ([]byte, error) {
	for i := range len(s) {
		if s[i] == '\r' || s[i] == '\n' {
			return nil, base64.CorruptInputError(i)
		}
	}
	return base64url.DecodeString(s)
}

package peertest

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// SCRAM is a login by RFC 5802, step by step, so that a test can say something wrong at each of them.
type SCRAM struct {
	Mechanism      string // SCRAM-SHA-256-PLUS...
	User, Password string
	GS2            string // "n,,", "y,,", "p=tls-exporter,,"
	Binding        []byte // what the channel is bound to, with "p="

	Nonce       string
	firstBare   string
	serverFirst string
	serverKey   []byte
	authMessage string
}

func (s *SCRAM) hash() func() hash.Hash {
	switch strings.TrimSuffix(s.Mechanism, "-PLUS") {
	case "SCRAM-SHA-1":
		return sha1.New
	case "SCRAM-SHA-512":
		return sha512.New
	}
	return sha256.New
}

// First returns the client's first message.
func (s *SCRAM) First() string {
	if s.GS2 == "" {
		s.GS2 = "n,,"
	}
	s.Nonce = rand.Text()
	s.firstBare = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s.User) + ",r=" + s.Nonce
	return s.GS2 + s.firstBare
}

// Challenge takes the server's first message apart.
func (s *SCRAM) Challenge(serverFirst string) (nonce string, salt []byte, iterations int, err error) {
	s.serverFirst = serverFirst
	for _, f := range strings.Split(serverFirst, ",") {
		k, v, _ := strings.Cut(f, "=")
		switch k {
		case "r":
			nonce = v
		case "s":
			salt, err = base64.StdEncoding.DecodeString(v)
		case "i":
			iterations, err = strconv.Atoi(v)
		}
		if err != nil {
			return "", nil, 0, err
		}
	}
	if !strings.HasPrefix(nonce, s.Nonce) || len(nonce) == len(s.Nonce) || len(salt) == 0 || iterations < 4096 {
		return "", nil, 0, fmt.Errorf("bad challenge %q", serverFirst)
	}
	return nonce, salt, iterations, nil
}

// Final returns the client's final message.
func (s *SCRAM) Final(nonce string, salt []byte, iterations int) string {
	h := s.hash()
	salted, err := pbkdf2.Key(h, s.Password, salt, iterations, h().Size())
	if err != nil {
		panic(err)
	}
	mac := func(key []byte, text string) []byte {
		m := hmac.New(h, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	clientKey := mac(salted, "Client Key")
	s.serverKey = mac(salted, "Server Key")
	stored := h()
	stored.Write(clientKey)
	binding := base64.StdEncoding.EncodeToString(append([]byte(s.GS2), s.Binding...))
	without := "c=" + binding + ",r=" + nonce
	s.authMessage = s.firstBare + "," + s.serverFirst + "," + without
	proof := mac(stored.Sum(nil), s.authMessage)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	return without + ",p=" + base64.StdEncoding.EncodeToString(proof)
}

// Verify checks the server's final message.
func (s *SCRAM) Verify(serverFinal string) error {
	m := hmac.New(s.hash(), s.serverKey)
	m.Write([]byte(s.authMessage))
	if want := "v=" + base64.StdEncoding.EncodeToString(m.Sum(nil)); serverFinal != want {
		return fmt.Errorf("the server's signature is %q, want %q", serverFinal, want)
	}
	return nil
}

// Auth begins a SASL exchange with a first message.
func (p *Client) Auth(mechanism, first string) {
	p.T.Helper()
	p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mechanism + "'>" + base64.StdEncoding.EncodeToString([]byte(first)) + "</auth>")
}

// Respond answers a challenge.
func (p *Client) Respond(message string) {
	p.T.Helper()
	p.Send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString([]byte(message)) + "</response>")
}

// Run logs in on an open stream and returns the element that ends the exchange. The server's signature is checked.
func (s *SCRAM) Run(p *Client) string {
	p.T.Helper()
	p.Auth(s.Mechanism, s.First())
	got := p.Read()
	if !strings.HasPrefix(got, "<challenge") {
		return got
	}
	nonce, salt, iterations, err := s.Challenge(string(p.content(got)))
	if err != nil {
		p.T.Fatal(err)
	}
	p.Respond(s.Final(nonce, salt, iterations))
	got = p.Read()
	if strings.HasPrefix(got, "<success") {
		if err := s.Verify(string(p.content(got))); err != nil {
			p.T.Fatal(err)
		}
	}
	return got
}

// Content returns the decoded text of a SASL element.
func (p *Client) Content(element string) string {
	p.T.Helper()
	return string(p.content(element))
}

// Exporter is the channel binding of RFC 9266.
func (p *Client) Exporter() []byte {
	p.T.Helper()
	state := p.Conn.(*tls.Conn).ConnectionState()
	b, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		p.T.Fatal(err)
	}
	return b
}

// EndPoint is the channel binding tls-server-end-point of RFC 5929 §4, for certificates signed with SHA-256 or less.
func (p *Client) EndPoint() []byte {
	p.T.Helper()
	leaf := p.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	switch leaf.SignatureAlgorithm {
	case x509.ECDSAWithSHA384, x509.SHA384WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSA:
		p.T.Fatal("the certificate wants another hash")
	}
	sum := sha256.Sum256(leaf.Raw)
	return sum[:]
}

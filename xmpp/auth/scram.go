package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"parley/internal/store"
)

// scram is one exchange of the SCRAM family (RFC 5802 §5):
//
//	client-first  n,,n=user,r=CLIENT
//	server-first  r=CLIENTSERVER,s=salt,i=iterations,h=hash of the mechanisms
//	client-final  c=GS2 header and channel binding,r=CLIENTSERVER,p=proof
//	server-final  v=signature
type scram struct {
	x    *Exchange
	hash scramHash
	plus bool

	user       user
	credential store.Credential
	real       bool   // the credential is an account's
	nonce      string // client's and ours; "" before server-first
	binding    string // what c= must decode to
	signed     string // client-first-bare "," server-first ","
}

// newNonce returns our part of a nonce: 144 random bits.
func newNonce() string {
	var b [18]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

func newScram(x *Exchange) *scram {
	name, plus := strings.CutSuffix(x.mechanism, "-PLUS")
	i := slices.IndexFunc(hashes, func(h scramHash) bool { return h.name == name })
	return &scram{x: x, hash: hashes[i], plus: plus}
}

func (sc *scram) step(ctx context.Context, response []byte) ([]byte, bool, error) {
	if sc.nonce == "" {
		challenge, err := sc.first(ctx, response)
		return challenge, false, err
	}
	data, err := sc.final(response)
	return data, err == nil, err
}

func (sc *scram) first(ctx context.Context, response []byte) ([]byte, error) {
	m, err := parseClientFirst(response)
	if err != nil {
		return nil, err
	}
	st := sc.x.stream
	s, ch := st.server, &st.channel
	if err := sc.bind(&m, ch); err != nil {
		return nil, err
	}
	if err := st.mayBe(m.authzid, m.user); err != nil {
		return nil, err
	}
	if sc.user, err = s.find(ctx, ch, m.user); err != nil {
		return nil, err
	}
	sc.credential, sc.real = s.credential(&sc.user, &sc.hash)
	sc.nonce = m.nonce + s.nonce()
	challenge := "r=" + sc.nonce + ",s=" + base64.StdEncoding.EncodeToString(sc.credential.Salt) +
		",i=" + strconv.Itoa(sc.credential.Iterations)
	if s.cfg.MechanismHash {
		challenge += ",h=" + base64.StdEncoding.EncodeToString(sc.hash.sum([]byte(st.offer())))
	}
	sc.signed = m.bare + "," + challenge + ","
	return []byte(challenge), nil
}

// bind checks the channel binding flag (RFC 5802 §6) and keeps what the client must repeat.
func (sc *scram) bind(m *clientFirst, ch *Channel) error {
	sc.binding = m.gs2
	switch {
	case sc.plus != (m.flag == 'p'):
		return malformed("channel binding flag does not fit the mechanism")
	case m.flag == 'y' && len(ch.Bindings) > 0:
		return errDowngrade // the client could bind, and somebody took our -PLUS from the list
	case m.flag != 'p':
		return nil
	}
	b, ok := ch.binding(m.binding)
	if !ok {
		return errBindingType
	}
	data, err := b.Data()
	if err != nil || len(data) == 0 {
		return errBinding.of("", err)
	}
	sc.binding += string(data)
	return nil
}

func (sc *scram) final(response []byte) ([]byte, error) {
	m, err := parseClientFinal(response)
	if err != nil {
		return nil, err
	}
	s, ch := sc.x.stream.server, &sc.x.stream.channel
	if subtle.ConstantTimeCompare([]byte(m.nonce), []byte(sc.nonce)) != 1 {
		return nil, errNonce.of(sc.user.hashed(), nil)
	}
	if subtle.ConstantTimeCompare(m.binding, []byte(sc.binding)) != 1 {
		return nil, errBinding.of(sc.user.hashed(), nil)
	}
	// ClientKey = ClientProof XOR HMAC(StoredKey, AuthMessage); it is right if it hashes to StoredKey.
	signature := s.mac(sc.hash.new, sc.credential.StoredKey, sc.signed, m.unproven)
	if len(m.proof) != len(signature) {
		return nil, malformed("proof has the wrong length")
	}
	clientKey := make([]byte, len(signature))
	subtle.XORBytes(clientKey, m.proof, signature)
	if subtle.ConstantTimeCompare(sc.hash.sum(clientKey), sc.credential.StoredKey) != 1 || !sc.real {
		return nil, s.wrong(ch, &sc.user)
	}
	if err := s.right(ch, &sc.user); err != nil {
		return nil, err
	}
	sc.x.login(Identity{Addr: sc.user.addr, Bound: sc.plus})
	proof := s.mac(sc.hash.new, sc.credential.ServerKey, sc.signed, m.unproven)
	return []byte("v=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// offer is what XEP-0474 §5.1 hashes: the mechanisms and the channel bindings as they were offered, sorted.
func (st *Stream) offer() string {
	s := strings.Join(slices.Sorted(slices.Values(st.mechanisms)), "\x1e")
	if types := st.ChannelBindings(); len(types) > 0 {
		slices.Sort(types)
		s += "\x1f" + strings.Join(types, "\x1e")
	}
	return s
}

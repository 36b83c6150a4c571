package livekitpeer

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/peertest/jitsipeer"
)

const key, secret = "bench", "secret-of-at-least-32-characters"

// grants is what a token is for.
type grants struct {
	jwt.RegisteredClaims
	Video struct {
		Room                                               string
		RoomJoin, CanPublish, CanSubscribe, CanPublishData bool
	}
}

func readToken(text string) (g grants, err error) {
	_, err = jwt.ParseWithClaims(text, &g, func(*jwt.Token) (any, error) { return []byte(secret), nil }, jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(key), jwt.WithExpirationRequired())
	return g, err
}

func TestTokensAreForOneDirection(t *testing.T) {
	for _, sends := range []bool{true, false} {
		o := Options{Room: "meet", Name: "romeo", Key: key, Secret: secret}
		if sends {
			o.Audio = &jitsipeer.Audio{}
		}
		g, err := readToken(o.token(time.Now()))
		if v := g.Video; err != nil || g.Subject != "romeo" || v.Room != "meet" || !v.RoomJoin || v.CanPublish != sends || v.CanSubscribe == sends || v.CanPublishData {
			t.Errorf("%+v %v", g, err)
		}
	}
}

package livekitpeer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

const (
	tokenSkew = 10 * time.Second // that the server's clock may be behind
	tokenLife = time.Hour
)

// token lets somebody into a room, to send or to receive: a JWT (RFC 7519) signed with the secret of a key (HS256).
func (o *Options) token(now time.Time) string {
	encode := base64.RawURLEncoding.EncodeToString
	claims, _ := json.Marshal(map[string]any{
		"iss": o.Key, "sub": o.Name, "nbf": now.Add(-tokenSkew).Unix(), "exp": now.Add(tokenLife).Unix(),
		"video": map[string]any{"room": o.Room, "roomJoin": true, "canPublish": o.sends(), "canSubscribe": !o.sends(), "canPublishData": false},
	})
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(claims)
	mac := hmac.New(sha256.New, []byte(o.Secret))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

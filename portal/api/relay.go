package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/turn"
)

// iceServer is written as browsers take it (RTCIceServer).
type iceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

type iceServers struct {
	Servers []iceServer `json:"ice_servers"`
	Expires *time.Time  `json:"expires,omitempty" doc:"When the credentials end."`
}

type iceOutput struct{ Body iceServers }

func (a *API) addRelay() {
	operation(a, app.TURN, huma.Operation{
		OperationID: "get-ice-servers", Method: http.MethodGet, Path: "/turn", Tags: []string{"relay"}, Summary: "Get STUN and TURN services, with credentials",
		Description: "For one client. Those of somebody who has logged in end with the login.",
	}, func(ctx context.Context, _ *struct{}) (*iceOutput, error) {
		user := rand.Text() // an application asks for somebody else each time
		if who := asker(ctx); who.login != nil {
			user = relayUser(who.login.ID)
		}
		out := &iceOutput{iceServers{Servers: []iceServer{}}}
		for _, s := range a.parts.Services(user) {
			out.Body.add(s)
		}
		return out, nil
	})
}

func (i *iceServers) add(s turn.Service) {
	server := iceServer{URLs: []string{s.URI()}, Username: s.Username, Credential: s.Password}
	if s.Username != "" && (i.Expires == nil || s.Expires.Before(*i.Expires)) {
		i.Expires = &s.Expires
	}
	if n := len(i.Servers); n > 0 && i.Servers[n-1].Username == server.Username && i.Servers[n-1].Credential == server.Credential {
		i.Servers[n-1].URLs = append(i.Servers[n-1].URLs, server.URLs...)
		return
	}
	i.Servers = append(i.Servers, server)
}

// relayUser is as whom a login uses the relay: always the same, so that quotas count, and nothing that says whose it is.
func relayUser(login string) string {
	sum := sha256.Sum256([]byte("relay\x00" + login))
	return base32.StdEncoding.EncodeToString(sum[:15])
}

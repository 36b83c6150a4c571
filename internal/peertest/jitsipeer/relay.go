package jitsipeer

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"

	"github.com/pion/stun/v4"
)

// relays asks for the services of the server (XEP-0215 §3.2) and returns its relay over UDP.
func (p *Peer) relays(ctx context.Context) (*stun.URI, error) {
	text, err := p.IQ(ctx, "get", p.o.Domain, "<services xmlns='urn:xmpp:extdisco:2' type='turn'/>")
	if err != nil {
		return nil, fmt.Errorf("jitsipeer: services: %w", err)
	}
	var answer struct {
		Services []struct {
			Type      string `xml:"type,attr"`
			Transport string `xml:"transport,attr"`
			Host      string `xml:"host,attr"`
			Port      int    `xml:"port,attr"`
			Username  string `xml:"username,attr"`
			Password  string `xml:"password,attr"`
		} `xml:"services>service"`
	}
	if err := xml.Unmarshal([]byte(text), &answer); err != nil {
		return nil, fmt.Errorf("jitsipeer: services: %w", err)
	}
	for _, s := range answer.Services {
		if s.Type == "turn" && s.Transport == "udp" {
			return &stun.URI{Scheme: stun.SchemeTypeTURN, Host: s.Host, Port: s.Port, Proto: stun.ProtoTypeUDP, Username: s.Username, Password: s.Password}, nil
		}
	}
	return nil, errors.New("jitsipeer: the server offers no relay over UDP")
}

package iceagent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// path is where ICE servers register.
const path = "/api/ice"

// The answers, which are plain text.
const (
	done    = "successful"
	known   = "ice_have_registered"
	unknown = "ice_no_found"
)

func (a *Agent) register(ctx context.Context) error {
	c := &a.cfg
	_, err := a.post(ctx, map[string]any{
		"cmd": "iceRegister", "ip": c.IP.String(), "iceType": "turn", "bundlePolicy": c.Bundle, "rtcpMuxPolicy": "require", "iceTransportPolicy": c.Policy,
		"turnPort": c.TurnPort, "stunPort": c.StunPort, "maxBandwidth": c.MaxBandwidth, "username": c.Username, "credential": c.Credential,
	}, done, known)
	return err
}

// report tells the rates, in kbit/s. There is false when the server is not registered any more.
func (a *Agent) report(ctx context.Context, rx, tx int) (there bool, err error) {
	answer, err := a.post(ctx, map[string]any{"cmd": "iceReportRxTxRate", "ip": a.cfg.IP.String(), "rxRate": rx, "txRate": tx}, done, unknown)
	return err != nil || answer == done, err
}

func (a *Agent) deregister(ctx context.Context) error {
	_, err := a.post(ctx, map[string]any{"cmd": "iceDeregister", "ip": a.cfg.IP.String()}, done, unknown)
	return err
}

// post says something, and returns the answer, which is one of those that are expected.
func (a *Agent) post(ctx context.Context, what map[string]any, expected ...string) (string, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(a.cfg.Server, "/")+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Ice-Key", a.cfg.Key)
	res, err := a.client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 256))
	if err != nil {
		return "", err
	}
	for _, e := range expected {
		if res.StatusCode == http.StatusOK && string(text) == e {
			return e, nil
		}
	}
	if res.StatusCode == http.StatusForbidden {
		return "", fmt.Errorf("%v: %s: the key is not that of the server (roomserver.ice_secret)", what["cmd"], res.Status)
	}
	return "", fmt.Errorf("%v: %s: %.100q", what["cmd"], res.Status, text)
}

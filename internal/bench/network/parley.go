package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"parley/internal/netem"
	"parley/internal/peertest/jitsipeer"
)

// parley is this program as a server, and members who join as Jitsi's clients do.
type parley struct{}

// configuration is that of a server whose media come from elsewhere: the domain is an address because bridge channels are
// offered at the domain.
const configuration = "domain = \"127.0.0.1\"\nstore = \"sqlite:%s\"\n\n[rooms]\ncreate = \"anyone\"\n"

func (parley) fits(*Options, []Fault) error { return nil }

func (parley) start(ctx context.Context, binary, dir string, host *netem.Host, relay netem.Bitrate) (*server, error) {
	s, err := newServer(dir)
	if err != nil {
		return nil, err
	}
	s.repairs = repairs{42: true, 96: true, 97: true, 99: true} // in the offers of the focus, and of Jicofo's
	args := []string{"serve", "--single-process", "--log-level", "warn", "--data", s.data, "--listen", "http://127.0.0.1:0"}
	at := "127.0.0.1:0"
	if host != nil {
		at = netip.AddrPortFrom(host.Addr, 0).String()
	}
	args = append(args, "--listen", "media://"+at)
	text := fmt.Appendf(nil, configuration, filepath.Join(s.data, "bench.db"))
	if relay > 0 {
		args = append(args, "--listen", "turn://"+at)
		text = fmt.Appendf(text, "\n[turn]\nbandwidth = \"%d kbit/s\"\n", relay/kbit)
	}
	if host == nil && relay == 0 {
		args = append(args, "--limits", "off")
	} else {
		file := filepath.Join(s.data, "bench.toml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--config", file)
	}
	if err := s.run(ctx, host, s.listens, binary, args...); err != nil {
		return nil, err
	}
	return s, nil
}

// listens reads where the server listens, once it has said so.
func (s *server) listens() (bool, error) {
	text, err := os.ReadFile(filepath.Join(s.data, "run.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var r struct {
		Domain    string              `json:"domain"`
		Listeners map[string][]string `json:"listeners"`
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return false, fmt.Errorf("run.json: %w", err)
	}
	for kind, to := range map[string]*netip.AddrPort{"http": &s.signalling, "media": &s.media} {
		if len(r.Listeners[kind]) == 0 {
			return false, fmt.Errorf("run.json: no listener %s", kind)
		}
		if *to, err = netip.ParseAddrPort(r.Listeners[kind][0]); err != nil {
			return false, fmt.Errorf("run.json: %w", err)
		}
	}
	s.url, s.domain = "ws://"+s.signalling.String()+"/xmpp-websocket", r.Domain
	return true, nil
}

func (parley) join(ctx context.Context, s memberSpec) (participant, error) {
	p, err := jitsipeer.Join(ctx, jitsipeer.Options{URL: s.URL, Room: s.Room, Domain: s.Domain, Nick: s.Nick, Loopback: s.Loopback, Reach: s.Reach, Relayed: s.Relayed,
		Video: s.Camera, Audio: s.Microphone, Wanted: constraints(0), Rewriting: true, RED: true})
	if err != nil {
		return nil, err
	}
	return jitsi{p}, nil
}

// jitsi is a member in the manner of Jitsi's clients.
type jitsi struct{ *jitsipeer.Peer }

func (p jitsi) Show(lastN int) error { return p.Want(constraints(lastN)) }

// constraints ask for so many pictures in any size.
func constraints(lastN int) any {
	return map[string]any{"lastN": lastN, "assumedBandwidthBps": -1, "defaultConstraints": map[string]int{"maxHeight": 2160}}
}

// Blamed is what the bridge has said in its ConnectionStats.
func (p jitsi) Blamed() (all []blame) {
	for _, e := range p.Events.Since(0) {
		if e.Kind == jitsipeer.Suffers {
			all = append(all, blame{e.At, e.Endpoint, e.Text})
		}
	}
	return all
}

func (p jitsi) Happened() string { return happened(&p.Events) }

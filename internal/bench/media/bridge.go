package media

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"parley/bridge/api"
	"parley/bridge/link"
)

// child is a bridge that was started for one measurement, with a connection to control it.
type child struct {
	pid    int
	data   string
	cmd    *exec.Cmd
	dead   chan struct{}
	client *link.Client
	events chan api.Event
	stop   context.CancelFunc
	gone   chan struct{} // closed when the connection has ended
	web    *http.Server  // the way to the bridge's channels
	url    string
}

// start starts the bridge of a binary at an address and waits until it can be controlled. Its data, which it may fill, are
// in a new folder of dir.
func start(ctx context.Context, binary string, net *network, dir string) (*child, error) {
	data, err := os.MkdirTemp(dir, "bridge-")
	if err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(data, "output.log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c := &child{data: data, dead: make(chan struct{}), gone: make(chan struct{}), events: make(chan api.Event, 4096)}
	c.cmd = net.command(binary, "bridge", "--data", data, "--listen", net.server.String()+":0", "--no-tcp",
		"--log-level", "warn", "--metrics", c.metricsSocket())
	c.cmd.Stdout, c.cmd.Stderr = out, out
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	c.pid = c.cmd.Process.Pid
	go func() { c.cmd.Wait(); close(c.dead) }()

	c.client = link.NewClient(link.ClientConfig{Dial: link.Dial(data)})
	run, stop := context.WithCancel(ctx)
	c.stop = stop
	go func() {
		defer close(c.gone)
		c.client.Run(run, func(e api.Event) {
			select {
			case c.events <- e:
			default: // nobody waits for so many
			}
		})
	}()
	if err := c.await(ctx, 20*time.Second, "word from the bridge", func(e api.Event) bool { return e.Hello != nil }); err != nil {
		c.end()
		return nil, err
	}
	return c, c.serveChannels()
}

func (c *child) metricsSocket() string { return filepath.Join(c.data, "metrics.sock") }

// serveChannels lets channels be opened at a port of loopback, as the front does.
func (c *child) serveChannels() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.end()
		return err
	}
	c.url = "ws://" + l.Addr().String()
	c.web = &http.Server{Handler: link.Proxy(c.data, nil)}
	go c.web.Serve(l)
	return nil
}

// await takes events until one is what is waited for.
func (c *child) await(ctx context.Context, patience time.Duration, what string, is func(api.Event) bool) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case e := <-c.events:
			if s := e.State; s != nil && s.State == api.Failed {
				return fmt.Errorf("endpoint %s has failed: %s", s.Endpoint, s.Reason)
			}
			if is(e) {
				return nil
			}
		case <-c.dead:
			return fmt.Errorf("the bridge has ended: %s", c.tail())
		case <-timer.C:
			return fmt.Errorf("no %s in %v: %s", what, patience, c.tail())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tail is the end of the bridge's output.
func (c *child) tail() string {
	b, _ := os.ReadFile(filepath.Join(c.data, "output.log"))
	b = b[max(0, len(b)-1000):]
	return strings.TrimSpace(string(b))
}

// end ends the bridge, waits for it, and removes its data.
func (c *child) end() {
	if c.web != nil {
		c.web.Close()
	}
	c.stop()
	<-c.gone
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.dead:
	case <-time.After(10 * time.Second):
		c.cmd.Process.Kill()
		<-c.dead
	}
	os.RemoveAll(c.data)
}

// get asks the bridge's metrics socket.
func (c *child) get(ctx context.Context, path string) (io.ReadCloser, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", c.metricsSocket())
		},
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return answer.Body, nil
}

// counts are what the bridge says of itself.
type counts struct{ received, reads, overflow, sent, sends, dropped, mallocs float64 }

var errMetrics = errors.New("the bridge's metrics lack what is needed")

func (c *child) counts(ctx context.Context) (n counts, err error) {
	body, err := c.get(ctx, "/metrics")
	if err != nil {
		return n, err
	}
	defer body.Close()
	return parseCounts(body)
}

func parseCounts(r io.Reader) (n counts, err error) {
	wanted := map[string]*float64{
		"parley_bridge_received_packets_total": &n.received, "parley_bridge_reads_total": &n.reads,
		"parley_bridge_overflow_packets_total": &n.overflow, "parley_bridge_sent_packets_total": &n.sent,
		"parley_bridge_sends_total": &n.sends, "parley_bridge_dropped_packets_total": &n.dropped, "go_memstats_mallocs_total": &n.mallocs,
	}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if at := wanted[name]; at != nil {
			if *at, err = strconv.ParseFloat(value, 64); err != nil {
				return n, fmt.Errorf("%w: %s", errMetrics, name)
			}
			delete(wanted, name)
		}
	}
	if len(wanted) > 0 {
		return n, errMetrics
	}
	return n, nil
}

// profile writes what the bridge's processor does for a time to a file.
func (c *child) profile(ctx context.Context, name string, d time.Duration) error {
	body, err := c.get(ctx, "/debug/pprof/profile?seconds="+strconv.Itoa(max(int(d.Seconds()), 1)))
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	return errors.Join(err, f.Close())
}

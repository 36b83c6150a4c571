package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"parley/internal/netem"
)

// handle is a member in the hand of the rig.
type handle struct {
	nick    string
	orders  io.WriteCloser
	answers *json.Decoder
	abandon func()       // nobody waits for answers any more
	wait    func() error // until the member has ended

	mu sync.Mutex // held during an order
}

// inside starts a member in this process.
func inside(ctx context.Context) *handle {
	orders, toMember := io.Pipe()
	answers, toUs := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Member(ctx, orders, toUs)
		toUs.Close()
		orders.Close()
		ended <- err
	}()
	return &handle{orders: toMember, answers: json.NewDecoder(answers), abandon: func() { answers.Close() }, wait: func() error { return <-ended }}
}

// outside starts a member's program in a namespace.
func outside(n *netem.Namespace, cmd *exec.Cmd) (*handle, error) {
	var said tail
	cmd.Stderr = &said
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, toUs := io.Pipe()
	cmd.Stdout = toUs
	ended, err := n.Start(cmd)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		err := <-ended
		toUs.CloseWithError(fmt.Errorf("the member has ended: %v %s", err, &said))
		done <- err
	}()
	return &handle{orders: orders, answers: json.NewDecoder(answers), abandon: func() { answers.Close() }, wait: func() error {
		select {
		case err := <-done:
			return err
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			return <-done
		}
	}}, nil
}

// ask gives an order and waits for the answer.
func (h *handle) ask(o order) (r report, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var a answer
	if err = json.NewEncoder(h.orders).Encode(o); err == nil {
		err = h.answers.Decode(&a)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		return r, fmt.Errorf("%s, %s: %w", h.nick, o.Do, err)
	}
	return a.Report, nil
}

// tell gives orders.
func (h *handle) tell(list ...order) error {
	for _, o := range list {
		if _, err := h.ask(o); err != nil {
			return err
		}
	}
	return nil
}

// end lets the member leave and waits for its end.
func (h *handle) end() error {
	h.abandon()
	h.orders.Close()
	return h.wait()
}

// tail keeps the last of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailLength = 2000

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-tailLength):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}

package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

// report is what a bridge tells the process that has started it, over a pipe: once, when it serves or knows that it cannot.
type report struct {
	Setup json.RawMessage `json:"setup,omitempty"`
	Error string          `json:"error,omitempty"`
}

const (
	reportKey     = "PARLEY_BRIDGE_REPORT" // in the environment: the number of the pipe's descriptor
	largestReport = 1 << 20
	toReport      = 10 * time.Second // for a bridge to say how it is set up
)

// Starter is the process that has started us, and waits to hear whether we serve. A nil Starter hears nothing.
type Starter struct{ pipe *os.File }

// TakeStarter returns who has started this process; nil if it does not wait to hear. It is called once.
func TakeStarter() *Starter {
	fd, err := strconv.Atoi(os.Getenv(reportKey))
	os.Unsetenv(reportKey)
	if err != nil || fd < 3 {
		return nil
	}
	syscall.CloseOnExec(fd)
	return &Starter{os.NewFile(uintptr(fd), "report")}
}

// Up says that the bridge serves, and what it has announced (see Home.Announce).
func (s *Starter) Up(setup json.RawMessage) { s.tell(report{Setup: setup}) }

// Refuse says why there will be no bridge, and reports that somebody heard it.
func (s *Starter) Refuse(err error) bool { return s.tell(report{Error: err.Error()}) }

func (s *Starter) tell(r report) bool {
	if s == nil {
		return false
	}
	defer s.pipe.Close()
	return json.NewEncoder(s.pipe).Encode(r) == nil
}

// errSilent says that a bridge has ended, or closed the pipe, without a word.
var errSilent = errors.New("it said nothing")

// hear waits for the report of a bridge that was started.
func hear(ctx context.Context, pipe *os.File) (json.RawMessage, error) {
	pipe.SetReadDeadline(time.Now().Add(toReport))
	defer context.AfterFunc(ctx, func() { pipe.SetReadDeadline(time.Unix(1, 0)) })()
	text, err := io.ReadAll(io.LimitReader(pipe, largestReport))
	var r report
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("it does not say that it serves: %w", err)
	case len(text) == 0:
		return nil, errSilent
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("its report: %w", err)
	}
	if r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return r.Setup, nil
}

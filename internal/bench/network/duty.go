package network

import (
	"context"
	"os"
	"syscall"
	"time"
)

// duty lets a process run for a part of the time alone, as one does whose processor others take, or which has used up its share.
// The zero value lets it run.
type duty struct{ Stopped, Running time.Duration }

// run holds a process of ours to it until ctx ends; then the process runs.
func (d duty) run(ctx context.Context, p *os.Process) error {
	if d.Stopped == 0 {
		return nil
	}
	defer p.Signal(syscall.SIGCONT)
	for ctx.Err() == nil {
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		time.Sleep(d.Stopped)
		if err := p.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		time.Sleep(d.Running)
	}
	return nil
}

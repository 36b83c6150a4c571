//go:build !linux

package netem

import "time"

// alarm is a sleep that can be cut short.
type alarm struct{ rung chan struct{} }

func newAlarm() (*alarm, error) { return &alarm{make(chan struct{}, 1)}, nil }

func (a *alarm) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-a.rung:
	case <-t.C:
	}
}

func (a *alarm) ring() {
	select {
	case a.rung <- struct{}{}:
	default:
	}
}

func (a *alarm) close() {}

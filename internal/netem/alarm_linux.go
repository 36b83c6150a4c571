package netem

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// alarm is a sleep that can be cut short: ppoll(2) on an eventfd, whose time the kernel keeps to its timer slack (50 µs),
// where the runtime's own timers may be a millisecond late.
type alarm struct {
	fd int

	mu     sync.Mutex // guards what follows
	closed bool
}

func newAlarm() (*alarm, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &alarm{fd: fd}, nil
}

// wait returns after d, or when it was rung since the last wait.
func (a *alarm) wait(d time.Duration) {
	fds := []unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}}
	t := unix.NsecToTimespec(int64(d))
	if n, _ := unix.Ppoll(fds, &t, nil); n > 0 {
		var count [8]byte
		unix.Read(a.fd, count[:])
	}
}

func (a *alarm) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		unix.Write(a.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (a *alarm) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.closed = true
		unix.Close(a.fd)
	}
}

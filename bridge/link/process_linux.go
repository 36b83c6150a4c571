package link

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// startOf returns when a process was started, in the kernel's ticks since the machine was (proc_pid_stat(5), field 22);
// 0 if there is none.
func startOf(pid int) uint64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
	fields := strings.Fields(rest) // from field 3
	if len(fields) < 20 || fields[0] == "Z" {
		return 0
	}
	start, _ := strconv.ParseUint(fields[19], 10, 64)
	return start
}

// process is one that runs, held by a descriptor, so that no other process of its number is ever meant (pidfd_open(2)).
type process struct {
	pid int
	fd  *os.File
}

// hold takes hold of a process that was started then; the error says that it is gone.
func hold(pid int, start uint64) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	unix.SetNonblock(fd, true) // PIDFD_NONBLOCK needs Linux 5.10, this 5.3
	p := &process{pid, os.NewFile(uintptr(fd), "pidfd")}
	if start == 0 || startOf(pid) != start {
		p.release()
		return nil, os.ErrProcessDone
	}
	return p, nil
}

func (p *process) release() { p.fd.Close() }

// wait returns nil when the process has ended, or the context's error.
func (p *process) wait(ctx context.Context) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	p.fd.SetReadDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { p.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	ended := false
	err = raw.Read(func(fd uintptr) bool {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		ended = n == 1
		return ended
	})
	if ended {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (p *process) signal(s unix.Signal) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), s, nil, 0) })
	if err != nil {
		return err
	}
	return sent
}

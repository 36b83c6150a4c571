package netem

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace without a name: it ends with the last process in it and the last descriptor of it, so
// that nothing stays behind, however this process ends. To look into one, enter it by a process that runs there
// (nsenter -t PID -n).
type Namespace struct{ file *os.File }

const ownNetwork = "/proc/thread-self/ns/net"

// NewNamespace makes a namespace, in which the loopback interface is up. It takes root.
func NewNamespace() (*Namespace, error) {
	n := new(Namespace)
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("netem: a network namespace takes root: %w", err)
		}
		var err error
		if n.file, err = os.Open(ownNetwork); err != nil {
			return err
		}
		return up("lo")
	})
	if err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// onThread calls f on a thread of its own, which comes back from whatever namespace f went into. Should it not, the thread
// ends; the first thread of a process cannot, and would keep that namespace.
func onThread(f func() error) error {
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(ownNetwork)
		if err != nil {
			failed <- err
			return
		}
		defer home.Close()
		err = f()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		failed <- err
	}()
	return <-failed
}

// Do calls f on a thread in the namespace: sockets that f opens, in its own goroutine, belong to it for good.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := n.enter(); err != nil {
			return err
		}
		return f()
	})
}

func (n *Namespace) enter() error {
	return os.NewSyscallError("setns", unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET))
}

// Listen opens a TCP listener in the namespace. What its connections send is governed by CUBIC (RFC 9438), whatever the
// machine has as its default.
func (n *Namespace) Listen(address string) (l net.Listener, err error) {
	governed := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) {
			set = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic")
		})
		return errors.Join(err, os.NewSyscallError("setsockopt", set))
	}}
	err = n.Do(func() (err error) {
		l, err = governed.Listen(context.Background(), "tcp4", address)
		return err
	})
	return l, err
}

// Dial connects by TCP from the namespace; the address is one of numbers.
func (n *Namespace) Dial(ctx context.Context, address string) (c net.Conn, err error) {
	err = n.Do(func() (err error) {
		var d net.Dialer
		c, err = d.DialContext(ctx, "tcp4", address)
		return err
	})
	return c, err
}

// Start starts a program in the namespace. The channel gets what the program's end is, once. The program is killed when
// this process ends.
func (n *Namespace) Start(cmd *exec.Cmd) (ended <-chan error, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started, end := make(chan error, 1), make(chan error, 1)
	go onThread(func() error { // the death signal comes when the thread ends that started the program
		err := n.enter()
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			end <- cmd.Wait()
		}
		return nil
	})
	return end, <-started
}

// Close lets go of the namespace.
func (n *Namespace) Close() error {
	if n.file == nil {
		return nil
	}
	return n.file.Close()
}

// up takes an interface of the thread's namespace into use.
func up(name string) error {
	return configure(name, func(fd int, r *unix.Ifreq) error {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
			return err
		}
		r.SetUint16(r.Uint16() | unix.IFF_UP | unix.IFF_RUNNING)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	})
}

// configure calls steps, each with a request for an interface (netdevice(7)).
func configure(name string, steps ...func(fd int, r *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	for _, step := range steps {
		r, e := unix.NewIfreq(name)
		if e == nil {
			e = step(fd, r)
		}
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("netem: interface %s: %w", name, err)
	}
	return nil
}

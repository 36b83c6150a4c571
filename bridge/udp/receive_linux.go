package udp

import (
	"encoding/binary"
	"net"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rounds is how many of what the kernel has joined are taken in one call.
const rounds = 16

// arrivals is what recvmmsg(2) fills in, and what is done with it.
type arrivals struct {
	r      *reader
	take   func(fd uintptr) bool // run
	failed error                 // why run has ended
	used   int                   // messages that the last call has filled in

	messages [rounds]struct {
		header unix.Msghdr
		n      uint32
	}
	vectors [rounds]unix.Iovec
	from    [rounds]sockaddr
	control [rounds]struct {
		_     [0]unix.Cmsghdr // for its alignment
		bytes [128]byte       // five messages of one number or two
	}
	bytes [rounds][1 << 16]byte

	overflow uint32 // the kernel's count, which wraps
}

// read takes what has arrived until there is nothing left, then waits. The handler runs while the connection is held by
// Read: an arrival in the meantime is remembered.
func (l *kernel) read(r *reader) error {
	if l.arrivals == nil {
		l.arrivals = newArrivals(r)
	}
	l.arrivals.failed = nil
	if err := l.raw.Read(l.arrivals.take); err != nil {
		return err
	}
	return l.arrivals.failed
}

func newArrivals(r *reader) *arrivals {
	a := &arrivals{r: r}
	a.take = a.run
	for i := range a.messages {
		a.vectors[i].Base = &a.bytes[i][0]
		a.vectors[i].SetLen(len(a.bytes[i]))
		h := &a.messages[i].header
		h.Name, h.Iov, h.Control = (*byte)(unsafe.Pointer(&a.from[i].raw)), &a.vectors[i], &a.control[i].bytes[0]
		h.SetIovlen(1)
	}
	a.used = rounds
	return a
}

// run takes what has arrived and reports that reading ends; otherwise it is called again when there is more. What is to be
// sent leaves when the kernel says that there is nothing left. That a call takes less than it could says it earlier, but
// while the first packet of a frame is handled the others come, and all leave together.
func (a *arrivals) run(fd uintptr) bool {
	began := time.Time{}
	for {
		n, errno := a.receive(fd)
		switch errno {
		case 0:
		case unix.EAGAIN:
			a.r.settle(true)
			return false
		case unix.EINTR:
			continue
		default:
			a.failed = errno
			return true
		}
		a.r.failures = 0
		a.hand(n)
		switch {
		case began.IsZero():
			began = a.r.b.Now
		case a.r.b.Now.Sub(began) >= overload: // it never runs dry
			began = a.r.b.Now
			a.r.settle(false)
			if a.r.shut.Load() {
				a.failed = net.ErrClosed
				return true
			}
			runtime.Gosched() // the runtime is told of none of these calls, and might not see that others have to run
		}
	}
}

// receive makes one system call, which does not wait, and returns how many messages came.
func (a *arrivals) receive(fd uintptr) (n int, errno unix.Errno) {
	for i := range a.used { // what the last call has filled in
		h := &a.messages[i].header
		h.Namelen = uint32(unsafe.Sizeof(a.from[i].raw))
		h.SetControllen(len(a.control[i].bytes))
	}
	a.used = 0
	// As for sendmsg, the runtime is not told.
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&a.messages[0])), rounds, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	a.used = int(got)
	return a.used, 0
}

// hand hands on n messages.
func (a *arrivals) hand(n int) {
	r := a.r
	r.b.Now = time.Now()
	var received, bytes uint64
	for i := range n {
		m := &a.messages[i]
		data := a.bytes[i][:m.n]
		size := a.notes(i)
		if m.header.Flags&unix.MSG_TRUNC != 0 || len(data) == 0 {
			continue // larger than IP can carry, or empty
		}
		if size <= 0 || size > len(data) {
			size = len(data)
		}
		received += uint64((len(data) + size - 1) / size)
		bytes += uint64(len(data))
		r.d.From = a.from[i].get()
		r.take(data, size)
	}
	r.counts.received.Add(received)
	r.counts.receivedBytes.Add(bytes)
	r.counts.joined.Add(uint64(n))
	r.counts.reads.Add(1)
}

// notes reads what the kernel has noted of message i: time and class go to r.d; the size of what was joined is returned, 0
// if it was not.
func (a *arrivals) notes(i int) (size int) {
	r := a.r
	r.d.At, r.d.Class = r.b.Now, 0
	m := &a.messages[i].header
	for rest := a.control[i].bytes[:m.Controllen]; len(rest) >= unix.SizeofCmsghdr; {
		h, data, after, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			break
		}
		rest = after
		switch {
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			size = int(binary.NativeEndian.Uint32(data))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			at := (*unix.Timespec)(unsafe.Pointer(&data[0]))
			r.d.At = before(r.b.Now, time.Unix(at.Unix()))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			count := binary.NativeEndian.Uint32(data)
			r.counts.overflow.Add(uint64(count - a.overflow))
			a.overflow = count
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			r.d.Class = data[0]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			r.d.Class = uint8(binary.NativeEndian.Uint32(data))
		}
	}
	return size
}

// before returns wall, a time of the wall clock, as a time with a monotonic reading that is not after now. A clock that
// was set in between makes it at most a second early.
func before(now, wall time.Time) time.Time {
	return now.Add(-min(max(now.Sub(wall), 0), time.Second))
}

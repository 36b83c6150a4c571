package mediapeer

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	rounds = 32   // datagrams taken in one call
	size   = 1600 // bytes of one
	joined = 1 << 16
)

// read takes what comes, several datagrams in one call (recvmmsg(2)), until the socket is closed.
func (p *Peer) read() {
	defer close(p.done)
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return
	}
	room := size
	if p.options.GRO {
		room = joined
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		if p.options.GRO {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
		}
	})
	var messages [rounds]struct {
		header unix.Msghdr
		n      uint32
	}
	var vectors [rounds]unix.Iovec
	var control [rounds][64]byte
	bytes := make([]byte, rounds*room)
	for i := range messages {
		vectors[i].Base = &bytes[i*room]
		vectors[i].SetLen(room)
		messages[i].header.Iov = &vectors[i]
		messages[i].header.SetIovlen(1)
		messages[i].header.Control = &control[i][0]
	}
	raw.Read(func(fd uintptr) bool {
		for {
			for i := range messages {
				messages[i].header.SetControllen(len(control[i]))
			}
			n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&messages[0])), rounds, unix.MSG_DONTWAIT, 0, 0)
			if errno == unix.EINTR || errno == unix.ECONNREFUSED {
				continue
			}
			if errno != 0 {
				return errno != unix.EAGAIN
			}
			p.mu.Lock()
			p.count.Reads++
			for i := range int(n) {
				b := bytes[i*room:][:messages[i].n]
				at, segment := notes(control[i][:messages[i].header.Controllen])
				if segment <= 0 {
					segment = len(b)
				}
				for len(b) > 0 {
					k := min(segment, len(b))
					p.take(b[:k:k], at)
					b = b[k:]
				}
			}
			p.mu.Unlock()
			if int(n) < rounds {
				return false
			}
		}
	})
}

// notes reads what the kernel says of a message: when it had it, and the size of what it joined.
func notes(b []byte) (at time.Time, segment int) {
	for len(b) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			break
		}
		b = rest
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			at = time.Unix((*unix.Timespec)(unsafe.Pointer(&data[0])).Unix())
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(binary.NativeEndian.Uint32(data))
		}
	}
	if at.IsZero() {
		at = time.Now()
	}
	return at, segment
}

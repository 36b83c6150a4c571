package udp

import (
	"math"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelPath is the way to one receiver. The writer's lock guards it.
type kernelPath struct {
	link  *kernel
	to    sockaddr
	limit int // bytes of the largest datagram that the kernel cuts for this receiver
}

func (l *kernel) path(to netip.AddrPort) path {
	p := &kernelPath{link: l, limit: math.MaxUint16}
	p.to.set(to, l.six)
	return p
}

func (p *kernelPath) send(w *waiting) { w.call.send(p.link, &p.to, &p.limit, w.n) }

func (l *kernel) send(packet []byte, to netip.AddrPort) {
	w := memory.Get().(*waiting)
	w.one(packet)
	w.call.own.set(to, l.six)
	w.call.send(l, &w.call.own, nil, 1)
	w.free()
}

// call is a call of sendmsg(2), made ready once and filled in for each group.
type call struct {
	w    *waiting
	run  func(fd uintptr)
	link *kernel
	to   *sockaddr
	cut  *int     // kernelPath.limit; nil: one datagram
	own  sockaddr // for a datagram without a writer

	header  unix.Msghdr
	vectors [most]unix.Iovec
	control struct {
		unix.Cmsghdr
		size uint16
		_    [6]byte
	}

	packets, bytes, sends, dropped, failed, fallbacks uint64 // of this flush
}

func (c *call) prepare(w *waiting) {
	c.w = w
	c.run = c.flush
	c.control.Level, c.control.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	c.control.SetLen(unix.CmsgLen(2))
}

// send sends the n datagrams that wait. The socket is held against closing, not against other goroutines that send.
func (c *call) send(l *kernel, to *sockaddr, cut *int, n int) {
	c.link, c.to, c.cut = l, to, cut
	if l.raw.Control(c.run) != nil {
		c.failed += uint64(n)
	}
	count := &l.counts
	count.packets.Add(c.packets)
	count.bytes.Add(c.bytes)
	count.sends.Add(c.sends)
	if c.dropped|c.failed|c.fallbacks != 0 {
		count.dropped.Add(c.dropped)
		count.failed.Add(c.failed)
		count.fallbacks.Add(c.fallbacks)
	}
	c.packets, c.bytes, c.sends, c.dropped, c.failed, c.fallbacks = 0, 0, 0, 0, 0, 0
	c.link, c.to, c.cut = nil, nil, nil
}

// flush sends group after group.
func (c *call) flush(fd uintptr) {
	w := c.w
	limit := 0
	if c.cut != nil && c.link.gso.Load() {
		limit = *c.cut
	}
	w.plan.make(w.sizes[:w.n], w.streams[:w.n], limit)
	for k := range w.plan.n {
		g := &w.plan.groups[k]
		errno := c.group(fd, g)
		if g.count > 1 && (errno == unix.EIO || errno == unix.EINVAL || errno == unix.EMSGSIZE) {
			c.fallbacks++
			c.refused(errno, g.size)
			c.singly(fd, g)
			continue
		}
		c.count(errno, g.count, g.bytes)
	}
}

// refused remembers that the kernel did not cut datagrams of size bytes. EIO is about the socket: its device has no
// checksums, or the route is encrypted. The others are about size: the receiver's path takes no datagrams as large, which
// must not end groups for everybody else.
func (c *call) refused(errno unix.Errno, size int) {
	if errno == unix.EIO {
		c.link.gso.Store(false)
		return
	}
	*c.cut = min(*c.cut, size-1)
}

// count notes what came of a call. Drop rule: what the send buffer has no room for is lost; newer datagrams are worth more
// than older ones that come late, and the receiver asks again for what it needs.
func (c *call) count(errno unix.Errno, packets, bytes int) {
	switch errno {
	case 0:
		c.packets += uint64(packets)
		c.bytes += uint64(bytes)
		c.sends++
	case unix.EAGAIN, unix.ENOBUFS:
		c.dropped += uint64(packets)
	default:
		c.failed += uint64(packets)
	}
}

// group sends the datagrams of a group in one call.
func (c *call) group(fd uintptr, g *group) unix.Errno {
	w := c.w
	n, end := 0, -1 // vectors; where the last of them ends in w.bytes
	for i := g.first; ; i = w.plan.next[i] {
		start, size := int(w.starts[i]), int(w.sizes[i])
		if start == end {
			v := &c.vectors[n-1]
			v.SetLen(int(v.Len) + size)
		} else {
			c.vectors[n].Base = &w.bytes[start]
			c.vectors[n].SetLen(size)
			n++
		}
		if end = start + size; i == g.last {
			break
		}
	}
	c.aim(n)
	if g.count > 1 {
		c.control.size = uint16(g.size)
		c.header.Control = (*byte)(unsafe.Pointer(&c.control))
		c.header.SetControllen(unix.CmsgSpace(2))
	}
	return c.link.sendmsg(fd, &c.header)
}

// singly sends the datagrams of a group one by one.
func (c *call) singly(fd uintptr, g *group) {
	w := c.w
	for i := g.first; ; i = w.plan.next[i] {
		c.vectors[0].Base = &w.bytes[w.starts[i]]
		c.vectors[0].SetLen(int(w.sizes[i]))
		c.aim(1)
		c.count(c.link.sendmsg(fd, &c.header), 1, int(w.sizes[i]))
		if i == g.last {
			return
		}
	}
}

// aim fills in the header for n vectors.
func (c *call) aim(n int) {
	c.header = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&c.to.raw)), Namelen: c.to.size, Iov: &c.vectors[0]}
	c.header.SetIovlen(n)
}

// sendmsg is the system call. The one of package unix takes memory for each call. The runtime is not told of it: it does not
// wait, and each call that the runtime is told of after a pause wakes the thread that watches over such calls, which cost a
// fifth of the bridge's time.
func sendmsg(fd uintptr, h *unix.Msghdr) unix.Errno {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(h)), unix.MSG_DONTWAIT)
		if errno != unix.EINTR {
			return errno
		}
	}
}

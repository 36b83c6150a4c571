package link

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sameOwner checks that the other end of a Unix socket is a process of our own user (hardening HB12).
func sameOwner(u *net.UnixConn) error { return ownedBy(u, os.Geteuid()) }

func ownedBy(u *net.UnixConn, uid int) error {
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) { cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if asked != nil {
		return asked
	}
	if cred.Uid != uint32(uid) {
		return fmt.Errorf("link: the peer is user %d", cred.Uid)
	}
	return nil
}

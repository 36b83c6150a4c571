package journal

import (
	"os"
	"syscall"
)

// allocate makes a file at least that long and has the file system set the room aside.
func allocate(f *os.File, size int64) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if err == syscall.EOPNOTSUPP {
		return f.Truncate(size)
	}
	return err
}

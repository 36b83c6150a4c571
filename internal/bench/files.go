package bench

import "syscall"

// RaiseFiles lifts the limit of open files of this process, and so of the servers that it starts, to at least n where
// it may, and returns what it got. A load test of 10,000 sessions needs as many descriptors on each side.
//
// The syscall package is used on purpose: a limit set through it is also what children get.
func RaiseFiles(n uint64) (uint64, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	wish := syscall.Rlimit{Cur: max(n, l.Max), Max: max(n, l.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wish) == nil {
		return wish.Cur, nil
	}
	wish = syscall.Rlimit{Cur: l.Max, Max: l.Max} // lifting the hard limit needs CAP_SYS_RESOURCE
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wish); err != nil {
		return l.Cur, err
	}
	return wish.Cur, nil
}

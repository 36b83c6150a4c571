// Package bench holds what the load generators share: what a server's processes have used (read from /proc), the
// starting of servers to compare with, medians and tables. It does nothing to a server but start it, look at it and
// stop it by its process id.
package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on (proc(5), sysconf(3)).
const tick = 10 * time.Millisecond

// CPU is processor time of a process and its descendants, those that have ended and been waited for included.
type CPU struct{ User, Sys time.Duration }

// Total is user and system time.
func (c CPU) Total() time.Duration { return c.User + c.Sys }

// Sub returns what was used since an earlier reading.
func (c CPU) Sub(earlier CPU) CPU { return CPU{c.User - earlier.User, c.Sys - earlier.Sys} }

// stat is what the generators need of /proc/PID/stat (proc(5)).
type stat struct {
	parent int
	cpu    CPU
}

var errStat = errors.New("bench: unexpected form of /proc/PID/stat")

// parseStat reads a line of /proc/PID/stat. The name of the program is in parentheses and may hold anything, so the
// fields are counted from the last parenthesis.
func parseStat(b []byte) (stat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return stat{}, errStat
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 15 { // state ppid ... utime(14) stime(15) cutime(16) cstime(17); state is field 3
		return stat{}, errStat
	}
	var n [5]int64
	for i, field := range []int{4, 14, 15, 16, 17} {
		v, err := strconv.ParseInt(f[field-3], 10, 64)
		if err != nil {
			return stat{}, errStat
		}
		n[i] = v
	}
	return stat{int(n[0]), CPU{time.Duration(n[1]+n[3]) * tick, time.Duration(n[2]+n[4]) * tick}}, nil
}

// family returns the process and all its living descendants with their stat.
func family(pid int) (map[int]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := make(map[int]stat)
	children := make(map[int][]int)
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended meanwhile
		}
		st, err := parseStat(b)
		if err != nil {
			return nil, err
		}
		all[p] = st
		children[st.parent] = append(children[st.parent], p)
	}
	if _, ok := all[pid]; !ok {
		return nil, fmt.Errorf("bench: process %d has ended", pid)
	}
	out := make(map[int]stat)
	for todo := []int{pid}; len(todo) > 0; {
		p := todo[0]
		todo = todo[1:]
		out[p] = all[p]
		todo = append(todo, children[p]...)
	}
	return out, nil
}

// ReadCPU returns what the process and its descendants have used so far, to 10 ms.
func ReadCPU(pid int) (CPU, error) {
	f, err := family(pid)
	if err != nil {
		return CPU{}, err
	}
	var sum CPU
	for _, st := range f {
		sum.User += st.cpu.User
		sum.Sys += st.cpu.Sys
	}
	return sum, nil
}

// Memory is what a process and its descendants hold: resident bytes and open file descriptors.
type Memory struct {
	RSS int64
	FDs int
}

// ReadMemory reads /proc/PID/smaps_rollup and counts /proc/PID/fd.
func ReadMemory(pid int) (Memory, error) {
	f, err := family(pid)
	if err != nil {
		return Memory{}, err
	}
	var sum Memory
	for p := range f {
		dir := "/proc/" + strconv.Itoa(p)
		b, err := os.ReadFile(dir + "/smaps_rollup")
		if err != nil {
			if p == pid {
				return Memory{}, err
			}
			continue
		}
		kb, err := parseRollup(b)
		if err != nil {
			return Memory{}, err
		}
		sum.RSS += kb << 10
		fds, err := os.ReadDir(dir + "/fd")
		if err != nil {
			return Memory{}, err
		}
		sum.FDs += len(fds)
	}
	return sum, nil
}

func parseRollup(b []byte) (kb int64, err error) {
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Rss:" && f[2] == "kB" {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, errors.New("bench: no Rss in smaps_rollup")
}

// Median returns the middle value, or the mean of the two middle ones; 0 of nothing.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	m := len(v) / 2
	if len(v)%2 == 1 {
		return v[m]
	}
	return (v[m-1] + v[m]) / 2
}

// Percentile returns the value below which the share p (0 to 1) of the values lies; 0 of nothing.
func Percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	return v[min(len(v)-1, int(p*float64(len(v))))]
}

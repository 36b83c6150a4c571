package peertest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// SetClock has the wall clock of the server and its bridge be wrong by so much, to the second, from now on, as if somebody had set the
// machine's. The monotonic clock goes on as it did. Where the machine does not let that be done the test is skipped.
//
// Go asks the kernel for the time through the function clock_gettime of the shared object that the kernel maps into each
// process (vdso(7)). SetClock puts another one in its place, which makes the system call of that name and adds to its answer.
func (p *Parley) SetClock(wrong time.Duration) {
	p.T.Helper()
	for _, pid := range []int{p.PID, p.Bridge()} {
		if pid == 0 {
			continue
		}
		if err := setClock(pid, wrong); err != nil {
			p.T.Skipf("clock of process %d: %v", pid, err)
		}
	}
}

// clockCode is clock_gettime(rdi, rsi): the system call, then, for CLOCK_REALTIME, the number of seconds at the end is added.
//
//	mov eax, 228; syscall; test edi, edi; jnz out; mov rcx, [rip+6]; add [rsi], rcx; out: ret
var clockCode = []byte{0xb8, 228, 0, 0, 0, 0x0f, 0x05, 0x85, 0xff, 0x75, 0x0a, 0x48, 0x8b, 0x0d, 6, 0, 0, 0, 0x48, 0x01, 0x0e, 0xc3, 0x90, 0x90}

func setClock(pid int, wrong time.Duration) error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return errors.New("it can be set on Linux on amd64 only")
	}
	proc := fmt.Sprintf("/proc/%d", pid)
	maps, err := os.ReadFile(proc + "/maps")
	if err != nil {
		return err
	}
	var low, high uint64
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(line, "[vdso]\n") {
			if _, err := fmt.Sscanf(line, "%x-%x", &low, &high); err != nil {
				return err
			}
		}
	}
	mem, err := os.OpenFile(proc+"/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	image := make([]byte, high-low) // none: no object is mapped, and what follows says so
	if _, err := mem.ReadAt(image, int64(low)); err != nil {
		return err
	}
	object, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return err
	}
	symbols, err := object.DynamicSymbols()
	if err != nil {
		return err
	}
	code := binary.LittleEndian.AppendUint64(bytes.Clone(clockCode), uint64(int64(wrong/time.Second)))
	for _, s := range symbols {
		if s.Name != "__vdso_clock_gettime" {
			continue
		}
		if s.Size < uint64(len(code)) || s.Value+s.Size > uint64(len(image)) {
			return fmt.Errorf("the function has %d bytes", s.Size)
		}
		at := low + s.Value
		if bytes.HasPrefix(image[s.Value:], clockCode) { // put there before
			_, err = mem.WriteAt(code[len(clockCode):], int64(at)+int64(len(clockCode)))
			return err
		}
		return whileNobodyIsIn(pid, at, at+s.Size, func() error {
			_, err := mem.WriteAt(code, int64(at))
			return err
		})
	}
	return errors.New("the kernel maps no such function")
}

// whileNobodyIsIn stops the process at a moment at which none of its threads is in a piece of code, and does something.
func whileNobodyIsIn(pid int, low, high uint64, do func() error) error {
	for range 1000 {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return err
		}
		free, err := nobodyIn(pid, low, high)
		if free && err == nil {
			err = do()
		}
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			return err
		}
		if free || err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("the process reads its clock all the time")
}

// nobodyIn reports that all threads have stopped, and where they have none is in the code.
func nobodyIn(pid int, low, high uint64) (bool, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return false, err
	}
	for _, thread := range threads {
		for begin := time.Now(); ; time.Sleep(time.Millisecond) {
			stat, err := os.ReadFile(thread + "/stat")
			if err != nil {
				return false, err
			}
			if _, rest, _ := bytes.Cut(stat, []byte(") ")); rest[0] == 'T' {
				break
			}
			if time.Since(begin) > Patience {
				return false, fmt.Errorf("a thread does not stop: %s", stat)
			}
		}
		// "running", or the number of a system call or -1, its arguments, and, last, where the thread's stack and code are.
		where, err := os.ReadFile(thread + "/syscall")
		if err != nil {
			return false, err
		}
		fields := strings.Fields(string(where))
		pc, err := strconv.ParseUint(fields[len(fields)-1], 0, 64)
		if err != nil || low <= pc && pc < high {
			return false, nil // it was on its way
		}
	}
	return true, nil
}

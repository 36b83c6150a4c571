package peertest

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// Main runs the tests of a package around what start starts, which lives as long as they do: its TB is that of the whole
// package. It ends the process.
func Main(m *testing.M, start func(t testing.TB)) {
	whole := new(packageTB)
	code := 1
	func() {
		defer whole.end()
		done := make(chan struct{})
		go func() { // Fatal ends this goroutine, as in a test
			defer close(done)
			start(whole)
			whole.started = true
		}()
		<-done
		if whole.started {
			code = m.Run()
		}
	}()
	if whole.failed && code == 0 {
		code = 1
	}
	os.Exit(code)
}

// packageTB is a testing.TB outside of a test.
type packageTB struct {
	testing.TB
	started, failed bool
	cleanups        []func()
}

func (p *packageTB) Helper()          {}
func (p *packageTB) Failed() bool     { return p.failed }
func (p *packageTB) Name() string     { return "package" }
func (p *packageTB) Cleanup(f func()) { p.cleanups = append(p.cleanups, f) }
func (p *packageTB) Log(args ...any)  { fmt.Println(args...) }
func (p *packageTB) Logf(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
}

func (p *packageTB) Error(args ...any) {
	p.failed = true
	p.Log(args...)
}

func (p *packageTB) Errorf(format string, args ...any) {
	p.failed = true
	p.Logf(format, args...)
}

func (p *packageTB) Fatal(args ...any) {
	p.Error(args...)
	runtime.Goexit()
}

func (p *packageTB) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}

// TempDir is removed at the end.
func (p *packageTB) TempDir() string {
	dir, err := os.MkdirTemp("", "parley-test-")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (p *packageTB) end() {
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
}

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"parley": main})
}

// TestScripts tells the behaviour of the commands: testdata/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// await FILE waits until the file is there, or with ! until it is not.
			"await": func(ts *testscript.TestScript, neg bool, args []string) {
				if len(args) != 1 {
					ts.Fatalf("usage: await file")
				}
				name := ts.MkAbs(args[0])
				for until := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
					if _, err := os.Stat(name); (err == nil) != neg {
						return
					}
					if time.Now().After(until) {
						ts.Fatalf("%s: waited in vain", filepath.Base(name))
					}
				}
			},
		},
	})
}

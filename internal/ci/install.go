package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// packages are Debian's names of what the tests talk to, with the file that shows that one is installed.
var packages = []struct{ name, file string }{
	{"gcc", "/usr/bin/gcc"},
	{"libc6-dev", "/usr/include/stdlib.h"},
	{"python3", "/usr/bin/python3"},
	{"nodejs", "/usr/bin/node"},
	{"npm", "/usr/bin/npm"},
	{"chromium", "/usr/bin/chromium"},
	{"postgresql", "/usr/share/postgresql-common"},
	{"prosody", "/usr/bin/prosody"},
	{"profanity", "/usr/bin/profanity"},
	{"python3-slixmpp", "/usr/lib/python3/dist-packages/slixmpp"},
	{"openssl", "/usr/bin/openssl"},
}

// install installs what is missing and returns what could not be.
func install() (missing []string) {
	var want []string
	for _, p := range packages {
		if _, err := os.Stat(p.file); err != nil {
			want = append(want, p.name)
		}
	}
	if len(want) > 0 {
		fmt.Println("==> installing", strings.Join(want, " "))
		if err := aptInstall(want); err != nil {
			fmt.Println("cannot install:", err)
		}
	}
	for _, p := range packages {
		if _, err := os.Stat(p.file); err != nil {
			missing = append(missing, "Debian package "+p.name)
		}
	}
	const browser = "internal/peertest/browser"
	if _, err := os.Stat(browser + "/node_modules/playwright-core"); err != nil {
		fmt.Println("==> npm ci in", browser)
		cmd := exec.Command("/usr/bin/npm", "ci", "--no-audit", "--no-fund")
		cmd.Dir = browser
		cmd.Env = append(os.Environ(), "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			missing = append(missing, "npm package playwright-core: "+err.Error())
		}
	}
	return missing
}

// aptInstall installs Debian packages without letting their services start.
func aptInstall(names []string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("not root; run: apt-get install %s", strings.Join(names, " "))
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return err
	}
	const policy = "/usr/sbin/policy-rc.d"
	if _, err := os.Stat(policy); err != nil {
		if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
			return err
		}
		defer os.Remove(policy)
	}
	env := []string{"DEBIAN_FRONTEND=noninteractive", "ERL_EPMD_ADDRESS=127.0.0.1"}
	if err := run(env, "apt-get", "-q", "update"); err != nil {
		return err
	}
	return run(env, "apt-get", append([]string{"-q", "-y", "--no-install-recommends", "install"}, names...)...)
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// packages are Debian's names of what the tests talk to, with a file (or a pattern of files) that shows that one is
// installed, by whomever.
var packages = []struct{ name, file string }{
	{"gcc", "/usr/bin/gcc"},
	{"libc6-dev", "/usr/include/stdlib.h"},
	{"python3", "/usr/bin/python3"},
	{"nodejs", "/usr/bin/node"},
	{"npm", "/usr/bin/npm"},
	{"chromium", "/usr/bin/chromium"},
	{"postgresql", "/usr/lib/postgresql/*/bin/initdb"},
	{"prosody", "/usr/bin/prosody"},
	{"ejabberd", "/usr/sbin/ejabberdctl"},
	{"profanity", "/usr/bin/profanity"},
	{"poezio", "/usr/bin/poezio"},
	{"tmux", "/usr/bin/tmux"},
	{"python3-slixmpp", "/usr/lib/python3/dist-packages/slixmpp"},
	{"python3-aiohttp", "/usr/lib/python3/dist-packages/aiohttp"},
	{"openssl", "/usr/bin/openssl"},
	{"coturn", "/usr/bin/turnserver"},
	{"haproxy", "/usr/sbin/haproxy"},
	{"buildah", "/usr/bin/buildah"},
	{"systemd", "/usr/bin/systemd-analyze"},
	{"firefox-esr", "/usr/bin/firefox-esr"},
	{"gajim", "/usr/bin/gajim"},
	{"ca-certificates", "/etc/ssl/certs/ca-certificates.crt"},
	{"xvfb", "/usr/bin/Xvfb"},
	{"dbus-daemon", "/usr/bin/dbus-run-session"},
	{"imagemagick", "/usr/bin/import"},
	{"dino-im", "/usr/bin/dino-im"},
	{"xdotool", "/usr/bin/xdotool"},
	{"xclip", "/usr/bin/xclip"},
	{"sqlite3", "/usr/bin/sqlite3"},
	{"iproute2", "/usr/sbin/ip"},
	{"pulseaudio", "/usr/bin/pulseaudio"},
	{"gstreamer1.0-plugins-good", "/usr/lib/*/gstreamer-1.0/libgstrtp.so"},
}

// absent are the packages that are not installed. Node.js from another repository brings its own npm, which Debian's
// package would conflict with; where both are there, nothing is asked for.
func absent() (names []string) {
	for _, p := range packages {
		if found, _ := filepath.Glob(p.file); len(found) == 0 {
			names = append(names, p.name)
		}
	}
	return names
}

const leastNode = 18

// node reports that Node.js is new enough for what drives the browser.
func node() error {
	out, err := exec.Command("/usr/bin/node", "--version").Output()
	if err != nil {
		return err
	}
	var major int
	if _, err := fmt.Sscanf(string(out), "v%d.", &major); err != nil || major < leastNode {
		return fmt.Errorf("version %s, and %d is needed", strings.TrimSpace(string(out)), leastNode)
	}
	return nil
}

// install installs what is missing and returns what could not be.
func install() (missing []string) {
	if want := absent(); len(want) > 0 {
		fmt.Println("==> installing", strings.Join(want, " "))
		if err := aptInstall(want); err != nil {
			fmt.Println("cannot install:", err)
		}
	}
	for _, name := range absent() {
		missing = append(missing, "Debian package "+name)
	}
	if err := node(); err != nil {
		return append(missing, "Node.js: "+err.Error())
	}
	const browser = "internal/peertest/browser"
	if !all(browser+"/node_modules/playwright-core", browser+"/node_modules/converse.js", browser+"/node_modules/strophe.js") {
		fmt.Println("==> npm ci in", browser)
		cmd := exec.Command("/usr/bin/npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		cmd.Dir = browser
		cmd.Env = append(os.Environ(), "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			missing = append(missing, "npm packages: "+err.Error())
		}
	}
	return missing
}

// all reports that these files are there.
func all(paths ...string) bool {
	for _, p := range paths {
		if _, err := os.Stat(p); err != nil {
			return false
		}
	}
	return true
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
	get := func(names ...string) error {
		return run(env, "apt-get", append([]string{"-q", "-y", "--no-install-recommends", "install"}, names...)...)
	}
	if get(names...) == nil {
		return nil
	}
	var errs []error // one that conflicts keeps no other away
	for _, name := range names {
		if err := get(name); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

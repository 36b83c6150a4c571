package network

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/bridge/api"
	"parley/internal/netem"
	"parley/internal/peertest"
	"parley/internal/peertest/need"
)

// rooted skips the test unless PARLEY_PEERS wants network namespaces, which take root.
func rooted(t *testing.T) {
	t.Helper()
	if !need.Required("tun") {
		t.Skip("PARLEY_PEERS=tun runs this test, as root")
	}
	n, err := netem.NewNamespace()
	if err == nil {
		n.Close()
		_, err = os.Stat("/dev/net/tun")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// measured runs cases for a few seconds and returns what was measured.
func measured(t *testing.T, o Options) (bouts []bout, table string) {
	t.Helper()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	binary := peertest.Built(t) // before the folder is another: it is kept for other tests
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	o.self, o.Binary = binary, []string{"this=" + binary}
	o.Duration, o.Warm, o.Senders, o.Codec, o.Rounds, o.Queue = 3*time.Second, time.Second, 2, "VP8", 1, 300*milli
	o.JSON, o.Plots = filepath.Join(dir, "out.json"), filepath.Join(dir, "plots")
	var out, progress bytes.Buffer
	o.Progress = &progress
	if err := Run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	t.Logf("%s%s", &progress, &out)
	text, err := os.ReadFile(o.JSON)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var b bout
		if err := json.Unmarshal([]byte(line), &b); err != nil {
			t.Fatal(err)
		}
		bouts = append(bouts, b)
		svg, err := os.ReadFile(filepath.Join(o.Plots, b.Case+"-this-1.svg"))
		if err != nil || xml.Unmarshal(svg, new(struct{})) != nil {
			t.Errorf("no drawing of %s: %v", b.Case, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "parley-bench-network-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if len(bouts) != len(o.Cases) {
		t.Fatalf("%d of %d measurements", len(bouts), len(o.Cases))
	}
	return bouts, out.String()
}

// check holds a measurement to what any server must do, however well it does: voice and some bytes come.
func check(t *testing.T, b bout, receivers int) {
	t.Helper()
	if b.Use <= 0.02 || b.Use > 1.6 || b.Queue < 0 || b.Queue > 310 || b.Audio < 0.02 || b.Audio > 1 || b.FPS < 0 || b.FPS > 2*frameRate || len(b.Rates) != receivers || len(b.Reports) != receivers {
		t.Errorf("%+v", b)
	}
	for i, r := range b.Reports {
		voices := 0
		for _, s := range r.Sources {
			if s.Audio && s.Played > 0 {
				voices++
			}
		}
		if voices != 2 || b.Rates[i] < 50 {
			t.Errorf("%s: receiver %d hears %d of 2, at %.0f kbit/s", b.Case, i+1, voices, b.Rates[i])
		}
	}
}

func TestARunOverRelays(t *testing.T) {
	bouts, table := measured(t, Options{Cases: []string{"loss-5", "5.3", "uplink"}, Bystander: true})
	for _, b := range bouts {
		check(t, b, 1)
	}
	if b := bouts[0]; b.Others.FPS == 0 || b.Others.Delay <= 0 || b.Others.Audio < 0.5 || !strings.Contains(table, "others fps") {
		t.Errorf("the bystander: %+v", b.Others)
	}
	if b := bouts[0]; b.Nacked == 0 || b.Repairs == 0 || b.Keyed == 0 || b.FPS == 0 {
		t.Errorf("5 %% of loss, and nothing is asked for again: %+v", b)
	}
	for _, part := range []string{"Over relays on loopback; 2 senders", "| loss-5 5 % lost", "| this |"} {
		if !strings.Contains(strings.Join(strings.Fields(table), " "), part) {
			t.Errorf("no %q in\n%s", part, table)
		}
	}
}

// A bridge that gets too little time says so, and a relay that drops what it is sent. On a machine that is too busy the bridge may say
// so before it is stopped on purpose.
func TestFaultsOfTheServerAreNamed(t *testing.T) {
	for _, name := range []string{"fault-bridge", "fault-relay"} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			binary := peertest.Built(t)
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			o := Options{Cases: []string{name}, Senders: 2, Codec: "VP8", Queue: 300 * milli, Warm: time.Second, JSON: filepath.Join(dir, "out.json"), self: binary, Binary: []string{"this=" + binary}}
			var out, progress bytes.Buffer
			o.Progress = &progress
			err := Run(t.Context(), o, &out)
			t.Logf("%s%s", &progress, &out)
			if err != nil {
				if text := err.Error(); !strings.Contains(text, errSuffers.Error()) || !strings.Contains(text, api.Machine) {
					t.Fatal(err)
				}
				return
			}
			text, err := os.ReadFile(o.JSON)
			if err != nil {
				t.Fatal(err)
			}
			var f finding
			if err := json.Unmarshal(text, &f); err != nil || f.Fault != name || f.Build != "this" || f.Named == 0 && !busy(&f) {
				t.Errorf("%v: %s", err, text)
			}
			for _, part := range []string{"2 members who send and receive", "| " + name + " " + chosenFaults(name)[0].Title + " | this | "} {
				if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), part) {
					t.Errorf("no %q in\n%s", part, &out)
				}
			}
		})
	}
}

// busy reports that the bridge has said that it gets too little time, while something else was seeded.
func busy(f *finding) bool {
	return f.Fault != "fault-bridge" && slices.Contains(f.Beside, sick+": "+api.Machine)
}

func TestARunOverTUN(t *testing.T) {
	rooted(t)
	bouts, _ := measured(t, Options{Cases: []string{"5.6", "5.4"}, TUN: true})
	check(t, bouts[0], 1)
	check(t, bouts[1], 3)
	if b := bouts[0]; b.TCP <= 0 || b.TCP >= 1 || b.Jain < 0.5 || b.Use < 0.5 {
		t.Errorf("against TCP: %+v", b)
	}
}

// What a browser receives is in the same figures.
func TestAChromiumReceives(t *testing.T) {
	rooted(t)
	if !need.Required("chromium") {
		t.Skip("PARLEY_PEERS=tun,chromium runs this test")
	}
	script, err := filepath.Abs("../../peertest/browser/member.mjs")
	if err != nil {
		t.Fatal(err)
	}
	bouts, _ := measured(t, Options{Cases: []string{"loss-5"}, TUN: true, Chromium: script})
	check(t, bouts[0], 1)
	if b := bouts[0]; b.FPS < 5 || b.Audio < 0.5 || b.Nacked == 0 {
		t.Errorf("%+v", b)
	}
}

// Whatever ends the command ends all that it started.
func TestASignalEndsEverything(t *testing.T) {
	for name, c := range map[string]struct {
		signal syscall.Signal
		tun    bool
	}{
		"relays, terminated": {syscall.SIGTERM, false},
		"TUN, interrupted":   {syscall.SIGINT, true},
		"TUN, killed":        {syscall.SIGKILL, true},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"bench", "network", "--cases", "300kbit", "--duration", "60s", "--senders", "1"}
			if c.tun {
				rooted(t)
				args = append(args, "--tun")
			}
			cmd := exec.Command(peertest.Built(t), args...)
			cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			want := 1 // the server
			if c.tun {
				want = 3
			}
			var family []int
			for until := time.Now().Add(30 * time.Second); len(family) < want; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatalf("%d processes", len(family))
				}
				family = children(cmd.Process.Pid)
			}
			time.Sleep(time.Second)
			cmd.Process.Signal(c.signal)
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case err := <-ended:
				if err == nil {
					t.Error("it ended as if it had measured something")
				}
			case <-time.After(40 * time.Second):
				cmd.Process.Kill()
				t.Fatalf("it does not end: %v\n%s", <-ended, &said)
			}
			for until := time.Now().Add(10 * time.Second); slices.ContainsFunc(family, alive); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatalf("of %v some are left", family)
				}
			}
		})
	}
}

// children are the processes that a process has started.
func children(pid int) (all []int) {
	lists, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	for _, name := range lists {
		text, _ := os.ReadFile(name)
		for field := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(field); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}

// alive reports that a process runs; one that has ended and that nobody has waited for does not.
func alive(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

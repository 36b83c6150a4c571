// Package jitsi lets the unmodified Jitsi client, lib-jitsi-meet in Chromium, meet at the binary. The client cannot be had
// by name, so the environment variable LJM_JS says where the file is that a Jitsi Meet installation serves as
// /libs/lib-jitsi-meet.min.js.
package jitsi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"parley/internal/peertest"
)

// drive runs clients in a room and returns the summary; the expectations are in the driver's words.
func drive(t *testing.T, server *peertest.Parley, args ...string) map[string]any {
	t.Helper()
	return script(t, server, "testdata/run.mjs", args...)
}

// script runs clients by a script and returns its summary.
func script(t *testing.T, server *peertest.Parley, file string, args ...string) map[string]any {
	t.Helper()
	lib, err := filepath.Abs(os.Getenv("LJM_JS"))
	if err != nil {
		t.Fatal(err)
	}
	playwright, err := filepath.Abs("../../peertest/browser")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, peertest.Need(t, "node"), append([]string{
		file, "--lib", lib, "--playwright", playwright, "--chromium", peertest.Need(t, "chromium"),
		"--url", "ws://" + server.HTTP + "/xmpp-websocket", "--domain", "localhost", "--muc", "muc.localhost",
	}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	var summary map[string]any
	json.Unmarshal(lines[len(lines)-1], &summary)
	if err != nil {
		t.Fatalf("%v, failed: %v\n%s\n%s", err, summary["failed"], out.Bytes(), errs.Bytes())
	}
	return summary
}

func need(t *testing.T) {
	t.Helper()
	if os.Getenv("LJM_JS") == "" {
		t.Skip("LJM_JS does not name a lib-jitsi-meet.min.js; make jitsi LJM_JS=FILE runs this test")
	}
}

// TestJitsiClientsTalk: two clients join, negotiate with each other, and decode the other's picture and sound.
func TestJitsiClientsTalk(t *testing.T) {
	need(t)
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	s := drive(t, server, "--room", "talk", "--clients", "2", "--p2p", "--duration", "25", "--do", "12:0:say('hello')",
		"--expect", "allJoined", "--expect", "minDecoded>100", "--expect", "remoteVideos==1", "--expect", "remoteAudios==1",
		"--expect", "seen['session-active']>=2", "--expect", "seen['chat']>=1")
	t.Logf("frames decoded: %v, audio packets: %v", s["minDecoded"], s["audioPackets"])
}

// TestJitsiClientResumes: a client whose socket is cut comes back to its session, and nobody sees it leave.
func TestJitsiClientResumes(t *testing.T) {
	need(t)
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	drive(t, server, "--room", "resume", "--clients", "2", "--p2p", "--duration", "30", "--do", "10:0:dropSocket()", "--do", "20:0:say('back')",
		"--expect", "allJoined", "--expect", "minDecoded>100", "--expect", "seen['chat']>=1", "--expect", "!seen['connection-failed']")
}

// TestJitsiClientsOnTheBridge: two clients that do not negotiate with each other, then three, the last of them late and all
// of them leaving p2p for it; with signalled sources and with rewritten ones.
func TestJitsiClientsOnTheBridge(t *testing.T) {
	need(t)
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	for name, args := range map[string][]string{
		"two":                  {"--clients", "2", "--expect", "remoteAudios==1", "--expect", "remoteVideos==1"},
		"three, two were p2p":  {"--clients", "3", "--p2p", "--stagger", "3000", "--expect", "remoteAudios==2", "--expect", "remoteVideos==2"},
		"three, rewritten":     {"--clients", "3", "--ssrc-rewriting", "--expect", "remoteAudios==2", "--expect", "remoteVideos==2"},
		"three, rewritten mid": {"--clients", "3", "--ssrc-rewriting", "--mid-demux", "--expect", "remoteAudios==2", "--expect", "remoteVideos==2"},
	} {
		t.Run(name, func(t *testing.T) {
			drive(t, server, append(args, "--room", "bridge", "--one-browser", "--duration", "25", "--expect", "allJoined", "--expect", "minDecoded>50", "--expect", "seen['bridge-channel-open']>=2")...)
		})
	}
}

// TestJitsiMeetings plays testdata/meeting.mjs with each codec, RUNS times: two on the bridge, a late third, layers, what nobody
// sees, who speaks, a second video, mute, leaving; then from p2p to the bridge and back. In each run another client has the
// sources signalled, rewritten, and rewritten with mids.
func TestJitsiMeetings(t *testing.T) {
	need(t)
	runs, err := strconv.Atoi(os.Getenv("RUNS"))
	if err != nil {
		t.Skip("make jitsi-bridge LJM_JS=FILE RUNS=1 runs this test")
	}
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	for run := range runs {
		for _, codec := range []string{"av1", "vp9", "vp8", "h264"} {
			t.Run(fmt.Sprint(codec, " ", run+1), func(t *testing.T) {
				s := script(t, server, "testdata/meeting.mjs", "--codec", codec, "--turn", strconv.Itoa(run), "--room", fmt.Sprint(codec, run))
				t.Logf("%v expectations in %v s", s["expectations"], s["seconds"])
			})
		}
	}
}

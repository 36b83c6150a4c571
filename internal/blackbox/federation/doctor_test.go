package federation

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestDoctorOnTheWayToProsody has the doctor look at domains of Debian's Prosody, which it finds in the DNS, and sees each
// step that an administrator has to know of.
func TestDoctorOnTheWayToProsody(t *testing.T) {
	makeAuthority(t)
	places(t)
	peer := newProsody(t)
	peer.writeProsody()
	peer.start()
	us := ours(t, open, "", true)
	dns := serveDNS(t, true)
	// The server that runs has it in its configuration where the others are; the doctor looks them up.
	config := filepath.Join(t.TempDir(), "doctor.toml")
	cert := certificateOf(t, us.Args()[3])
	write(t, config, "domain = "+strconv.Quote(open)+"\n[tls]\n"+cert+"\n[federation]\nnetworks = [\"127.0.0.0/8\"]\nroots = "+strconv.Quote(ca.file)+"\n")

	type step struct{ Level, Step, Text string }
	look := func(t *testing.T, domain string) (map[string]step, error) {
		t.Helper()
		out, err := exec.Command(us.Path, "doctor", "s2s", domain, "--json", "--data", us.Data, "--config", config, "--dns", dns).Output()
		var list []step
		if e := json.Unmarshal(out, &list); e != nil {
			t.Fatalf("%s: %v: %s", domain, e, out)
		}
		steps := make(map[string]step)
		for _, s := range list {
			steps[s.Step] = s
		}
		return steps, err
	}
	want := func(t *testing.T, steps map[string]step, name, level, text string) {
		t.Helper()
		if s := steps[name]; s.Level != level || !strings.Contains(s.Text, text) {
			t.Errorf("%s: %+v, want %s %q", name, s, level, text)
		}
	}
	for kind, c := range map[string]struct{ level, text string }{
		"good":    {"ok", "for good.prosody.test, muc.good.prosody.test, by CN=Test Authority"},
		"expired": {"note", "has expired"},
		"wrong":   {"note", "the certificate is not one for wrong.prosody.test"},
		"alone":   {"note", "unknown authority"},
	} {
		t.Run(kind, func(t *testing.T) {
			steps, err := look(t, peer.domain(kind))
			if err != nil {
				t.Errorf("%v: %+v", err, steps)
			}
			want(t, steps, "resolve", "ok", at[peer.domain(kind)]+" (STARTTLS)")
			want(t, steps, "connect", "ok", at[peer.domain(kind)])
			want(t, steps, "tls", "ok", "STARTTLS, TLS 1.3")
			want(t, steps, "certificate", c.level, c.text)
			want(t, steps, "offers", "ok", "dialback")
			want(t, steps, "proof", "ok", "taken for open.test by")
			want(t, steps, "ping", "ok", "got an answer")
		})
	}
	t.Run("nobody of that name", func(t *testing.T) {
		steps, err := look(t, "nobody.test")
		if err == nil {
			t.Error("no error")
		}
		want(t, steps, "resolve", "fault", "SRV record _xmpp-server._tcp")
	})
	peer.kill()
	t.Run("the other server is down", func(t *testing.T) {
		steps, err := look(t, peer.domain("good"))
		if err == nil {
			t.Error("no error")
		}
		want(t, steps, "connect", "fault", "refused")
	})
}

// certificateOf returns the lines of a configuration that name the certificate and the key.
func certificateOf(t *testing.T, config string) (lines string) {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "certificate = ") || strings.HasPrefix(line, "key = ") {
			lines += line
		}
	}
	return lines
}

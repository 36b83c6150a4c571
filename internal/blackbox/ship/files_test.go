package ship

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/config"
	"parley/internal/peertest"
)

// The files are what HAProxy takes without a word, as they are: only what has to be there is elsewhere.
func TestV20V21HAProxyTakesTheFiles(t *testing.T) {
	haproxy := peertest.Need(t, "haproxy")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "certs"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, filepath.Join(dir, "certs", "meet.pem"))
	for _, name := range []string{"geo.map", "bridges.map"} {
		text, err := os.ReadFile(shipped + "haproxy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for file, name := range map[string]string{"single.cfg": "lb1", "regions.cfg": "eu1"} {
		text, err := os.ReadFile(shipped + "haproxy/" + file)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/etc/haproxy/", dir+"/")), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(haproxy, "-c", "-L", name, "-f", path).CombinedOutput()
		if err != nil || strings.Contains(string(out), "WARNING") || strings.Contains(string(out), "ALERT") {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

func writeCertificate(t *testing.T, path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "meet.example.org"}, DNSNames: []string{"meet.example.org"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(path, both, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheConfigurationsAreGood(t *testing.T) {
	for _, file := range []string{"parley.toml", "shard.toml"} {
		cfg, err := config.Load(shipped + file)
		if err == nil {
			err = cfg.Check()
		}
		if err != nil || cfg.Development() || cfg.Domain != "meet.example.org" {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// What starts a server gives it the time to end that its configuration asks for; systemd is asked for that by the server.
func TestV22StopTimesFit(t *testing.T) {
	const stop = 15 * time.Second // see stop in cmd/parley
	cfg, err := config.Load(shipped + "parley.toml")
	if err != nil {
		t.Fatal(err)
	}
	for file, key := range map[string]string{"compose.yaml": "stop_grace_period: ", "parley.service": "TimeoutStopSec="} {
		text, err := os.ReadFile(shipped + file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(text), key)
		if !ok {
			t.Fatalf("%s has no stop time", file)
		}
		word := strings.Fields(rest)[0]
		given, err := time.ParseDuration(strings.TrimSuffix(word, "s") + "s")
		if err != nil || given <= stop || file == "compose.yaml" && given <= stop+cfg.DrainGrace {
			t.Errorf("%s: %s %v", file, word, err)
		}
	}
}

// systemd finds nothing wrong with the unit, and what it names are commands and flags of the binary.
func TestTheUnitIsGood(t *testing.T) {
	analyze := peertest.Need(t, "systemd-analyze")
	binary := peertest.Built(t)
	text, err := os.ReadFile(shipped + "parley.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "parley.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/parley", binary)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "parley.service:") {
		t.Errorf("%v: %s", err, out)
	}
	config := filepath.Join(t.TempDir(), "parley.toml")
	if err := os.WriteFile(config, []byte("domain = \"meet.example.org\"\nstore = \"sqlite:parley.db\"\nlisten = [\"https://:443\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "config", "check", "--config", config).CombinedOutput(); err != nil {
		t.Errorf("what the unit does first: %v %s", err, out)
	}
}

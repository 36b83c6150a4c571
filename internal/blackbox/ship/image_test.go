package ship

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

// imageUser is who the server is in the image.
const imageUser = 65532

// builder is buildah with a store of its own.
type builder struct {
	*testing.T
	path, dir string
}

func (b *builder) command(args ...string) *exec.Cmd {
	return exec.Command(b.path, append([]string{"--storage-driver", "vfs", "--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run")}, args...)...)
}

// do runs a command of it, and returns what it says.
func (b *builder) do(args ...string) string {
	b.Helper()
	cmd := b.command(args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("buildah %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// built builds the image by its Dockerfile. Only the image that it begins with is another: Go's command there takes the binary that the
// tests have, which takes less time than to build one.
func built(t *testing.T) (b *builder, image string) {
	t.Helper()
	b = &builder{T: t, path: peertest.Need(t, "buildah"), dir: t.TempDir()}
	if os.Geteuid() != 0 {
		if peertest.Required("root") {
			t.Fatal("an image is built by root, and PARLEY_PEERS wants it")
		}
		t.Skip("an image is built by root")
	}
	binary := peertest.Built(t)
	base := filepath.Join(b.dir, "base")
	write(t, filepath.Join(base, "Dockerfile"), "FROM scratch\nCOPY . /\n")
	write(t, filepath.Join(base, "etc/ssl/certs/ca-certificates.crt"), "the authorities\n")
	compile := exec.Command("go", "build", "-o", filepath.Join(base, "usr/local/go/bin/go"), "./testdata/go")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.do("bud", "-q", "--isolation", "chroot", "-t", "docker.io/library/golang:1.26", base)

	source := filepath.Join(b.dir, "source")
	write(t, filepath.Join(source, "go.mod"), "module parley\n")
	write(t, filepath.Join(source, "go.sum"), "")
	link := filepath.Join(b.dir, "built", "parley")
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	write(t, link, string(text))
	return b, b.do("bud", "-q", "--isolation", "chroot", "--pull=never", "-v", filepath.Dir(link)+":/built:ro", "-f", shipped+"Dockerfile", source)
}

// The image holds what its Dockerfile says and nothing else, and the server in it serves, as its user, from its volume.
func TestTheImageIsBuiltAndServes(t *testing.T) {
	b, image := built(t)
	container := b.do("from", "--pull-never", image)
	root := b.do("mount", container)
	var files []string
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, strings.TrimPrefix(path, root))
		}
		return err
	})
	if got := strings.Join(files, " "); err != nil || got != "/etc/ssl/certs/ca-certificates.crt /parley" {
		t.Errorf("it holds %s %v", got, err)
	}
	info, err := os.Stat(filepath.Join(root, "var/lib/parley"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != imageUser || owner.Gid != imageUser {
		t.Errorf("the volume is of %d:%d", owner.Uid, owner.Gid)
	}
	for key, want := range map[string]string{
		".User": "65532:65532", ".StopSignal": "SIGTERM", ".Entrypoint": "[/parley]", ".Volumes": "map[/var/lib/parley:{}]",
		".Cmd": "[serve --config /etc/parley/parley.toml --data /var/lib/parley]",
	} {
		if got := b.do("inspect", "--format", "{{.OCIv1.Config"+key+"}}", container); got != want {
			t.Errorf("%s is %q", key, got)
		}
	}

	conf := filepath.Join(b.dir, "conf")
	write(t, filepath.Join(conf, "parley.toml"), "listen = [\"http://127.0.0.1:0\"]\n[records.report]\nzone = \"Europe/Paris\"\n")
	if err := os.Chmod(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := b.command("run", "--isolation", "chroot", "--network", "host", "-v", conf+":/etc/parley:ro", container, "--",
		"/parley", "serve", "--config", "/etc/parley/parley.toml", "--data", "/var/lib/parley", "--single-process")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(patience, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
		watchdog.Stop()
	}()
	page := regexp.MustCompile(`http://localhost:\d+/`)
	for lines := bufio.NewScanner(said); ; {
		if !lines.Scan() {
			t.Fatal("it does not serve")
		}
		if at := page.FindString(lines.Text()); at != "" {
			client := http.Client{Timeout: patience}
			res, err := client.Get(at + "health/ready")
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatal(res, err)
			}
			res.Body.Close()
			break
		}
	}
	if text, err := os.ReadFile("/proc/" + served(t, cmd.Process.Pid) + "/status"); err != nil || !strings.Contains(string(text), "\nUid:\t65532\t65532\t65532\t65532\n") {
		t.Errorf("it is not its user: %v\n%s", err, text)
	}
}

// served finds the server among the processes of a group.
func served(t *testing.T, group int) string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		name, rest, _ := strings.Cut(string(text), ") ") // PID (NAME) STATE PARENT GROUP ...
		if f := strings.Fields(rest); strings.HasSuffix(name, "(parley") && len(f) > 2 && f[2] == strconv.Itoa(group) {
			return filepath.Base(filepath.Dir(stat))
		}
	}
	t.Fatal("there is no such process")
	return ""
}

package bench

import (
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	st, err := parseStat([]byte("42 (a ) (b) R 7 11196 6661 0 -1 4194304 100 0 0 0 150 25 3 4 20 0 1 0 1136971 3133440 390"))
	if want := (stat{7, CPU{1530 * time.Millisecond, 290 * time.Millisecond}}); err != nil || st != want {
		t.Errorf("%+v, %v, want %+v", st, err, want)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) R 7", "42 (x) R y 1 1 0 -1 0 1 0 0 0 1 2 3 4", "42 (x) R 7 1 1 0 -1 0 1 0 0 0 1 2 3 z"} {
		if st, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, st)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	b, _ := os.ReadFile("/proc/self/stat")
	f.Add(b)
	f.Add([]byte("1 (x) R 2"))
	f.Fuzz(func(t *testing.T, b []byte) { parseStat(b) })
}

func TestParseRollup(t *testing.T) {
	kb, err := parseRollup([]byte("55d0-7ffd ---p 0 00:00 0 [rollup]\nRss:                 884 kB\nPss: 1 kB\n"))
	if err != nil || kb != 884 {
		t.Error(kb, err)
	}
	if _, err := parseRollup([]byte("Pss: 1 kB\n")); err == nil {
		t.Error("no error")
	}
}

// The time of children counts while they live and after they have ended.
func TestCPUOfAFamily(t *testing.T) {
	// The shell's child works, then sleeps; the shell waits.
	cmd := exec.Command("sh", "-c", "exec 3<&0; (i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo; read x <&3) & wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); cmd.Wait() }()
	out.Read(make([]byte, 1))
	f, err := family(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if len(f) != 2 {
		t.Errorf("%d processes", len(f))
	}
	used, err := ReadCPU(cmd.Process.Pid)
	if err != nil || used.Total() < 50*time.Millisecond {
		t.Errorf("%v, %v", used, err)
	}
	m, err := ReadMemory(cmd.Process.Pid)
	if err != nil || m.RSS < 100<<10 || m.FDs < 3 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := ReadCPU(math.MaxInt32); err == nil {
		t.Error("a process that is not there was read")
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := Median(c.in); got != c.want {
			t.Errorf("%v: %v", c.in, got)
		}
	}
	d := []time.Duration{5, 1, 4, 2, 3}
	if Percentile(d, 0.5) != 3 || Percentile(d, 1) != 5 || Percentile(nil, 0.5) != 0 || d[0] != 5 {
		t.Error("percentiles")
	}
}

func TestTable(t *testing.T) {
	var table Table
	table.Row("what", "x")
	table.Row("µs – a", "1234")
	table.Row("b")
	var b strings.Builder
	table.WriteTo(&b)
	want := "| what   |    x |\n| ------ | ---: |\n| µs – a | 1234 |\n| b      |      |\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}

func TestNumber(t *testing.T) {
	for want, v := range map[string]float64{"0": 0, "0.57": 0.567, "12.3": 12.34, "426": 426.4, "9999": 9999, "25.0 k": 25000, "450 k": 450123, "1.50 M": 1.5e6, "-12.0": -12} {
		if got := Number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestParseServer(t *testing.T) {
	s, err := ParseServer("x=pid:12,plain:127.0.0.1:5222,tls:127.0.0.1:5223,domain:a.net,muc:r.a.net,users:3,password:p:w")
	if err != nil || s.Name != "x" || s.PID != 12 || s.Plain != "127.0.0.1:5222" || s.TLS != "127.0.0.1:5223" || s.Domain != "a.net" || s.MUC != "r.a.net" ||
		s.Users != (Users{3, "p:w"}) || s.Owned() || s.Users.Name(4) != "u1" {
		t.Errorf("%+v, %v", s, err)
	}
}

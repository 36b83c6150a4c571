package media

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRecordedTracesAreWhatABrowserSends(t *testing.T) {
	for name, want := range map[string]struct{ rate, mean float64 }{ // packets a second and bytes each
		"camera720": {127, 1075}, "camera180": {32, 638}, "voice": {50, 106},
	} {
		tr, err := embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		sum, before := 0, time.Duration(-1)
		for _, p := range tr.packets {
			sum += p.size
			if p.at < before {
				t.Errorf("%s: a packet at %v after one at %v", name, p.at, before)
			}
			before = p.at
		}
		mean := float64(sum) / float64(len(tr.packets))
		if math.Abs(tr.rate()/want.rate-1) > 0.1 || math.Abs(mean/want.mean-1) > 0.1 {
			t.Errorf("%s: %.0f packets/s of %.0f bytes", name, tr.rate(), mean)
		}
		if tr.period <= before || tr.period > before+time.Second/10 {
			t.Errorf("%s: %v long, repeated after %v", name, before, tr.period)
		}
	}
}

func TestEqualPacketsAre210ASecond(t *testing.T) {
	tr := equal()
	if n := tr.rate(); n != 210 {
		t.Errorf("%v packets/s", n)
	}
	for i, p := range tr.packets {
		if p.size != 1228 || p.marker != (i%7 == 6) {
			t.Fatalf("packet %d: %+v", i, p)
		}
	}
}

const capture = `5.000000 1 2 77 96 0 700
5.000100 1 2 77 96 1 701
5.010000 1 2 88 111 0 100
5.030000 1 2 88 111 0 101
5.033000 1 2 77 96 1 20
5.050000 1 2 88 111 0 102
5.066000 1 2 77 96 1 900
5.090000 1 2 99 100 0 900
`

func TestCapturedStreamsComeBySize(t *testing.T) {
	list, err := parseCapture(strings.NewReader(strings.ReplaceAll(capture, "99 100 0 900\n", "77 96 1 900\n")))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || len(list[0].packets) != 5 || len(list[1].packets) != 3 {
		t.Fatalf("%+v", list)
	}
	video := list[0]
	if p := video.packets[1]; p.size != 701 || !p.marker || (p.at-100*time.Microsecond).Abs() > time.Microsecond {
		t.Errorf("%+v", p)
	}
	if p := video.packets[2]; p.size != smallest { // there must be room for what the generator writes
		t.Errorf("%+v", p)
	}
	if list[1].packets[0].at < 9*time.Millisecond {
		t.Error("the streams are moved against one another")
	}
}

func TestTracesOfRubbishAreRefused(t *testing.T) {
	for _, text := range []string{"", "# only a comment", "1 2", "1 2\nx 3", "1 2\n-1 3", "1 2\n3", "1 2\n4 70000", "1 2\n5 5 5", "99999999999 5\n1 5", "0 700\n0 700", "1 700\n2 1501",
		strings.Repeat("2000000000 5\n", 2)} {
		if _, err := parseTrace(strings.NewReader(text)); !errors.Is(err, errTrace) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "1 2 3 4 5 6\n", "1 2 3 4 5 6 7 8\n", "x 1 2 77 96 0 700\n", "NaN 1 2 77 96 0 700\n", "1 1 2 77 96 0 -1\n", "1 1 2 77 96 0 1\n",
		"2 1 2 77 96 0 1\n1 1 2 77 96 0 1\n", "2 1 2 77 96 0 1\n9999 1 2 77 96 0 1\n", "1 1 2 77 96 0 1501\n", "2 1 2 77 96 0 1\nNaN 1 2 77 96 0 1\n"} {
		if _, err := parseCapture(strings.NewReader(text)); !errors.Is(err, errTrace) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := captured(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzTrace(f *testing.F) {
	f.Add("10 700\n11 701*\n", capture)
	f.Fuzz(func(t *testing.T, text, capture string) {
		list := []trace{}
		if tr, err := parseTrace(strings.NewReader(text)); err == nil {
			list = append(list, tr)
		}
		if more, err := parseCapture(strings.NewReader(capture)); err == nil {
			list = append(list, more...)
		}
		for _, tr := range list {
			if len(tr.packets) < 2 || tr.period <= tr.packets[len(tr.packets)-1].at {
				t.Errorf("%d packets in %v", len(tr.packets), tr.period)
			}
			for i, p := range tr.packets {
				if p.size < smallest || p.size > largest || i > 0 && p.at < tr.packets[i-1].at || p.at < 0 {
					t.Errorf("packet %d: %+v", i, p)
				}
			}
		}
	})
}

package bridge

import (
	"testing"
	"time"
)

func TestRetransmissionsAreAPartOfTheVideo(t *testing.T) {
	var x extra
	at := time.Unix(1000, 0)
	if x.net(1_000_000) != 1_000_000 || x.gross(1_000_000) != 1_000_000 {
		t.Error("where nothing was sent again")
	}
	second := func(video, again int) {
		for range 10 {
			x.take(at, video/10, 0)
			x.take(at, 0, again/10)
			at = at.Add(100 * time.Millisecond)
		}
	}
	near := func(got, want int64) {
		t.Helper()
		if got < want*98/100 || got > want*102/100 {
			t.Errorf("%d, want %d", got, want)
		}
	}
	for range 12 {
		second(500_000, 250_000)
	}
	near(x.net(3_000_000), 2_000_000)
	near(x.gross(2_000_000), 3_000_000)
	second(100_000, 50_000) // of smaller pictures, the same part
	second(100_000, 50_000)
	near(x.net(3_000_000), 2_000_000)
	for range 3 {
		second(100_000, 500_000)
	}
	if x.net(1_000_000) < 500_000 {
		t.Errorf("%d of 1,000,000: repairs take more than half", x.net(1_000_000))
	}
	for range 30 {
		second(500_000, 0)
	}
	near(x.net(1_000_000), 1_000_000)
	second(0, 0)
	second(0, 1000) // nothing to compare with
	near(x.net(1_000_000), 1_000_000)
}

package report

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/peertest"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(peertest.Stopping(m)) }

var update = flag.Bool("update", false, "write the golden files")

var (
	berlin = mustZone("Europe/Berlin")
	day    = time.Date(2026, 8, 1, 0, 0, 0, 0, berlin)
)

func mustZone(name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return z
}

// at is a time of the day: minutes, and seconds.
func at(minutes, seconds int) time.Time {
	return day.Add(time.Duration(60*minutes+seconds) * time.Second).UTC()
}

func open(t testing.TB, url string) store.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), url, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func sqlite(t testing.TB) store.Store {
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "parley.db"))
}

func ptr[T any](v T) *T { return &v }

// fixture is a day with four sessions in two rooms, and one that is of the day before.
func fixture(t testing.TB, s store.Store) {
	t.Helper()
	session := func(id, user, room string, joined, left time.Time) store.TalkSession {
		return store.TalkSession{ID: id, App: "10000", User: user, Name: strings.ToUpper(user), Room: room + "@muc.x", Talk: 1, IP: "192.0.2.7", Country: map[string]string{"a": "DE", "b": "FR", "c": "DE"}[user], Created: joined, Joined: joined, Left: left, OS: "Linux", Browser: "chrome58.0", Protocol: "roomserver", Node: "n"}
	}
	sub := func(id, session, remote string, status int, way string, begun, connected, finished time.Time, cost int64) store.TalkSub {
		p := store.TalkSub{ID: id, Session: session, Status: status, RemoteUser: remote, RemoteName: strings.ToUpper(remote), RemoteIP: "192.0.2.8", ICE: "198.51.100.1", ICEIn: map[string]string{"TURN": "US"}[way], Connect: way, Begun: begun, Connected: connected, Finished: finished, Cost: cost}
		if !connected.IsZero() {
			p.Seconds = int64(finished.Sub(connected) / time.Second)
		}
		return p
	}
	none := time.Time{}
	r := store.TalkRecords{
		Sessions: []store.TalkSession{
			session("0", "old", "night", at(-10, 0), at(5, 0)),
			session("1", "a", "r", at(600, 0), at(620, 0)), session("2", "b", "r", at(601, 0), at(611, 30)), session("3", "c", "r", at(612, 0), at(613, 0)),
			session("4", "d", "alone", at(605, 0), at(606, 1)),
		},
		Subs: []store.TalkSub{
			sub("1b", "1", "b", store.SubTalked, "TURN", at(601, 0), at(601, 2), at(611, 30), 33), sub("2a", "2", "a", store.SubTalkedTill, "STUN", at(601, 0), at(601, 1), at(611, 30), 0),
			sub("1c", "1", "c", store.SubNever, "", at(612, 0), none, at(613, 0), 0), sub("3a", "3", "a", store.SubNeverTimeout, "", at(612, 0), none, at(613, 0), 0),
		},
		Qualities: []store.TalkQuality{
			{ID: "q1", Sub: "1b", At: at(602, 0), AudRecvLost: ptr(0.01), AudRecvRate: ptr[int64](40), VidRecvRate: ptr[int64](900)},
			{ID: "q2", Sub: "1b", At: at(603, 0), AudRecvLost: ptr(0.05), AudRecvRate: ptr[int64](30)},
		},
		Verdicts: []store.TalkVerdict{{ID: "v1", Session: "1", At: at(604, 0), Part: "uplink", Loss: 0.2}, {ID: "v2", Session: "1", At: at(604, 9)}},
		Notes: []store.TalkNote{
			{ID: "n1", At: at(700, 0), Room: "r@muc.x", Door: "roomserver", Cause: "full", Count: 3}, {ID: "n2", At: at(701, 0), Door: "xmpp", Cause: "not-allowed", Count: 1},
			{ID: "n3", At: at(702, 0), Session: "1", Result: 9, Count: 1, Data: "{}"}, {ID: "n4", At: at(1441, 0), Door: "xmpp", Cause: "of the next day", Count: 9},
		},
	}
	if err := s.KeepTalks(context.Background(), r); err != nil {
		t.Fatal(err)
	}
}

func TestR22FiguresOfADay(t *testing.T) {
	s := sqlite(t)
	fixture(t, s)
	d, err := Make(context.Background(), s, day)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"date":      {d.Date, "2026-08-01"},
		"zone":      {d.Zone, "Europe/Berlin"},
		"sessions":  {d.Sessions, 4},
		"calls":     {d.Calls, 2},                                         // a with b, and a with c
		"in calls":  {d.CallSeconds, int64(630 + 60)},                     //
		"members":   {d.MemberSeconds, int64(300 + 1200 + 630 + 60 + 61)}, // of the night's as far as it was this day
		"connected": {d.Connected, 2},
		"failed":    {d.Failed, 2},
		"timed out": {d.TimedOut, 2},
		"total":     {d.Total, int64(628 + 629)},
		"median":    {d.Median, int64(628)},
		"ways":      {d.Ways, Ways{Direct: 1, Relayed: 1}},
		"relayed":   {d.Relayed, 0.5},
		"cents":     {d.Cents, int64(33)},
		"peak":      {d.PeakMembers, 3}, // a, b and d
		"peak at":   {d.PeakMembersAt.UTC(), at(605, 0)},
		"calls max": {d.PeakCalls, 1},
		"p50":       {d.JoinP50, int64(1000)},
		"p95":       {d.JoinP95, int64(2000)},
		"causes":    {d.FailedJoins, []Cause{{"roomserver", "full", 3}, {"xmpp", "not-allowed", 1}}},
		"lines":     {len(d.Lines), 5},
		"countries": {countries(d), "DE 2: 1 made, 2 not, 1 out, 628 s, 1.00 relayed, 0.030 lost; FR 1: 1 made, 0 not, 1 out, 629 s, 0.00 relayed, 0.000 lost; unknown 1: 0 made, 0 not, 0 out, 0 s, 0.00 relayed, 0.000 lost"},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	if len(d.WorstRooms) != 1 || d.WorstRooms[0].Room != "r@muc.x" || d.WorstRooms[0].Failed != 2 || d.WorstRooms[0].Refused != 3 || d.WorstRooms[0].Suffered != 1 || fmt.Sprintf("%.3f", d.WorstRooms[0].Loss) != "0.030" {
		t.Errorf("%+v", d.WorstRooms)
	}
	for _, l := range d.Lines {
		if l.User == "A" && l.Remote == "B" && (l.AudioRate != Spread{2, 35, 30, 40} || l.VideoLoss.N != 0 || l.VideoRate.Avg != 900) || l.User == "D" && (l.Status != "no call" || l.Seconds != 61) {
			t.Errorf("%+v", l)
		}
	}
	if before, err := Make(context.Background(), s, day.AddDate(0, 0, -1)); err != nil || before.Sessions != 1 || before.PeakMembers != 1 {
		t.Errorf("%+v %v", before, err)
	}
}

// countries are those of a report, as one text.
func countries(d *Day) string {
	var list []string
	for _, p := range d.Countries {
		list = append(list, fmt.Sprintf("%s %d: %d made, %d not, %d out, %d s, %.2f relayed, %.3f lost", p.Country, p.Sessions, p.Connected, p.Failed, p.TimedOut, p.Seconds, p.Relayed, p.Loss))
	}
	return strings.Join(list, "; ")
}

// A call over midnight is one of the day on which it began; its time belongs to both.
func TestACallOverMidnightIsCountedOnce(t *testing.T) {
	s := sqlite(t)
	var r store.TalkRecords
	for _, id := range []string{"a", "b"} {
		r.Sessions = append(r.Sessions, store.TalkSession{ID: id, User: id, Room: "r", Created: at(-10, 0), Joined: at(-10, 0), Left: at(5, 0)})
	}
	if err := s.KeepTalks(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	for date, want := range map[time.Time][3]int{day.AddDate(0, 0, -1): {2, 1, 600}, day: {0, 0, 300}} {
		d, err := Make(context.Background(), s, date)
		if err != nil || [3]int{d.Sessions, d.Calls, int(d.CallSeconds)} != want || d.PeakCalls != 1 {
			t.Errorf("%s: %d sessions, %d calls of %d s, %d at once: %v", date, d.Sessions, d.Calls, d.CallSeconds, d.PeakCalls, err)
		}
	}
}

// The days on which clocks are set have 23 and 25 hours.
func TestADayIsThatOfTheZone(t *testing.T) {
	s := sqlite(t)
	for date, hours := range map[string]float64{"2026-03-29": 23, "2026-10-25": 25, "2026-08-01": 24} {
		from, _ := time.ParseInLocation(time.DateOnly, date, berlin)
		d, err := Make(context.Background(), s, from)
		if err != nil || d.Until.Sub(d.From).Hours() != hours || d.Lines != nil {
			t.Errorf("%s: %v %v", date, d.Until.Sub(d.From), err)
		}
	}
}

func TestR22WrittenAsHTMLTextAndCSV(t *testing.T) {
	s := sqlite(t)
	fixture(t, s)
	d, err := Make(context.Background(), s, day)
	if err != nil {
		t.Fatal(err)
	}
	html, err := d.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"day.html": html, "day.txt": d.Text(), "day.csv": d.CSV(), "countries.csv": d.CountriesCSV()} {
		file := filepath.Join("testdata", name)
		if *update {
			os.MkdirAll("testdata", 0o755)
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != string(got) {
			t.Errorf("%s is another one: %v\n%s", name, err, got)
		}
	}
}

// What people call themselves does nothing in any of the forms.
func TestNamesDoNothingInAReport(t *testing.T) {
	s := sqlite(t)
	const script, formula, turned = `<script>alert(1)</script>"'`, `=HYPERLINK("http://evil.example")`, "a\r\nBcc: x\u202eb"
	var r store.TalkRecords
	for i, name := range []string{script, formula, turned} {
		r.Sessions = append(r.Sessions, store.TalkSession{ID: fmt.Sprint(i), App: name, User: name, Name: name, Room: name, OS: name, Created: at(i, 0), Joined: at(i, 0), Left: at(9, 0)})
	}
	r.Notes = []store.TalkNote{{ID: "n", At: at(1, 0), Room: script, Door: turned, Cause: script, Count: 1}}
	if err := s.KeepTalks(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	d, err := Make(context.Background(), s, day)
	if err != nil || len(d.Lines) != 3 {
		t.Fatal(d, err)
	}
	html, err := d.HTML()
	if err != nil || strings.Contains(string(html), "<script") || !strings.Contains(string(html), "&lt;script&gt;") {
		t.Errorf("%v %s", err, html)
	}
	if text := string(d.Text()); strings.Contains(text, "\r") || strings.Contains(text, "\nBcc") || strings.Contains(text, "\u202e") {
		t.Error(text)
	}
	rows, err := csv.NewReader(strings.NewReader(string(d.CSV()))).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatal(rows, err)
	}
	for _, row := range rows[1:] {
		for _, c := range row {
			if strings.HasPrefix(c, "=") || strings.ContainsAny(c, "\r\n") {
				t.Errorf("%q", c)
			}
		}
	}
	if rows[2][0] != "'"+formula {
		t.Errorf("%q", rows[2][0])
	}
}

func TestWhatAReportMayBe(t *testing.T) {
	good := Config{Zone: "Asia/Tokyo", At: "00:00", To: []string{"ann@example.org"}, Host: "mail.example.org", Port: 587, StartTLS: "required", Retry: time.Minute}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"zone": func(c *Config) { c.Zone = "Mars/Olympus" }, "of the machine": func(c *Config) { c.Zone = "Local" }, "no host": func(c *Config) { c.Host = "" },
		"two addresses in one": func(c *Config) { c.To[0] = "a@x.org, b@x.org" }, "a header": func(c *Config) { c.To[0] = "a@x.org\r\nBcc: b@x.org" }, "a name": func(c *Config) { c.From = "Ann <ann@example.org>" },
		"port": func(c *Config) { c.Port = 70000 }, "tls": func(c *Config) { c.StartTLS = "maybe" }, "retry": func(c *Config) { c.Retry = 0 }, "host": func(c *Config) { c.Host = "x\r\ny" },
	} {
		c := good
		c.To = []string{good.To[0]}
		change(&c)
		if c.Check() == nil {
			t.Errorf("%s: nothing is wrong with it", name)
		}
	}
}

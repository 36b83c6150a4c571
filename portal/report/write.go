package report

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// shownLines is how many lines HTML and text have; the CSV has all.
const shownLines = 500

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"clock": clock, "percent": percent, "spread": spread, "loss": loss, "at": func(d *Day, t time.Time) string { return d.at(t) },
}).Parse(page))

// clock is a duration in seconds as HH:MM:SS.
func clock(seconds int64) string {
	return fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

func spread(s Spread) string {
	if s.N == 0 {
		return "--"
	}
	return fmt.Sprintf("%.0f, %.0f, %.0f", s.Avg, s.Min, s.Max)
}

func loss(s Spread) string {
	if s.N == 0 {
		return "--"
	}
	return fmt.Sprintf("%.2f, %.2f, %.2f", s.Avg, s.Min, s.Max)
}

// at is a time as it is shown, in the zone of the report.
func (d *Day) at(t time.Time) string {
	if t.IsZero() {
		return "--"
	}
	return t.In(d.From.Location()).Format(time.TimeOnly)
}

// Shown are the lines that a page has.
func (d *Day) Shown() []Line { return d.Lines[:min(len(d.Lines), shownLines)] }

// More is how many lines it leaves out.
func (d *Day) More() int { return len(d.Lines) - len(d.Shown()) + d.Cut }

// HTML is the report as a page without scripts and without anything from elsewhere.
func (d *Day) HTML() ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, d)
	return b.Bytes(), err
}

// line makes a text of others fit for one line of text: without control characters, and without what reverses its direction.
func line(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) {
			return ' '
		}
		return c
	}, s)
}

// head are the figures of a day, by name.
func (d *Day) head() [][2]string {
	return [][2]string{
		{"Sessions", fmt.Sprint(d.Sessions)},
		{"Calls", fmt.Sprint(d.Calls)},
		{"Time in calls", clock(d.CallSeconds)},
		{"Time of members", clock(d.MemberSeconds)},
		{"Connected", fmt.Sprint(d.Connected)},
		{"Not connected", fmt.Sprint(d.Failed)},
		{"Timed out", fmt.Sprint(d.TimedOut)},
		{"Connections, total", clock(d.Total)},
		{"Connections, median", clock(d.Median)},
		{"Direct, relayed, bridged, unknown", fmt.Sprintf("%d, %d, %d, %d", d.Ways.Direct, d.Ways.Relayed, d.Ways.Bridged, d.Ways.Unknown)},
		{"Share of relay", percent(d.Relayed)},
		{"Most members at once", fmt.Sprintf("%d at %s", d.PeakMembers, d.at(d.PeakMembersAt))},
		{"Most calls at once", fmt.Sprint(d.PeakCalls)},
		{"Until connected, median and 95 of 100", fmt.Sprintf("%d ms, %d ms", d.JoinP50, d.JoinP95)},
		{"Cost", fmt.Sprintf("%d.%02d", d.Cents/100, d.Cents%100)},
	}
}

// Head are the figures for a page.
func (d *Day) Head() [][2]string { return d.head() }

// Text is the report as plain text.
func (d *Day) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Calls of %s (%s)\n\n", d.Date, d.Zone)
	for _, f := range d.head() {
		fmt.Fprintf(&b, "%-40s %s\n", f[0], f[1])
	}
	if len(d.FailedJoins) > 0 {
		b.WriteString("\nJoins that failed\n")
		for _, c := range d.FailedJoins {
			fmt.Fprintf(&b, "%8d  %s (%s)\n", c.Count, line(c.Cause), line(c.Door))
		}
	}
	if len(d.WorstRooms) > 0 {
		b.WriteString("\nRooms with most trouble: not connected, joins that failed, media suffered, mean loss\n")
		for _, r := range d.WorstRooms {
			fmt.Fprintf(&b, "%6d %6d %6d %8s  %s\n", r.Failed, r.Refused, r.Suffered, percent(r.Loss), line(r.Room))
		}
	}
	if len(d.Countries) > 0 {
		b.WriteString("\nCountries: sessions, connected, not connected, timed out, duration, share of relay, mean loss\n")
		for _, p := range d.Countries {
			fmt.Fprintf(&b, "%-8s %6d %6d %6d %6d  %s %8s %8s\n", p.Country, p.Sessions, p.Connected, p.Failed, p.TimedOut, clock(p.Seconds), percent(p.Relayed), percent(p.Loss))
		}
	}
	b.WriteString("\nApp, user, remote, kind, status, way, country, address, country of the ICE server, ICE server, begin, duration, system, received audio kbit/s, video kbit/s, audio loss, video loss (avg, min, max)\n")
	for _, l := range d.Shown() {
		fields := []string{l.App, l.User, l.Remote, l.Kind, l.Status, l.Way, l.Country, l.IP, l.ICEIn, l.ICE, d.at(l.Begun), clock(l.Seconds), l.System,
			spread(l.AudioRate), spread(l.VideoRate), loss(l.AudioLoss), loss(l.VideoLoss)}
		for i := range fields {
			if fields[i] = line(fields[i]); fields[i] == "" {
				fields[i] = "-"
			}
		}
		b.WriteString(strings.Join(fields, " | ") + "\n")
	}
	if n := d.More(); n > 0 {
		fmt.Fprintf(&b, "... and %d more\n", n)
	}
	return b.Bytes()
}

// cell makes a text of others harmless for programs that take cells that begin so as formulas.
func cell(s string) string {
	s = line(s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

// CSV is the lines of the report (RFC 4180), with a header.
func (d *Day) CSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	w.Write([]string{"app", "room", "user", "remote", "kind", "status", "way", "ip", "ice", "begun", "seconds", "system",
		"audio_kbps_avg", "audio_kbps_min", "audio_kbps_max", "video_kbps_avg", "video_kbps_min", "video_kbps_max",
		"audio_loss_avg", "audio_loss_min", "audio_loss_max", "video_loss_avg", "video_loss_min", "video_loss_max", "country", "ice_country"})
	for i := range d.Lines {
		l := &d.Lines[i]
		row := []string{cell(l.App), cell(l.Room), cell(l.User), cell(l.Remote), l.Kind, l.Status, l.Way, l.IP, l.ICE,
			l.Begun.In(d.From.Location()).Format(time.RFC3339), strconv.FormatInt(l.Seconds, 10), cell(l.System)}
		for _, s := range []Spread{l.AudioRate, l.VideoRate, l.AudioLoss, l.VideoLoss} {
			if s.N == 0 {
				row = append(row, "", "", "")
				continue
			}
			for _, v := range []float64{s.Avg, s.Min, s.Max} {
				row = append(row, strconv.FormatFloat(v, 'f', -1, 64))
			}
		}
		w.Write(append(row, l.Country, l.ICEIn))
	}
	w.Flush()
	return b.Bytes()
}

// CountriesCSV is the table of countries (RFC 4180), with a header.
func (d *Day) CountriesCSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	w.Write([]string{"country", "sessions", "connected", "not_connected", "timed_out", "seconds", "relay_share", "loss"})
	for _, p := range d.Countries {
		w.Write([]string{p.Country, strconv.Itoa(p.Sessions), strconv.Itoa(p.Connected), strconv.Itoa(p.Failed), strconv.Itoa(p.TimedOut),
			strconv.FormatInt(p.Seconds, 10), strconv.FormatFloat(p.Relayed, 'f', 4, 64), strconv.FormatFloat(p.Loss, 'f', 4, 64)})
	}
	w.Flush()
	return b.Bytes()
}

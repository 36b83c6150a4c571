package report

import (
	"context"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func invited(title, link string) *Event {
	begins := time.Date(2026, 12, 31, 23, 30, 0, 5e8, time.FixedZone("", -5*3600))
	return &Event{ID: "meeting.abc", Title: title, Starts: begins, Ends: begins.Add(time.Hour), Link: link, Told: begins.Add(-48 * time.Hour)}
}

// A letter about a meeting has text for people and, behind it, the event for calendars.
func TestLettersHaveTheEvent(t *testing.T) {
	s := newSink(t)
	c := s.config()
	c.From = "rooms@example.org"
	const title, link = `Käse, Wein; "Brot" \ Öl: die lange Sitzung über alles, was im Dezember noch zu essen ist 🧀`, "https://meet.example/cheese?invitation=secret"
	err := c.Post(context.Background(), "meet.example", Letter{
		ID: "invitation.1", To: []string{"carl@example.org"}, Subject: "Invitation: " + title, Text: "you are invited\n", Time: day, Event: invited(title, link),
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(strings.NewReader(s.got()[0]))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatal(kind, err)
	}
	parts, kinds, text := multipart.NewReader(m.Body, params["boundary"]), []string{}, ""
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = p
		switch strings.ToLower(p.Header.Get("Content-Transfer-Encoding")) {
		case "quoted-printable":
			r = quotedprintable.NewReader(p)
		case "base64":
			r = base64.NewDecoder(base64.StdEncoding, p)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, kind)
		if text = string(b); kind == "text/calendar" && (params["method"] != "PUBLISH" || !strings.EqualFold(params["charset"], "UTF-8")) {
			t.Errorf("%v", params)
		}
	}
	if strings.Join(kinds, " ") != "text/plain text/calendar" {
		t.Fatal(kinds)
	}
	got := properties(t, text)
	for name, want := range map[string]string{
		"METHOD": "PUBLISH", "VERSION": "2.0", "UID": "meeting.abc@meet.example", "SEQUENCE": "0", "DTSTART": "20270101T043000Z", "DTEND": "20270101T053000Z",
		"DTSTAMP": "20261230T043000Z", "SUMMARY": title, "LOCATION": link, "URL": link, "ORGANIZER": "mailto:rooms@example.org", "CLASS": "PRIVATE",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if got["ATTENDEE"] != "" { // RFC 5546 §3.2.1
		t.Error("a published event has no attendees")
	}
}

// A letter about nothing that has a time is text alone.
func TestLettersWithoutAnEvent(t *testing.T) {
	s := newSink(t)
	c := s.config()
	if err := c.Post(context.Background(), "meet.example", Letter{ID: "alert.1", To: c.To, Subject: "s", Text: "text", Time: day}); err != nil {
		t.Fatal(err)
	}
	if got := s.got()[0]; strings.Contains(got, "multipart") || strings.Contains(got, "VCALENDAR") {
		t.Error(got)
	}
}

// properties reads an object as RFC 5545 §3.1 and §3.3.11 have it, of one event, and wants no property twice.
func properties(t testing.TB, object string) map[string]string {
	t.Helper()
	if !strings.HasSuffix(object, "\r\n") || strings.Count(object, "\n") != strings.Count(object, "\r\n") || strings.Count(object, "\r") != strings.Count(object, "\r\n") {
		t.Fatalf("lines do not end as they should: %q", object)
	}
	lines := strings.Split(strings.TrimSuffix(object, "\r\n"), "\r\n")
	for _, line := range lines {
		if len(line) > 75 || !utf8.ValidString(line) {
			t.Errorf("%d bytes: %q", len(line), line)
		}
	}
	found := map[string]string{}
	var nested []string
	for line := range strings.SplitSeq(strings.ReplaceAll(strings.Join(lines, "\r\n"), "\r\n ", ""), "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		switch {
		case !ok || name == "" || strings.ContainsFunc(line, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }):
			t.Fatalf("%q", line)
		case name == "BEGIN":
			nested = append(nested, value)
		case name == "END":
			if len(nested) == 0 || nested[len(nested)-1] != value {
				t.Fatalf("%q ends within %q", value, nested)
			}
			nested = nested[:len(nested)-1]
		case found[name] != "":
			t.Fatalf("%s twice", name)
		case name == "SUMMARY" || name == "LOCATION" || name == "UID":
			value = unescaped(t, value)
			fallthrough
		default:
			found[name] = value
		}
	}
	if len(nested) > 0 {
		t.Fatalf("%q does not end", nested)
	}
	return found
}

func unescaped(t testing.TB, value string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch c := value[i]; c {
		case ',', ';':
			t.Fatalf("%q is not escaped in %q", c, value)
		case '\\':
			if i++; i == len(value) || !strings.Contains(`nN\,;`, value[i:i+1]) {
				t.Fatalf("%q", value)
			}
			if value[i] == 'n' || value[i] == 'N' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(value[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Whatever a title and a link hold, the object has the same properties, and the title comes back but for control characters.
func FuzzEvent(f *testing.F) {
	f.Add("Weekly", "https://meet.example/weekly?invitation=abc")
	f.Add("a\r\nATTENDEE:mailto:x@example.org\r\n", "https://meet.example/\r\nEND:VEVENT\r\n")
	f.Add(strings.Repeat("ü", 40)+"\\;,\n\x00\xff", strings.Repeat("x,;\\", 40))
	f.Add("\\n\u2028\u0085\t", "")
	want := properties(f, invited("Weekly", "x").calendar("meet.example", "a@b"))
	f.Fuzz(func(t *testing.T, title, link string) {
		got := properties(t, invited(title, link).calendar("meet.example", "a@b"))
		for name := range want {
			if _, ok := got[name]; !ok {
				t.Errorf("no %s", name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d properties, not %d", len(got), len(want))
		}
		if !strings.ContainsFunc(title, unicode.IsControl) && utf8.ValidString(title) && !strings.ContainsAny(title, "\u2028\u2029") && got["SUMMARY"] != title {
			t.Errorf("%q became %q", title, got["SUMMARY"])
		}
	})
}

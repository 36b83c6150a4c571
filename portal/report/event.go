package report

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Event is what a letter is about, for the reader's calendar: an object of iCalendar (RFC 5545) with one event in it, which is
// published (RFC 5546 §3.2.1), not requested, since nobody reads what a calendar would answer.
type Event struct {
	ID           string // what stands before the domain in its UID: the same in every letter about it, to whomever
	Title        string
	Starts, Ends time.Time
	Link         string // a URI, where it takes place
	Told         time.Time
}

// publish is the type of the part in a mail. It says the method, as the object itself does (RFC 6047 §2.4).
const publish = "text/calendar; method=PUBLISH; component=VEVENT"

// calendar returns the object. Organizer is a mail address, which a published event has to name. Meetings do not change, so that
// each letter about one is of revision 0; of two letters the later one counts, by its DTSTAMP (RFC 5546 §2.1.5).
func (e *Event) calendar(domain, organizer string) string {
	var b strings.Builder
	for _, line := range []string{
		"BEGIN:VCALENDAR",
		"VERSION:2.0",
		"PRODID:-//Parley//Meetings//EN",
		"METHOD:PUBLISH",
		"BEGIN:VEVENT",
		"UID:" + escaped(e.ID+"@"+domain),
		"SEQUENCE:0",
		"DTSTAMP:" + utc(e.Told),
		"DTSTART:" + utc(e.Starts),
		"DTEND:" + utc(e.Ends),
		"SUMMARY:" + escaped(e.Title),
		"LOCATION:" + escaped(e.Link),
		"URL:" + visible(e.Link),
		"ORGANIZER:mailto:" + visible(organizer),
		"STATUS:CONFIRMED",
		"CLASS:PRIVATE", // the link is the reader's alone
		"END:VEVENT",
		"END:VCALENDAR",
	} {
		fold(&b, line)
	}
	return b.String()
}

// utc is a moment in form 2 of RFC 5545 §3.3.5.
func utc(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// escaped is a value of type TEXT (RFC 5545 §3.3.11). Line breaks of every kind are one, and other control characters, which no value
// may hold, are left out.
func escaped(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(strings.ToValidUTF8(text, "\uFFFD"))
	var b strings.Builder
	for _, c := range text {
		switch {
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\\' || c == ';' || c == ',':
			b.WriteByte('\\')
			b.WriteRune(c)
		case !unicode.IsControl(c) || c == '\t':
			b.WriteRune(c)
		}
	}
	return b.String()
}

// visible leaves out of a URI what none has, so that nothing ends its line.
func visible(uri string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.IsSpace(c) || c == utf8.RuneError {
			return -1
		}
		return c
	}, uri)
}

// fold writes a line in pieces of up to 75 bytes, the space before each further one among them, never through a character
// (RFC 5545 §3.1).
func fold(b *strings.Builder, line string) {
	const most = 75
	for room := most; len(line) > room; room = most - 1 {
		cut := room
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		b.WriteString(line[:cut] + "\r\n ")
		line = line[cut:]
	}
	b.WriteString(line + "\r\n")
}

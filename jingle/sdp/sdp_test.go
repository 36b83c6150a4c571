package sdp

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const head = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"

func TestParseReadsEveryField(t *testing.T) {
	d, err := Parse("v=0\no=jdoe 2890844526 2890842807 IN IP4 198.51.100.1\ns=Call\ni=about\nu=http://x/\ne=a@b\np=+1\n"+
		"c=IN IP4 198.51.100.1\nb=AS:128\nt=0 0\nr=7d 1h 0\nz=1 2\nk=clear:x\na=recvonly\na=group:BUNDLE 0\n"+
		"m=audio 49170 RTP/AVP 0 8\ni=voice\nc=IN IP6 2001:db8::1\nb=TIAS:64000\na=mid:0\na=x:y:z\n\n", DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	want := &Description{
		Origin:     Origin{"jdoe", 2890844526, 2890842807, Connection{"IP4", "198.51.100.1"}},
		Name:       "Call",
		Connection: &Connection{"IP4", "198.51.100.1"},
		Bandwidth:  []Bandwidth{{"AS", 128}},
		Attributes: Attributes{{"recvonly", ""}, {"group", "BUNDLE 0"}},
		Media: []Media{{Type: "audio", Port: 49170, Protocol: "RTP/AVP", Formats: []string{"0", "8"},
			Connection: &Connection{"IP6", "2001:db8::1"}, Bandwidth: []Bandwidth{{"TIAS", 64000}},
			Attributes: Attributes{{"mid", "0"}, {"x", "y:z"}}}},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got %+v\nwant %+v", d, want)
	}
}

func TestParseRefuses(t *testing.T) {
	media := "m=audio 9 RTP/AVP 0\r\n"
	for _, c := range []struct{ name, in string }{
		{"nothing", ""},
		{"only line ends", "\r\n\r\n"},
		{"HB1 any bytes", "\xff\xfe\x00"},
		{"HB1 bytes that are no UTF-8", head + "a=x:\xc3\x28\r\n"},
		{"HB1 NUL", head + "a=x:\x00\r\n"},
		{"HB1 carriage return inside", head + "a=x:\ra=y\r\n"},
		{"HB1 escape character", head + "a=x:\x1b[1m\r\n"},
		{"HB1 character that XML cannot hold", head + "a=x:\uffff\r\n"},
		{"HB1 10,000 lines", head + strings.Repeat("a=x\r\n", 10_000)},
		{"HB1 a line over the limit", head + "a=x:" + strings.Repeat("y", 5000) + "\r\n"},
		{"HB1 over 128 KiB", head + strings.Repeat("a=x:"+strings.Repeat("y", 200)+"\r\n", 700)},
		{"HB1 17 media", head + strings.Repeat(media, 17)},
		{"HB1 129 formats", head + "m=audio 9 RTP/AVP" + strings.Repeat(" 0", 129) + "\r\n"},
		{"HB1 wrong order: session name first", "v=0\r\ns=-\r\no=- 1 2 IN IP4 127.0.0.1\r\nt=0 0\r\n"},
		{"HB1 wrong order: connection after attributes", head + media + "a=x\r\nc=IN IP4 0.0.0.0\r\n"},
		{"HB1 wrong order: media before times", "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\n" + media},
		{"HB1 wrong order: times after media", "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\n" + media + "t=0 0\r\n"},
		{"HB1 empty line inside", head + "\r\na=x\r\n"},
		{"HB1 empty list item: format", head + "m=audio 9 RTP/AVP 0  8\r\n"},
		{"HB1 no formats", head + "m=audio 9 RTP/AVP\r\n"},
		{"other version", strings.Replace(head, "v=0", "v=1", 1)},
		{"no version", strings.TrimPrefix(head, "v=0\r\n")},
		{"no origin", "v=0\r\ns=-\r\nt=0 0\r\n"},
		{"two origins", "v=0\r\no=- 1 2 IN IP4 x\r\no=- 1 2 IN IP4 x\r\ns=-\r\nt=0 0\r\n"},
		{"two connections of a medium", head + media + "c=IN IP4 x\r\nc=IN IP4 x\r\n"},
		{"origin of five", "v=0\r\no=- 1 2 IN IP4\r\ns=-\r\nt=0 0\r\n"},
		{"origin of words", "v=0\r\no=- one 2 IN IP4 x\r\ns=-\r\nt=0 0\r\n"},
		{"times of words", strings.Replace(head, "0 0", "now then", 1)},
		{"port of five digits over", head + "m=audio 65536 RTP/AVP 0\r\n"},
		{"port with a sign", head + "m=audio +9 RTP/AVP 0\r\n"},
		{"port range", head + "m=audio 9/2 RTP/AVP 0\r\n"},
		{"empty part of a protocol", head + "m=audio 9 RTP//AVP 0\r\n"},
		{"other network", head + media + "c=ATM IP4 x\r\n"},
		{"bandwidth of words", head + "m=audio 9 RTP/AVP 0\r\nb=AS:many\r\n"},
		{"attribute without a name", head + "a=:x\r\n"},
		{"unknown field", head + "x=y\r\n"},
		{"no equals sign", head + "ax\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Parse(c.in, DefaultLimits)
			var e *Error
			if d != nil || !errors.As(err, &e) {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

func TestAppendRefusesFieldsThatLeaveTheirPlace(t *testing.T) {
	good := func() *Description {
		return &Description{Media: []Media{{Type: "audio", Port: 9, Protocol: "RTP/AVP", Formats: []string{"0"}}}}
	}
	if _, err := good().Append(nil); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Description){
		"line break in a value": func(d *Description) { d.Attributes.Add("x", "y\r\na=z") },
		"line break in a name":  func(d *Description) { d.Attributes.Add("x\ny", "") },
		"colon in a name":       func(d *Description) { d.Attributes.Add("x:y", "") },
		"no name":               func(d *Description) { d.Attributes.Add("", "y") },
		"space in an address":   func(d *Description) { d.Connection = &Connection{"IP4", "1.2.3.4 x"} },
		"no address":            func(d *Description) { d.Connection = &Connection{"IP4", ""} },
		"space in a format":     func(d *Description) { d.Media[0].Formats = []string{"0 8"} },
		"no format":             func(d *Description) { d.Media[0].Formats = nil },
		"space in a protocol":   func(d *Description) { d.Media[0].Protocol = "RTP/AVP 5" },
		"no type":               func(d *Description) { d.Media[0].Type = "" },
		"bad bandwidth":         func(d *Description) { d.Bandwidth = []Bandwidth{{"A S", 1}} },
		"bad user name":         func(d *Description) { d.Origin.Username = "a b" },
		"no UTF-8":              func(d *Description) { d.Name = "\xff" },
		"a long line":           func(d *Description) { d.Attributes.Add("x", strings.Repeat("y", 5000)) },
		"too much":              func(d *Description) { d.Attributes = make(Attributes, 5000); fill(d.Attributes) },
	} {
		d := good()
		change(d)
		out, err := d.Append([]byte("kept"))
		if err == nil || string(out) != "kept" {
			t.Errorf("%s: %q %v", name, out, err)
		}
	}
}

func fill(list Attributes) {
	for i := range list {
		list[i].Name = "x"
	}
}

// seeds are what browsers wrote.
func seeds(t testing.TB) (list []string) {
	files, _ := filepath.Glob("../testdata/*/*.sdp")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(b))
	}
	if len(list) < 100 {
		t.Fatalf("%d captures", len(list))
	}
	return list
}

func TestBrowsersLinesComeBack(t *testing.T) {
	for _, text := range seeds(t) {
		d, err := Parse(text, DefaultLimits)
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		out, err := d.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(text) != strings.TrimSpace(string(out)) {
			t.Errorf("got\n%s\nwant\n%s", out, text)
		}
	}
}

// What is accepted is written, read again the same, and written the same.
func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Add(head + "a=x:y\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP6 ::\r\nb=AS:1\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text, DefaultLimits)
		if err != nil {
			return
		}
		out, err := d.Append(nil)
		if err != nil {
			if len(text) < DefaultLimits.Bytes/2 && strings.Count(text, "\n") < DefaultLimits.Lines {
				t.Fatalf("%v:\n%q", err, text)
			}
			return // CRLF for LF made it too long
		}
		again, err := Parse(string(out), DefaultLimits)
		if err != nil {
			t.Fatalf("%v:\n%q", err, out)
		}
		if !reflect.DeepEqual(d, again) {
			t.Fatalf("%+v\n%+v", d, again)
		}
	})
}

package geo

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// lookup finds the region of an address as HAProxy does: the longest prefix decides.
func lookup(t testing.TB, text string, a netip.Addr) (region string) {
	t.Helper()
	bits := -1
	for line := range strings.Lines(text) {
		network, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		p, err := netip.ParsePrefix(network)
		if !ok || err != nil || p != p.Masked() {
			t.Fatalf("the line %q: %v", line, err)
		}
		if p.Contains(a) && p.Bits() > bits {
			region, bits = name, p.Bits()
		}
	}
	return region
}

func TestV21MapOfRegions(t *testing.T) {
	country := func(code string) []byte { return object(text("country"), object(text("iso_code"), text(code))) }
	us, fr, ca := country("US"), country("FR"), country("CA")
	values := join(us, fr, ca)
	networks := map[string]int{
		"192.0.2.0/25": 0, "192.0.2.128/25": len(us) + len(fr), // one line: both in the same region
		"198.51.100.0/24": len(us), "203.0.113.0/26": 0, "203.0.113.64/26": len(us), "203.0.113.128/26": 0,
	}
	for _, version := range []int{4, 6} {
		if version == 6 {
			networks["2001:db8::/33"], networks["2001:db8:8000::/33"], networks["2001:db9::/32"] = 0, 0, len(us)
		}
		db, err := Parse(file(version, 28, values, networks))
		if err != nil {
			t.Fatal(err)
		}
		regions, err := ParseRegions("us=US,CA; eu=*")
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := db.WriteMap(&b, regions); err != nil {
			t.Fatal(err)
		}
		want := "0.0.0.0/0 eu\n::/0 eu\n192.0.2.0/24 us\n203.0.113.0/26 us\n203.0.113.128/26 us\n"
		if version == 6 {
			want += "2001:db8::/32 us\n"
		}
		if b.String() != want {
			t.Errorf("version %d: %s", version, b.String())
		}
		for _, a := range []string{"192.0.2.1", "192.0.2.200", "198.51.100.7", "203.0.113.1", "203.0.113.65", "203.0.113.129", "203.0.113.200", "8.8.8.8", "2001:db8::1", "2001:db9::1", "::1"} {
			addr := netip.MustParseAddr(a)
			if got, want := lookup(t, b.String(), addr), regions.Region(db.Country(addr)); got != want {
				t.Errorf("%s: %s, want %s", a, got, want)
			}
		}
	}
}

func TestRegions(t *testing.T) {
	r, err := ParseRegions("us=US,CA;asia-1=JP;eu=DE,*")
	if err != nil || r.Region("CA") != "us" || r.Region("JP") != "asia-1" || r.Region("DE") != "eu" || r.Region("") != "eu" || r.Region("BR") != "eu" {
		t.Errorf("%+v %v", r, err)
	}
	for _, bad := range []string{"", "us", "us=US", "us=US;eu=*;as=*", "us=US;eu=US,*", "us=us;eu=*", "u s=US;eu=*", "=US;eu=*", "us=;eu=*", "us=USA;eu=*", "us=US\nx;eu=*"} {
		if r, err := ParseRegions(bad); err == nil {
			t.Errorf("%q: %+v", bad, r)
		}
	}
}

func FuzzRegions(f *testing.F) {
	f.Add("us=US,CA;eu=*", "US")
	f.Add("a=AA,BB,*", "")
	f.Add("a=*;b=*", "ZZ")
	f.Fuzz(func(t *testing.T, s, country string) {
		r, err := ParseRegions(s)
		if err != nil {
			return
		}
		if name := r.Region(country); name == "" || strings.ContainsAny(name, " \r\n") || !strings.Contains(s, name+"=") {
			t.Fatalf("%q: %q", s, name)
		}
	})
}

// A damaged file gives a map or an error, and an end.
func FuzzMap(f *testing.F) {
	values, networks := sample()
	for _, version := range []int{4, 6} {
		if version == 4 {
			delete(networks, "2001:db8::/32")
		} else {
			networks["2001:db8::/32"] = 0
		}
		f.Add(file(version, 24, values, networks))
	}
	regions, err := ParseRegions("de=DE;eu=*")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		db, err := Parse(b)
		if err != nil {
			return
		}
		var out limited
		err = db.WriteMap(&out, regions)
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, errFull) {
			t.Fatal(err)
		}
	})
}

var errFull = errors.New("full")

// limited takes some bytes.
type limited int

func (l *limited) Write(b []byte) (int, error) {
	if *l += limited(len(b)); *l > 1<<20 {
		return 0, errFull
	}
	return len(b), nil
}

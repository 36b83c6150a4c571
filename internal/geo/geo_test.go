package geo

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"parley/internal/geo/geotest"
)

// The writers of values.
var (
	text, number, object, file = geotest.Text, geotest.Number, geotest.Object, geotest.File
	marker                     = geotest.Marker
)

func join(list ...[]byte) (out []byte) {
	for _, b := range list {
		out = append(out, b...)
	}
	return out
}

// sample has a country behind other members of all types, one that is pointed at, and one that is registered alone.
func sample() (values []byte, networks map[string]int) {
	germany := object(text("geoname_id"), number(2921044), text("iso_code"), text("DE"))
	var at []int
	add := func(b []byte) {
		at = append(at, len(values))
		values = append(values, b...)
	}
	add(germany)
	long := make([]byte, 300)
	add(object(
		text("array"), []byte{2, 4, 1 << 5, 0, 2<<5 | 1, 'x'}, text("bool"), []byte{1, 7}, text("double"), append([]byte{3<<5 | 8}, make([]byte, 8)...),
		text("int"), []byte{4, 1, 0, 0, 0, 1}, text("long"), text(string(long)),
		text("country"), []byte{1 << 5, 0}, // a pointer to what is at 0
	))
	add(object(text("country"), object(text("geoname_id"), number(1)), text("registered_country"), object(text("iso_code"), text("FR"))))
	add(object(text("country"), object(text("iso_code"), text("<b>"))))
	return values, map[string]int{"192.0.2.0/24": at[1], "198.51.100.128/25": at[2], "203.0.113.0/24": at[3], "2001:db8::/32": at[1]}
}

func TestCountries(t *testing.T) {
	values, networks := sample()
	for _, version := range []int{4, 6} {
		for _, bits := range []int{24, 28, 32} {
			if version == 4 {
				delete(networks, "2001:db8::/32")
			} else {
				_, networks = sample()
			}
			db, err := Parse(file(version, bits, values, networks))
			if err != nil {
				t.Fatal(version, bits, err)
			}
			six := "DE"
			if version == 4 {
				six = ""
			}
			for ip, want := range map[string]string{
				"192.0.2.1": "DE", "192.0.2.255": "DE", "::ffff:192.0.2.7": "DE", "192.0.3.1": "", "198.51.100.200": "FR", "198.51.100.1": "", "203.0.113.9": "",
				"2001:db8::1": six, "2001:db9::1": "", "::1": "", "10.0.0.1": "",
			} {
				if got := db.Country(netip.MustParseAddr(ip)); got != want {
					t.Errorf("version %d, %d bits: %s is in %q, not %q", version, bits, ip, got, want)
				}
			}
		}
	}
}

func TestNoFileIsNoCountry(t *testing.T) {
	var db *DB
	if got := db.Country(netip.MustParseAddr("192.0.2.1")); got != "" {
		t.Error(got)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for name, b := range map[string][]byte{"empty": {}, "text": []byte("GeoIP"), "marker": []byte(marker), "metadata": append([]byte(marker), object(text("node_count"), number(9))...)} {
		if _, err := Parse(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "x.mmdb")
	values, networks := sample()
	if err := os.WriteFile(path, file(6, 28, values, networks), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err := Open(path); err != nil || db.Country(netip.MustParseAddr("192.0.2.1")) != "DE" {
		t.Error(err)
	}
}

// What points in circles, or out of the file, ends.
func TestDamagedValues(t *testing.T) {
	deep := []byte{}
	for range 40 {
		deep = join(deep, []byte{7<<5 | 1}, text("country"))
	}
	for name, values := range map[string][]byte{
		"a pointer to itself":  {1 << 5, 0},
		"two in a circle":      {1 << 5, 2, 1 << 5, 0},
		"out of the section":   {1<<5 | 3<<3, 0xff, 0xff, 0xff, 0xff},
		"a map without end":    {7<<5 | 31, 0xff, 0xff, 0xff},
		"maps in maps":         deep,
		"a text without end":   {7<<5 | 1, 2<<5 | 20, 'x'},
		"no byte of its type":  {0},
		"a country that loops": join([]byte{7<<5 | 1}, text("country"), []byte{1 << 5, 0}),
		"a country to nowhere": join([]byte{7<<5 | 1}, text("country"), []byte{1<<5 | 7, 0xff}),
	} {
		db, err := Parse(file(4, 24, values, map[string]int{"192.0.2.0/24": 0, "198.51.100.0/24": 1 << 16}))
		if err != nil {
			t.Fatal(name, err)
		}
		for _, ip := range []string{"192.0.2.1", "198.51.100.1"} {
			if got := db.Country(netip.MustParseAddr(ip)); got != "" {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	values, networks := sample()
	for _, bits := range []int{24, 28, 32} {
		f.Add(file(6, bits, values, networks), []byte{192, 0, 2, 1})
	}
	delete(networks, "2001:db8::/32")
	f.Add(file(4, 24, values, networks), []byte{198, 51, 100, 200})
	f.Fuzz(func(t *testing.T, b, ip []byte) {
		db, err := Parse(b)
		if err != nil {
			return
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			if c := db.Country(a); c != "" && len(c) != 2 {
				t.Fatal(c)
			}
		}
	})
}

func BenchmarkCountry(b *testing.B) {
	values, networks := sample()
	db, err := Parse(file(6, 28, values, networks))
	if err != nil {
		b.Fatal(err)
	}
	a := netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		db.Country(a)
	}
}

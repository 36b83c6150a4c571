package geo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Regions says which region a country is in.
type Regions struct {
	of   map[string]string // by the code of the country
	rest string            // of all others
}

// ParseRegions reads regions such as "us=US,CA;eu=*": the codes of countries (ISO 3166-1) of each, and * for all others, which one of
// them has to have. Names have lower-case letters, digits and hyphens.
func ParseRegions(s string) (Regions, error) {
	r := Regions{of: make(map[string]string)}
	for part := range strings.SplitSeq(s, ";") {
		name, list, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || name == "" || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return Regions{}, fmt.Errorf("%q is not like us=US,CA", part)
		}
		for code := range strings.SplitSeq(list, ",") {
			code = strings.TrimSpace(code)
			was := r.of[code]
			if code == "*" {
				was, r.rest = r.rest, name
			} else if len(code) != 2 || !upper(code[0]) || !upper(code[1]) {
				return Regions{}, fmt.Errorf("%q is no code of a country such as US", code)
			} else {
				r.of[code] = name
			}
			if was != "" {
				return Regions{}, fmt.Errorf("%s is in %s and in %s", code, was, name)
			}
		}
	}
	if r.rest == "" {
		return Regions{}, errors.New("one of the regions has to have * for all other countries")
	}
	return r, nil
}

// Region is the region of a country.
func (r *Regions) Region(country string) string {
	if name := r.of[country]; name != "" {
		return name
	}
	return r.rest
}

// mostNetworks is more than any real file has. In a damaged one parts of the tree may be there many times.
const mostNetworks = 16 << 20

// WriteMap writes a map for HAProxy (map_ip): a line "NETWORK REGION" for each network, of which the longest prefix decides. The first
// lines are of all addresses; what has the same region as they is not there again. The error is ErrFormat or that of the writer.
func (db *DB) WriteMap(w io.Writer, regions Regions) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "0.0.0.0/0 %s\n::/0 %s\n", regions.rest, regions.rest)
	type line struct {
		network netip.Prefix
		region  string
	}
	var wait []line // that may still become one with the next
	flush := func() {
		for _, l := range wait {
			fmt.Fprintf(out, "%s %s\n", l.network, l.region)
		}
		wait = wait[:0]
	}
	n := 0
	for found := range db.reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if n++; n > mostNetworks {
			return fmt.Errorf("%w: it has more than %d networks", ErrFormat, mostNetworks)
		}
		if err := found.Err(); err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		country := ""
		if found.Found() {
			country = countryOf(found)
		}
		region := regions.Region(country)
		if region == regions.rest {
			flush()
			continue
		}
		network := found.Prefix().Masked()
		if !network.IsValid() {
			return ErrFormat
		}
		wait = append(wait, line{network, region})
		for len(wait) > 1 {
			a, b := wait[len(wait)-2], wait[len(wait)-1]
			over, ok := parent(a.network, b.network)
			if !ok || a.region != b.region {
				break
			}
			wait = append(wait[:len(wait)-2], line{over, a.region})
		}
		if len(wait) > 256 { // what is that far behind has no other half any more
			for _, l := range wait[:128] {
				fmt.Fprintf(out, "%s %s\n", l.network, l.region)
			}
			wait = slices.Delete(wait, 0, 128)
		}
	}
	flush()
	return out.Flush()
}

// parent is the network of which two are the halves, the first one first.
func parent(a, b netip.Prefix) (netip.Prefix, bool) {
	if a.Bits() != b.Bits() || a.Bits() == 0 || a == b || a.Addr().Is4() != b.Addr().Is4() {
		return netip.Prefix{}, false
	}
	over := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
	return over, over.Addr() == a.Addr() && over.Contains(b.Addr())
}

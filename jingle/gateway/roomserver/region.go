package roomserver

import (
	"net/netip"
	"slices"
)

// Countries tells the country of an address, "" if it does not know it.
type Countries interface {
	Country(a netip.Addr) string
}

// regions tell where addresses are.
type regions struct {
	countries Countries // nil: nothing is known
	names     map[string]string
	neutral   string // where those meet who are in different ones
}

func newRegions(cfg Config, countries Countries) regions {
	r := regions{countries: countries, names: make(map[string]string), neutral: cfg.NeutralRegion}
	for _, region := range cfg.Region {
		for _, c := range region.Countries {
			r.names[c] = region.Name
		}
	}
	return r
}

// of is the region of an address, "" if it is in none.
func (r regions) of(a netip.Addr) string {
	if r.countries == nil || !a.IsValid() {
		return ""
	}
	return r.names[r.countries.Country(a)]
}

// between are the regions in which a server for two is looked for, in that order; then anywhere.
func (r regions) between(a, b string) []string {
	var list []string
	if a == b && a != "" {
		list = append(list, a)
	}
	if r.neutral != "" && !slices.Contains(list, r.neutral) {
		list = append(list, r.neutral)
	}
	return list
}

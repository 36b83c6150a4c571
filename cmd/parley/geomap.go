package main

import (
	"fmt"
	"os"

	"parley/internal/geo"
)

type geomapCmd struct {
	DB      string `help:"File of countries in the MaxMind DB format, such as GeoLite2-Country.mmdb." required:"" placeholder:"FILE" type:"existingfile" name:"db"`
	Regions string `help:"Countries of each region, and * for all others, such as us=US,CA;eu=*. The names are those of the backends be_NAME." required:"" placeholder:"REGIONS"`
}

// Run prints the map.
func (c *geomapCmd) Run() error {
	regions, err := geo.ParseRegions(c.Regions)
	if err != nil {
		return fmt.Errorf("--regions: %w", err)
	}
	db, err := geo.Open(c.DB)
	if err != nil {
		return err
	}
	return db.WriteMap(os.Stdout, regions)
}

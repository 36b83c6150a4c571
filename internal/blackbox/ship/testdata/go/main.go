// Command go stands in for the real one where an image is built: what it builds lies there already.
package main

import (
	"io"
	"log"
	"os"
	"slices"
)

func main() {
	i := slices.Index(os.Args, "-o")
	if i < 0 {
		return // it downloads
	}
	from, err := os.Open("/built/parley")
	if err != nil {
		log.Fatal(err)
	}
	to, err := os.OpenFile(os.Args[i+1], os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		log.Fatal(err)
	}
	if err := to.Close(); err != nil {
		log.Fatal(err)
	}
}

package transcript

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/tools/txtar"
)

var _ = errors.New
var _ fs.FS
var _ = regexp.MustCompile
var _ = fmt.Sprint
var _ = strings.Cut
var _ = unicode.IsSpace
var _ txtar.Archive

package wire

// Limits bound what one top-level element may cost before anything of it is decoded. Zero means no limit of that kind,
// except Size and Depth, which must be set.
type Limits struct {
	Size     int // bytes of one top-level element, announced by XEP-0478
	Depth    int // elements inside one another, the top-level element counted
	Children int // child elements of one element
	Attrs    int // attributes of one element, namespace declarations included
	Decls    int // namespace declarations of one element
	Name     int // bytes of an element or attribute name, prefix included
	Value    int // bytes of an attribute value as written
	Text     int // bytes of an uninterrupted run of text as written
}

// The default limits of hardening.md §1.
var (
	BeforeAuth = Limits{Size: 10_000, Depth: 8, Children: 64, Attrs: 32, Decls: 16, Name: 128, Value: 1 << 10, Text: 4 << 10}
	AfterAuth  = Limits{Size: 262_144, Depth: 32, Children: 4096, Attrs: 64, Decls: 32, Name: 256, Value: 32 << 10}
)

package im

import (
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"parley/xmpp/wire"
)

// NSServerInfo is the FORM_TYPE of what a server says of those who run it (XEP-0157).
const NSServerInfo = "http://jabber.org/network/serverinfo"

// Contacts are addresses of those who run the server (XEP-0157), as URIs.
type Contacts struct {
	Abuse    []string `help:"whom to tell of abuse, like [\"mailto:abuse@example.org\", \"xmpp:abuse@example.org\"]"`
	Admin    []string `help:"who runs the server"`
	Feedback []string `help:"whom to tell what one thinks of it"`
	Sales    []string `help:"whom to ask for offers"`
	Security []string `help:"whom to tell of weaknesses"`
	Status   []string `help:"where it says how the server is"`
	Support  []string `help:"whom to ask for help"`
}

// fields are the fields of the form that are not empty, by name.
func (c *Contacts) fields() (list []FormField) {
	for _, f := range []FormField{
		{"abuse-addresses", c.Abuse}, {"admin-addresses", c.Admin}, {"feedback-addresses", c.Feedback}, {"sales-addresses", c.Sales},
		{"security-addresses", c.Security}, {"status-addresses", c.Status}, {"support-addresses", c.Support},
	} {
		if len(f.Values) > 0 {
			list = append(list, f)
		}
	}
	return list
}

// Check says which addresses are none.
func (c *Contacts) Check() error {
	for _, f := range c.fields() {
		for _, v := range f.Values {
			if !isURI(v) {
				return fmt.Errorf("contact.%s: %q is no address such as mailto:admin@example.org, xmpp:admin@example.org or https://example.org/contact", strings.TrimSuffix(f.Name, "-addresses"), v)
			}
		}
	}
	return nil
}

// isURI reports that a text is a URI that leads to somebody.
func isURI(s string) bool {
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7F || strings.ContainsRune("<>\"{}|\\^`", c) }) {
		return false
	}
	switch u.Scheme {
	case "":
		return false
	case "mailto":
		to, err := url.PathUnescape(u.Opaque)
		_, bad := mail.ParseAddress(to)
		return err == nil && bad == nil
	case "xmpp":
		to, err := url.PathUnescape(u.Opaque)
		_, bad := wire.ParseAddr(to)
		return err == nil && bad == nil
	case "http", "https":
		return u.Host != ""
	}
	return u.Opaque != "" || u.Host != ""
}

// Contacts has the host say who runs it. It is called before the first session.
func (h *Host) Contacts(c Contacts) {
	if fields := c.fields(); len(fields) > 0 {
		h.AnnounceForm(NSServerInfo, fields...)
	}
}

// FormField is a field of a form (XEP-0004) with its values.
type FormField struct {
	Name   string
	Values []string
}

// form is what disco#info says beside identities and features (XEP-0128).
type form struct {
	typ    string
	fields []FormField
}

// AnnounceForm adds a form to what the host says of itself. It is called before the first session.
func (h *Host) AnnounceForm(typ string, fields ...FormField) {
	h.info.forms = append(h.info.forms, form{typ, fields})
}

// append appends the form.
func (f *form) append(out []byte) []byte {
	out = wire.AppendElem(append(out, "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"...), "value", f.typ)
	for _, field := range f.fields {
		out = append(wire.AppendAttr(append(out, "</field><field"...), "var", field.Name), " type='list-multi'>"...)
		for _, v := range field.Values {
			out = wire.AppendElem(out, "value", v)
		}
	}
	return append(out, "</field></x>"...)
}

// ver is what the form adds to the verification string (XEP-0115 §5.1, steps 6 and 7).
func (f *form) ver() string {
	fields := slices.SortedFunc(slices.Values(f.fields), func(a, b FormField) int { return strings.Compare(a.Name, b.Name) })
	out := f.typ + "<"
	for _, field := range fields {
		out += field.Name + "<"
		for _, v := range slices.Sorted(slices.Values(field.Values)) {
			out += v + "<"
		}
	}
	return out
}

package token

import (
	"net/url"
	"strings"
	"time"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// Any stands in Claims.Room and Claims.Tenant for all of them.
const Any = "*"

// Claims is what a checked token says. Every text in it is fit for XML and bounded.
type Claims struct {
	Issuer   string
	Audience []string
	ID       string // jti, may be empty

	Expires   time.Time
	NotBefore time.Time // zero if the token does not say
	IssuedAt  time.Time // zero if the token does not say

	Room   string // name of the room as written, or Any
	Tenant string // tenant as written, "" for rooms of the domain itself, or Any
	Door   string // the one door that the token opens, "" for all
	Once   bool   // it may be used once

	User      User
	Group     string
	Moderator bool // enters as owner
	Features  map[string]bool

	// Accounts says that the administrator trusts this issuer to name accounts: User.ID may log in as the account of
	// that name.
	Accounts bool

	Leeway time.Duration // by which clocks may differ: how long after Expires the token is still current
}

// User is whom the token was issued to, as the issuer calls them.
type User struct {
	ID, Name, Email    string
	Avatar             string // http or https URL
	HiddenFromRecorder bool
}

// Allows reports whether the token opens the room of the tenant; tenant is "" for rooms of the domain itself. Names are
// compared after the normalisation that addresses have (RFC 7622 §3.3), and a claim is always a name, never a pattern.
// The error is an *Error with CodeScope.
func (c *Claims) Allows(room, tenant string) error {
	if c.Tenant != Any && !(c.Tenant == "" && tenant == "") && !sameName(c.Tenant, tenant) {
		return errTenant
	}
	if c.Room != Any && !sameName(c.Room, room) {
		return errRoom
	}
	return nil
}

// AllowsDoor reports whether the token opens the door: "xmpp", "roomserver", "apprtc", "mqtt", "whip".
func (c *Claims) AllowsDoor(door string) error {
	if c.Door != "" && c.Door != door {
		return errDoor
	}
	return nil
}

// Current reports whether the token is still valid, for a check behind the first one.
func (c *Claims) Current(now time.Time) error {
	if !now.Before(c.Expires.Add(c.Leeway)) {
		return errExpired
	}
	return nil
}

// sameName compares the name in a token with a name at the door.
func sameName(claim, name string) bool {
	got, err := precis.UsernameCaseMapped.String(name)
	if err != nil || got == "" {
		return false
	}
	if want, err := precis.UsernameCaseMapped.String(claim); err == nil && want == got {
		return true
	}
	return claim != "" && backendSafe(claim) == got
}

// backendSafe spells a room's name as the Jitsi client does when it makes an address from it: NFKC, lower case,
// percent-encoded. The claim is only ever encoded, never decoded, so that no two claims open one room by accident.
func backendSafe(name string) string {
	name = url.QueryEscape(strings.ToLower(norm.NFKC.String(name)))
	// What encodeURIComponent leaves as it is, and QueryEscape does not, or the other way round.
	return strings.ToLower(unreserved.Replace(name))
}

var unreserved = strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")

// Longest claims in bytes.
const (
	maxName   = 256
	maxRoom   = 1023
	maxEmail  = 320
	maxAvatar = 2048
	maxFeats  = 64
)

// readContext fills in what the claim context and its relatives say. The error names the claim.
func (c *Claims) readContext(o object) error {
	moderator, err := o.flag("moderator")
	if err != nil {
		return err
	}
	c.Moderator = moderator
	context, err := o.child("context")
	if err != nil {
		return err
	}
	if c.Group, err = context.text("group", maxName); err != nil {
		return err
	}
	features, err := context.child("features")
	if err != nil {
		return err
	}
	if err := c.readFeatures(features); err != nil {
		return err
	}
	user, err := context.child("user")
	if err != nil {
		return err
	}
	return c.readUser(user)
}

func (c *Claims) readFeatures(o object) error {
	if len(o) > maxFeats {
		return errTooMany
	}
	for name := range o {
		if err := checkText("feature", name, maxName); err != nil {
			return err
		}
		on, err := o.flag(name)
		if err != nil {
			return err
		}
		if c.Features == nil {
			c.Features = make(map[string]bool, len(o))
		}
		c.Features[name] = on
	}
	return nil
}

func (c *Claims) readUser(o object) error {
	for _, f := range []struct {
		name    string
		longest int
		to      *string
	}{
		{"id", maxName, &c.User.ID}, {"name", maxName, &c.User.Name}, {"email", maxEmail, &c.User.Email},
	} {
		s, err := o.text(f.name, f.longest)
		if err != nil {
			return err
		}
		*f.to = s
	}
	// Older issuers write avatarURL. An address of another kind than http is left out: the user may have chosen it.
	for _, name := range []string{"avatar", "avatarURL"} {
		s, err := o.text(name, maxAvatar)
		if err != nil {
			return err
		}
		if u, err := url.Parse(s); err == nil && c.User.Avatar == "" && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
			c.User.Avatar = s
		}
	}
	var err error
	if c.User.HiddenFromRecorder, err = o.flag("hidden-from-recorder"); err != nil {
		return err
	}
	moderator, err := o.flag("moderator")
	if err != nil {
		return err
	}
	affiliation, err := o.text("affiliation", maxName)
	if err != nil {
		return err
	}
	c.Moderator = c.Moderator || moderator || affiliation == "owner" || affiliation == "moderator"
	return nil
}

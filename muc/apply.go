package muc

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"parley/xmpp/form"
)

// The longest texts of a configuration, in bytes.
const (
	longestName = 256
	longestDesc = 2048
	longestLang = 35 // BCP 47 §4.4.1
	longestPass = 256
)

// apply takes over what the form says and returns what is wrong with it.
func (c *settings) apply(a form.Answers, limits *Limits) (wrong string) {
	a.Text(cfgName, &c.Name)
	a.Text(cfgDesc, &c.Description)
	a.Text(cfgLang, &c.Lang)
	for name, to := range map[string]*bool{
		cfgPersistent: &c.Persistent, cfgPublic: &c.Public, cfgModerated: &c.Moderated, cfgMembers: &c.MembersOnly,
		cfgReal: &c.Real, cfgSubject: &c.ChangeSubject, cfgInvites: &c.AllowInvites, cfgEnlist: &c.Enlist,
	} {
		if !a.Flag(name, to) {
			return name + " is 0 or 1"
		}
	}
	if wrong := c.applyPassword(a); wrong != "" {
		return wrong
	}
	if v, ok := a[cfgWhois]; ok {
		i := slices.Index(whois, one(v))
		if i < 0 {
			return "addresses are seen by moderators or anyone"
		}
		c.Anyone = i == 1
	}
	if v, ok := a[cfgPM]; ok {
		i := slices.Index(whoms[:], one(v))
		if i < 0 {
			return "private messages are sent by anyone, participants, moderators or none"
		}
		c.AllowPM = whom(i)
	}
	if v, ok := a[cfgBroadcast]; ok {
		c.Broadcast = 0
		for _, name := range v {
			role, ok := roleOf(name)
			if !ok || role == NoRole {
				return "there is no role of that name"
			}
			c.Broadcast |= 1 << role
		}
	}
	if v, ok := a[cfgMaxUsers]; ok {
		n, err := strconv.Atoi(one(v))
		if one(v) == "" || one(v) == "none" {
			n, err = 0, nil
		}
		if err != nil || n < 0 || n > limits.Occupants {
			return "the number of occupants is at most " + strconv.Itoa(limits.Occupants)
		}
		c.MaxUsers = n
	}
	if v, ok := a[cfgHistory]; ok {
		n, err := strconv.Atoi(one(v))
		if err != nil || n < 0 || n > limits.History {
			return "the length of the history is at most " + strconv.Itoa(limits.History)
		}
		c.History = n
	}
	switch {
	case len(c.Name) > longestName, len(c.Description) > longestDesc, len(c.Lang) > longestLang, len(c.Password) > longestPass:
		return "a text is too long"
	case !storable(c.Name) || !storable(c.Description) || !storable(c.Lang) || !storable(c.Password):
		return "a text is none"
	}
	return ""
}

// applyPassword sets or lifts the password. A password that is given alone sets it; protection without one is refused.
func (c *settings) applyPassword(a form.Answers) (wrong string) {
	secret, protected := c.Password, c.Password != ""
	_, given := a[cfgSecret]
	a.Text(cfgSecret, &secret)
	if _, said := a[cfgProtected]; !said && given {
		protected = secret != ""
	}
	if !a.Flag(cfgProtected, &protected) {
		return cfgProtected + " is 0 or 1"
	}
	switch {
	case !protected:
		c.Password = ""
	case secret == "":
		return "a password is needed"
	default:
		c.Password = secret
	}
	return ""
}

func one(v []string) string {
	if len(v) != 1 {
		return ""
	}
	return v[0]
}

func storable(s string) bool { return utf8.ValidString(s) }

package config

import (
	"net/url"
	"slices"
	"strconv"
)

// RoomsDomain is the domain of the rooms.
func (c *Config) RoomsDomain() string { return "muc." + c.Domain }

// CallsDomain is the domain at which rooms are called, where there is a bridge.
func (c *Config) CallsDomain() string { return "call." + c.Domain }

// Bridged reports that there is a bridge that carries media.
func (c *Config) Bridged() bool { return c.listens("media") }

// Federated reports that other servers may connect.
func (c *Config) Federated() bool { return c.listens("s2s", "s2ss") }

// Domains are those that other servers reach, the accounts' first and that of the rooms second.
func (c *Config) Domains() []string {
	list := []string{c.Domain, c.RoomsDomain()}
	if c.Bridged() {
		list = append(list, c.CallsDomain())
	}
	for _, p := range c.Component {
		list = append(list, p.Domain)
	}
	return list
}

// FilesHost is the name at which clients reach our HTTPS listener for files; empty: there is none of its own, or
// something else answers there.
func (c *Config) FilesHost() string {
	u, err := url.Parse(c.Upload.URL)
	if err != nil || !c.Upload.Enabled || u.Scheme != "https" || u.Hostname() == c.Domain {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	if !slices.ContainsFunc(c.Listen, func(l Listener) bool { return l.Scheme == "https" && strconv.Itoa(int(l.Port)) == port }) {
		return ""
	}
	return u.Hostname()
}

// CertifiedNames are the names that clients and other servers want to see in certificates, the domain's first.
func (c *Config) CertifiedNames() []string {
	list := []string{c.Domain}
	if c.Federated() {
		list = c.Domains()
	}
	if files := c.FilesHost(); files != "" && !slices.Contains(list, files) {
		list = append(list, files)
	}
	return list
}

func (c *Config) listens(schemes ...string) bool {
	return slices.ContainsFunc(c.Listen, func(l Listener) bool { return slices.Contains(schemes, l.Scheme) })
}

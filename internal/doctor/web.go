package doctor

import (
	"context"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// web asks for the document that tells clients in browsers where the server is (XEP-0156), as they would.
func (e *examination) web(ctx context.Context) {
	domain := e.Config.Domain
	if domain == "localhost" || e.Config.Development() || e.Fetch == nil || e.PID == 0 || len(e.listens("https"))+len(e.listens("http")) == 0 {
		return
	}
	at := "https://" + domain + "/.well-known/host-meta"
	// Behind a proxy, or at another port, it is somebody else who answers at 443, and who may be set up otherwise on purpose.
	level := Note
	if slices.Contains(e.listens("https"), 443) {
		level = Fault
	}
	body, err := e.Fetch(ctx, at)
	if err != nil {
		var unknown x509.UnknownAuthorityError
		var name x509.HostnameError
		advice := "clients in browsers on other pages do not find the server: open port 443 to the https:// listener, or have the proxy in front pass /.well-known/ on"
		if errors.As(err, &unknown) || errors.As(err, &name) {
			advice = "browsers do not trust the certificate that is shown there"
		}
		e.add(level, "host-meta", fmt.Sprintf("%v; %s", err, advice))
		return
	}
	var doc struct {
		XMLName xml.Name `xml:"XRD"`
		Link    []struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		}
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		e.add(level, "host-meta", fmt.Sprintf("what %s answers is no host-meta (%v): is it another server's page?", at, err))
		return
	}
	ours := append([]string{domain}, e.Config.HTTP.Hosts...)
	found := false
	for _, l := range doc.Link {
		kind, known := strings.CutPrefix(l.Rel, "urn:xmpp:alt-connections:")
		if !known {
			continue
		}
		found = true
		u, err := url.Parse(l.Href)
		switch {
		case err != nil:
			e.add(Fault, "host-meta", fmt.Sprintf("%s names %q for %s, which is no address", at, l.Href, kind))
		case !slices.Contains(ours, u.Hostname()):
			e.add(Fault, "host-meta", fmt.Sprintf("%s leads to %s for %s, which is not among this server's names (the domain, and http.hosts)", at, l.Href, kind))
		case u.Scheme != "wss" && u.Scheme != "https":
			e.add(Fault, "host-meta", fmt.Sprintf("%s leads to %s for %s, which browsers refuse from a secure page: have the proxy set X-Forwarded-Proto, and write its network into http.proxies", at, l.Href, kind))
		default:
			e.add(OK, "host-meta", fmt.Sprintf("%s: %s", kind, l.Href))
		}
	}
	if !found {
		e.add(level, "host-meta", fmt.Sprintf("%s names no way to connect: it is not this server's", at))
	}
}

package upload

import (
	"errors"
	"strings"
	"testing"
	"time"

	"parley/internal/limit"
	"parley/xmpp/route/routetest"
	"parley/xmpp/wire"
)

func TestDiscovery(t *testing.T) {
	s := newService(t, nil)
	ann := &routetest.Session{Address: "ann@x.net/desk"}
	got := s.send(ann, "<iq type='get' id='1' to='upload.x.net'><query xmlns='"+nsInfo+"'/></iq>")
	for _, want := range []string{"from='upload.x.net'", "<identity category='store' type='file'", "<feature var='urn:xmpp:http:upload:0'/>",
		"<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:http:upload:0</value></field><field var='max-file-size'><value>1000</value></field>"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	for stanza, want := range map[string]string{
		"<iq type='get' id='1' to='upload.x.net'><query xmlns='" + nsItems + "'/></iq>":    "type='result'",
		"<iq type='get' id='1' to='upload.x.net'><ping xmlns='urn:xmpp:ping'/></iq>":       "type='result'",
		"<iq type='get' id='1' to='upload.x.net'><query xmlns='jabber:iq:roster'/></iq>":   "service-unavailable",
		"<iq type='set' id='1' to='upload.x.net'><request xmlns='" + NS + "'/></iq>":       "service-unavailable",
		"<iq type='get' id='1' to='ann@upload.x.net'><query xmlns='" + nsInfo + "'/></iq>": "service-unavailable",
		"<message to='upload.x.net'><body>hi</body></message>":                             "service-unavailable",
		"<iq type='result' id='1' to='upload.x.net'/>":                                     "",
		"<presence to='upload.x.net'/>":                                                    "",
	} {
		if got := s.send(ann, stanza); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %s, want %s", stanza, got, want)
		}
	}
}

// XEP-0363 §4.
func TestSlotHasTheFileNameAndAKey(t *testing.T) {
	s := newService(t, nil)
	l := s.slot("filename='très cool.jpg' size='23' content-type='image/jpeg'")
	if !isID(l.id) || l.put != s.web.URL+"/upload/"+l.id+"/tr%C3%A8s%20cool.jpg" || l.get != l.put || !strings.HasPrefix(l.authorization, "Bearer ") {
		t.Errorf("%+v", l)
	}
	other := s.slot("filename='très cool.jpg' size='23'")
	if other.id == l.id || other.authorization == l.authorization {
		t.Errorf("two slots are alike: %+v", other)
	}
	if u := s.rows.all[l.id]; u.Owner != "ann@x.net" || u.Size != 23 || u.Type != "image/jpeg" || u.Stored || !u.At.Equal(s.time) {
		t.Errorf("the row: %+v", u)
	}
}

// XEP-0363 §5.
func TestSlotIsRefused(t *testing.T) {
	s := newService(t, nil)
	s.rows.gone["gone@x.net"] = true
	ann := &routetest.Session{Address: "ann@x.net/desk"}
	for _, c := range []struct {
		who        *routetest.Session
		attributes string
		want       []string
	}{
		{ann, "filename='a' size='1001'", []string{"<error type='modify'><not-acceptable ", "<file-too-large xmlns='" + NS + "'><max-file-size>1000</max-file-size></file-too-large>"}},
		{ann, "filename='a' size='99999999999999999999'", []string{"<file-too-large "}},
		{ann, "filename='a' size='-1'", []string{"<bad-request "}},
		{ann, "filename='a' size='-99999999999999999999'", []string{"<bad-request "}},
		{ann, "filename='a' size='1.5'", []string{"<bad-request "}},
		{ann, "filename='a'", []string{"<bad-request "}},
		{ann, "size='1'", []string{"<bad-request "}},
		{&routetest.Session{Address: "g@x.net/1", Anonymous: true}, "filename='a' size='1'", []string{"<error type='auth'><forbidden "}},
		{&routetest.Session{Address: "bob@other.net/1"}, "filename='a' size='1'", []string{"<forbidden "}},
		{&routetest.Session{Address: "x.net"}, "filename='a' size='1'", []string{"<forbidden "}},
		{&routetest.Session{Address: "gone@x.net/1"}, "filename='a' size='1'", []string{"<forbidden "}},
	} {
		got := s.send(c.who, ask(c.attributes))
		for _, want := range append(c.want, "type='error'", "<request xmlns='"+NS+"' "+c.attributes+"/><error") {
			if !strings.Contains(got, want) {
				t.Errorf("%s %s: no %s in %s", c.who.Address, c.attributes, want, got)
			}
		}
	}
	if len(s.rows.all) != 0 {
		t.Errorf("slots were given: %v", s.rows.all)
	}
	s.rows.failing = errors.New("database is down")
	if got := s.send(ann, ask("filename='a' size='1'")); !strings.Contains(got, "<error type='wait'><internal-server-error ") || strings.Contains(got, "database") {
		t.Errorf("the store is away: %s", got)
	}
	s.parts.Do = func(wire.Addr, func(*wire.Batch)) bool { return false }
	if got := s.send(ann, ask("filename='a' size='1'")); !strings.Contains(got, "<resource-constraint ") {
		t.Errorf("too much waits: %s", got)
	}
}

func TestHW7QuotaSaysWhenToTryAgain(t *testing.T) {
	s := newService(t, func(c *Config) { c.Quota, c.Days = 1000, 30 })
	ann := &routetest.Session{Address: "ann@x.net/desk"}
	began := s.time
	s.slot("filename='slot' size='500'")
	stamp := func(at time.Time) string {
		return "<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>you may keep 1000 bytes in 10000 files here</text><retry xmlns='" +
			NS + "' stamp='" + at.UTC().Format("2006-01-02T15:04:05Z") + "'/>"
	}
	if got := s.send(ann, ask("filename='a' size='501'")); !strings.Contains(got, stamp(began.Add(3*slotTime))) {
		t.Errorf("with a slot: %s", got)
	}
	s.store("filename='file' size='300'", strings.Repeat("x", 300))
	s.time = s.time.Add(time.Hour)
	if got := s.send(ann, ask("filename='a' size='201'")); !strings.Contains(got, stamp(began.Add(30*24*time.Hour))) {
		t.Errorf("with a file: %s", got)
	}
	s.slot("filename='a' size='200'")
	if got := s.send(&routetest.Session{Address: "bob@x.net/1"}, ask("filename='a' size='1000'")); !strings.Contains(got, "<slot ") {
		t.Errorf("another account: %s", got)
	}
	s.cfg.Days = 0
	if got := s.send(ann, ask("filename='a' size='1'")); !strings.Contains(got, "<resource-constraint ") || strings.Contains(got, "<retry ") {
		t.Errorf("files that stay: %s", got)
	}
}

func TestHW7SlotsOfOneAccountAreMetered(t *testing.T) {
	s := newService(t, func(c *Config) { c.Rate = limit.Rate{PerSecond: 0.1, Burst: 3} })
	ann := &routetest.Session{Address: "ann@x.net/desk"}
	given := 0
	for range 10 {
		switch got := s.send(ann, ask("filename='a' size='1'")); {
		case strings.Contains(got, "<slot "):
			given++
		case !strings.Contains(got, "<retry xmlns='"+NS+"' stamp='"+s.time.Add(10*time.Second).UTC().Format("2006-01-02T15:04:05Z")):
			t.Errorf("refused with %s", got)
		}
	}
	if given != 3 {
		t.Errorf("%d slots", given)
	}
}

func TestHW7DiskIsNotFilled(t *testing.T) {
	s := newService(t, nil)
	free, err := s.shelf.free()
	if err != nil || free <= 0 {
		t.Fatal(free, err)
	}
	s.cfg.Size, s.cfg.Quota = 1<<60, 1<<60
	if got := s.send(&routetest.Session{Address: "ann@x.net/desk"}, ask("filename='a' size='1000000000000000000'")); !strings.Contains(got, "disk is full") {
		t.Errorf("a file larger than the disk: %s", got)
	}
	s.cfg.DiskFree = 1 << 60
	if got := s.send(&routetest.Session{Address: "ann@x.net/desk"}, ask("filename='a' size='1'")); !strings.Contains(got, "disk is full") || !strings.Contains(got, "<retry ") {
		t.Errorf("%s", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"upload.url":       func(c *Config) { c.URL = "https://files.example.org/" },
		"no origin":        func(c *Config) { c.URL = "files.example.org" },
		"upload.size":      func(c *Config) { c.Size = 0 },
		"upload.quota":     func(c *Config) { c.Quota = c.Size - 1 },
		"upload.files":     func(c *Config) { c.Files = 0 },
		"upload.days":      func(c *Config) { c.Days = -1 },
		"upload.disk_free": func(c *Config) { c.DiskFree = -1 },
	} {
		c := DefaultConfig()
		if change(&c); c.Check() == nil || !strings.Contains(c.Check().Error(), want) {
			t.Errorf("%s: %v", want, c.Check())
		}
	}
	c := DefaultConfig()
	c.URL = "https://files.example.org:8443"
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

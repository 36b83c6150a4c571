package conform

import (
	"io"
	"net/http"
	"strings"

	"parley/internal/peertest"
)

const (
	nsCommands = "http://jabber.org/protocol/commands"
	nsInvite   = "urn:xmpp:invite#invite"
	nsUpload   = "urn:xmpp:http:upload:0"
)

// admin is an administrator of every server here.
const admin = "boss"

// administrator is a session of the administrator.
func (s *scene) administrator() *client {
	s.Helper()
	return s.again(&client{user: admin, account: admin + "@localhost"}, fresh("desk"))
}

func command(node, session, content string) string {
	if session != "" {
		session = " sessionid='" + session + "'"
	}
	return "<command xmlns='" + nsCommands + "' node='" + node + "'" + session + ">" + content + "</command>"
}

// fetch makes a request over HTTP and returns the status and the content.
func (s *scene) fetch(method, url, content, authorization string) (int, string) {
	s.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(content))
	if err != nil {
		s.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := web.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// extras are services beside messages: files, push, commands, invitations.
var extras = []row{
	{"XEP-0363 §4", "a slot takes the file, and gives it back", "", func(s *scene) {
		c := s.client("ann")
		c.get("localhost", items, "<item jid='upload.localhost'")
		c.get("upload.localhost", info, "<feature var='"+nsUpload+"'/>", "max-file-size")
		got := c.get("upload.localhost", "<request xmlns='"+nsUpload+"' filename='très cool.txt' size='5' content-type='text/plain'/>", "<slot xmlns='"+nsUpload+"'")
		put, get := between(s, got, "<put", "</put>"), "<get"+between(s, got, "<get", "/>")
		key := ""
		if strings.Contains(put, "'Authorization'") {
			key = between(s, put, "'Authorization'>", "<")
		}
		url := peertest.Attr(get, "url")
		if status, _ := s.fetch("PUT", attr(s, put, "url"), "hello", key); status != http.StatusCreated {
			s.Fatalf("PUT: %d", status)
		}
		if status, text := s.fetch("GET", url, "", ""); status != http.StatusOK || text != "hello" {
			s.Errorf("GET: %d %q", status, text)
		}
	}},
	{"XEP-0363 §5", "a file that is too large, and a guest", "", func(s *scene) {
		const request = "<request xmlns='" + nsUpload + "' filename='a.bin' size='99999999999'/>"
		s.client("ann").refused("get", "upload.localhost", request, "not-acceptable")
		s.guest().refused("get", "upload.localhost", strings.Replace(request, "99999999999", "5", 1))
	}},
	{"XEP-0357 §5", "push is turned on and off", "", func(s *scene) {
		c := s.client("ann")
		c.get(c.account, info, "<feature var='urn:xmpp:push:0'/>")
		c.set("", "<enable xmlns='urn:xmpp:push:0' jid='push.example.org' node='n1'/>")
		c.set("", "<disable xmlns='urn:xmpp:push:0' jid='push.example.org' node='n1'/>")
		c.refused("set", "", "<enable xmlns='urn:xmpp:push:0' node='n1'/>", "bad-request")
	}},
	{"XEP-0357 §7", "an app server is told of what comes for who is away", "", func(s *scene) {
		ann, bob, app := s.client("ann").present(), s.client("bob"), s.client("app")
		ann.set("", "<enable xmlns='urn:xmpp:push:0' jid='"+app.JID+"' node='n1'>"+form("http://jabber.org/protocol/pubsub#publish-options", "secret", "s3")+"</enable>")
		ann.leave()
		bob.say("<message to='" + ann.account + "' type='chat'><body>tea is served</body></message>")
		got := app.gets("<iq", "type='set'", "<notification xmlns='urn:xmpp:push:0'>")
		wants(s, got, "<publish node='n1'>", "<field var='secret'><value>s3</value></field>", "<value>1</value>")
		if strings.Contains(got, "tea is served") {
			s.Errorf("it says what: %s", got)
		}
		app.say("<iq type='error' id='" + attr(s, got, "id") + "' to='" + attr(s, got, "from") + "'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>") // §9
		app.get("", nsPing)
	}},
	{"XEP-0050 §2", "the commands that somebody may use", "", func(s *scene) {
		const list = "<query xmlns='" + nsItems + "' node='" + nsCommands + "'/>"
		ann, boss := s.client("ann"), s.administrator()
		ann.get("localhost", info, "<feature var='"+nsCommands+"'/>")
		if got := ann.get("localhost", list, nsInvite); strings.Contains(got, nsAdminCommands) {
			s.Errorf("anybody is offered %s", got)
		}
		boss.get("localhost", list, nsAdminCommands+"#add-user")
		ann.refused("set", "localhost", command("nobody-knows", "", ""), "item-not-found")
	}},
	{"XEP-0133 §4.1", "an account is added", "", func(s *scene) {
		boss, user := s.administrator(), fresh("added")
		session := attr(s, boss.set("localhost", command(nsAdminCommands+"#add-user", "", ""), "status='executing'"), "sessionid")
		boss.set("localhost", command(nsAdminCommands+"#add-user", session, form(nsAdminCommands, "accountjid", user+"@localhost", "password", password, "password-verify", password)), "status='completed'")
		s.again(&client{user: user, account: user + "@localhost"}, "home").get("", nsPing)
		s.client("ann").refused("set", "localhost", command(nsAdminCommands+"#add-user", "", ""), "forbidden")
	}},
	{"XEP-0133 §4.2", "an account is deleted, and its sessions end", "", func(s *scene) {
		boss, ann := s.administrator(), s.client("ann")
		session := attr(s, boss.set("localhost", command(nsAdminCommands+"#delete-user", "", ""), "status='executing'"), "sessionid")
		boss.set("localhost", command(nsAdminCommands+"#delete-user", session, form(nsAdminCommands, "accountjids", ann.account)), "status='completed'")
		wants(s, ann.gets("<stream:error"), "<not-authorized ")
		again := s.dial()
		again.Open()
		m := peerSCRAM(ann.user, password)
		wants(s, m.Run(again), "<failure")
	}},
	{"XEP-0133 §4.18", "the accounts that there are", "", func(s *scene) {
		boss, ann := s.administrator(), s.client("ann")
		got := boss.set("localhost", command(nsAdminCommands+"#get-registered-users-list", "", ""))
		if strings.Contains(got, "status='executing'") {
			got = boss.set("localhost", command(nsAdminCommands+"#get-registered-users-list", attr(s, got, "sessionid"), form(nsAdminCommands, "max_items", "none")))
		}
		wants(s, got, "status='completed'", "<value>"+ann.account+"</value>")
		ann.refused("set", "localhost", command(nsAdminCommands+"#get-registered-users-list", "", ""), "forbidden")
	}},
	{"XEP-0133 §4.23", "how something is said to everybody, and who may", "", func(s *scene) { // nothing is said: all other cases would hear it
		boss := s.administrator()
		got := boss.set("localhost", command(nsAdminCommands+"#announce", "", ""), "status='executing'", "var='announcement'", "type='text-multi'")
		boss.refused("set", "localhost", command(nsAdminCommands+"#announce", attr(s, got, "sessionid"), form(nsAdminCommands, "announcement", "")), "bad-request")
		s.client("ann").refused("set", "localhost", command(nsAdminCommands+"#announce", "", ""), "forbidden")
	}},
	{"XEP-0157 §3", "how to reach those who run the server", "", func(s *scene) {
		s.client("ann").get("localhost", info, "http://jabber.org/network/serverinfo", "abuse-addresses", "<value>mailto:abuse@example.org</value>")
	}},
	{"XEP-0401 §3", "a link that makes contacts", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		ann.get("", item(""))
		got := ann.set("localhost", command(nsInvite, "", ""))
		if strings.Contains(got, "status='executing'") {
			got = ann.set("localhost", command(nsInvite, attr(s, got, "sessionid"), form(nsInvite)))
		}
		wants(s, got, "status='completed'", "xmpp:"+ann.account+"?roster;")
		token, _, _ := strings.Cut(between(s, got, "preauth=", "<"), "&")
		bob.get("", item(""))
		bob.say("<presence type='subscribe' to='" + ann.account + "'><preauth xmlns='urn:xmpp:pars:0' token='" + token + "'/></presence>") // XEP-0379 §3.2
		bob.gets("<presence", "type='subscribed'", "from='"+ann.account+"'")
	}},
}

const nsAdminCommands = "http://jabber.org/protocol/admin"

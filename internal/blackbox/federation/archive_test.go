package federation

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

const nsArchive = "urn:xmpp:mam:2"

// page asks an archive for messages and returns those that come, up to the end of the page.
func page(t *testing.T, c *peertest.Client, to, query string) (list []string, fin string) {
	t.Helper()
	id := fmt.Sprint("page", time.Now().UnixNano())
	if to != "" {
		to = " to='" + to + "'"
	}
	c.Send("<iq type='set' id='" + id + "'" + to + "><query xmlns='" + nsArchive + "' queryid='" + id + "'>" + query + "</query></iq>")
	for {
		got := strings.ReplaceAll(c.ReadWithin(patience), `"`, "'")
		switch {
		case got == "":
			t.Fatal("the stream ended")
		case strings.Contains(got, "<result ") && strings.Contains(got, "queryid='"+id+"'"):
			list = append(list, got)
		case strings.HasPrefix(got, "<iq") && strings.Contains(got, "id='"+id+"'"):
			if !strings.Contains(got, "type='result'") || !strings.Contains(got, "<fin ") {
				t.Fatal(got)
			}
			return list, got
		}
	}
}

func filter(fields ...string) string {
	form := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + nsArchive + "</value></field>"
	for i := 0; i < len(fields); i += 2 {
		form += "<field var='" + fields[i] + "'><value>" + fields[i+1] + "</value></field>"
	}
	return form + "</x>"
}

const resultSet = "<set xmlns='http://jabber.org/protocol/rsm'><max>2</max>%s</set>"

// archives: what is said between servers is in the archive of our person (XEP-0313 §5.1), and who is in our room from
// elsewhere pages the room's.
func archives(t *testing.T, server *peertest.Parley, p *peer) {
	ann, romeo := login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo")
	mark := fmt.Sprint("archived ", time.Now().UnixNano())
	ann.Send("<message to='" + romeo.JID + "' type='chat' id='a1'><body>" + mark + " out</body></message>")
	within(t, romeo, patience, "<message", mark+" out")
	romeo.Send("<message to='" + ann.JID + "' type='chat' id='a2'><body>" + mark + " in</body></message>")
	within(t, ann, patience, "<message", mark+" in")
	bare, _, _ := strings.Cut(romeo.JID, "/")
	list, _ := page(t, ann, "", filter("with", bare)+"<set xmlns='http://jabber.org/protocol/rsm'><max>2</max><before/></set>")
	if len(list) != 2 || !strings.Contains(list[0], mark+" out") || !strings.Contains(list[1], mark+" in") || !strings.Contains(list[1], "from='"+romeo.JID+"'") {
		t.Errorf("the archive holds %q", list)
	}

	room := fmt.Sprintf("archive%d@muc.%s", time.Now().UnixNano(), open)
	create(t, ann, room, "ann")
	ann.Send("<iq to='" + room + "' type='set' id='keep'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>" +
		"<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>")
	within(t, ann, patience, "<iq", "id='keep'", "type='result'")
	enter(t, romeo, room, "romeo")
	const most = 5
	for i := range most {
		says := []*peertest.Client{ann, romeo}[i%2]
		says.Send(fmt.Sprintf("<message to='%s' type='groupchat' id='r%d'><body>%s %d</body></message>", room, i, mark, i))
		for _, c := range []*peertest.Client{ann, romeo} { // so that they come in this order
			within(t, c, patience, "<message", "from='"+room+"/", fmt.Sprintf("<body>%s %d</body>", mark, i))
		}
	}
	var all []string
	for after := ""; ; {
		list, fin := page(t, romeo, room, fmt.Sprintf(resultSet, after))
		all = append(all, list...)
		if strings.Contains(fin, "complete='true'") {
			break
		}
		_, last, _ := strings.Cut(fin, "<last>")
		last, _, _ = strings.Cut(last, "<")
		if len(list) == 0 || last == "" || len(all) > most {
			t.Fatalf("%d have come, and then %s", len(all), fin)
		}
		after = "<after>" + last + "</after>"
	}
	if len(all) != most {
		t.Fatalf("the room's archive holds %q", all)
	}
	for i, m := range all {
		if nick := []string{"ann", "romeo"}[i%2]; !strings.Contains(m, fmt.Sprintf("<body>%s %d</body>", mark, i)) || !strings.Contains(m, "from='"+room+"/"+nick+"'") {
			t.Errorf("message %d is %s", i, m)
		}
	}
	// Nobody else's archive is open to people out there.
	account, _, _ := strings.Cut(ann.JID, "/")
	romeo.Send("<iq to='" + account + "' type='set' id='theirs'><query xmlns='" + nsArchive + "'/></iq>")
	within(t, romeo, patience, "<iq", "id='theirs'", "type='error'")
}

// uploadLink: a file that was uploaded here is sent as a link (XEP-0066 §3), which leads there from anywhere.
func uploadLink(t *testing.T, server *peertest.Parley, p *peer) {
	ann, romeo := login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo")
	ann.Send("<iq type='get' id='slot' to='upload." + open + "'><request xmlns='urn:xmpp:http:upload:0' filename='note.txt' size='5' content-type='text/plain'/></iq>")
	slot := within(t, ann, patience, "<iq", "id='slot'", "type='result'")
	_, get, _ := strings.Cut(slot, "<get")
	put, _, _ := strings.Cut(slot, "<get")
	_, put, _ = strings.Cut(put, "<put")
	_, authorization, _ := strings.Cut(put, "'Authorization'>")
	authorization, _, _ = strings.Cut(authorization, "<")
	if status, text := fetch(t, http.MethodPut, server, peertest.Attr(put, "url"), authorization, "hello"); status != http.StatusCreated {
		t.Fatalf("PUT: %d %s", status, text)
	}
	url := peertest.Attr(get, "url")
	ann.Send("<message to='" + romeo.JID + "' type='chat' id='link'><body>" + url + "</body><x xmlns='jabber:x:oob'><url>" + url + "</url></x></message>")
	got := within(t, romeo, patience, "<message", "id='link'", "from='"+ann.JID+"'", "jabber:x:oob")
	_, came, _ := strings.Cut(got, "<url>")
	came, _, _ = strings.Cut(came, "<")
	if came != url {
		t.Fatalf("%q came, %q went", came, url)
	}
	if status, text := fetch(t, http.MethodGet, server, came, "", ""); status != http.StatusOK || text != "hello" {
		t.Errorf("GET: %d %q", status, text)
	}
}

// fetch speaks HTTP with our server, whatever the name in the address means to the machine that the test runs on.
func fetch(t *testing.T, method string, server *peertest.Parley, url, authorization, content string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	var dialer net.Dialer
	web := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, server.HTTP)
	}}}
	res, err := web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

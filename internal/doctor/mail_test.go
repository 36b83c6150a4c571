package doctor

import (
	"io"
	"net"
	"strings"
	"testing"
)

func TestTheMailServerAnswers(t *testing.T) {
	for greeting, fault := range map[string]string{"220 here\r\n": "", "554 go away\r\n": "554 go away", "": "EOF"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if c, err := l.Accept(); err == nil {
				io.WriteString(c, greeting)
				c.Close()
			}
		}()
		var e examination
		e.Config.Alerts.To = []string{"ann@example.org"}
		e.Config.Records.Report.Host, e.Config.Records.Report.Port = "127.0.0.1", l.Addr().(*net.TCPAddr).Port
		e.mail(t.Context())
		l.Close()
		<-ended
		found := strings.Join(faults(e.found), "")
		if len(e.found) != 1 || (found == "") != (fault == "") || !strings.Contains(found, fault) {
			t.Errorf("%q: %+v", greeting, e.found)
		}
		e.found = nil
		if e.mail(t.Context()); len(faults(e.found)) != 1 { // nobody listens there
			t.Errorf("%+v", e.found)
		}
		e.found, e.Config.Alerts.To = nil, nil
		if e.mail(t.Context()); len(e.found) != 0 {
			t.Errorf("nothing is mailed: %+v", e.found)
		}
	}
}

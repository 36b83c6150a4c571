package doctor

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// mailTime is how long a mail server may take to greet.
const mailTime = 10 * time.Second

// mail looks whether the mail server answers, where reports or alerts are mailed. It hands nothing over.
func (e *examination) mail(ctx context.Context) {
	server := e.Config.Records.Report
	if len(server.To) == 0 && len(e.Config.Alerts.To) == 0 {
		return
	}
	at := net.JoinHostPort(server.Host, strconv.Itoa(server.Port))
	if err := greets(ctx, at, server.Port != 465); err != nil {
		e.add(Fault, "mail", fmt.Sprintf("the mail server %s of records.report does not answer: %v; alerts and reports are not mailed", at, err))
		return
	}
	e.add(OK, "mail", "the mail server "+at+" answers")
}

// greets connects to a mail server and, where it speaks first, waits for its greeting (RFC 5321 §3.1).
func greets(ctx context.Context, at string, speaks bool) error {
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err != nil {
		return err
	}
	defer c.Close()
	if !speaks {
		return nil
	}
	c.SetDeadline(time.Now().Add(mailTime))
	line, err := bufio.NewReaderSize(c, 512).ReadSlice('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(line), "220") {
		return fmt.Errorf("it says %q", strings.TrimSpace(string(line)))
	}
	fmt.Fprint(c, "QUIT\r\n")
	return nil
}

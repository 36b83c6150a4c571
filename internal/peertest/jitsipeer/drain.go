package jitsipeer

import (
	"context"
	"sync"

	"github.com/pion/datachannel"
	"github.com/pion/dtls/v3"
	"github.com/pion/sctp"
)

const messageMost = 64 << 10 // bytes of a message on a data channel

// drain runs SCTP for a server that opens data channels (RFC 8832), and drops what comes over them, until the connection ends.
func drain(_ context.Context, conn *dtls.Conn) {
	a, err := sctp.ClientWithOptions(sctp.WithNetConn(conn), sctp.WithLoggerFactory(silent))
	if err != nil {
		return
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer a.Close()
	for {
		d, err := datachannel.Accept(a, &datachannel.Config{LoggerFactory: silent})
		if err != nil {
			return
		}
		reading.Go(func() {
			b := make([]byte, messageMost)
			for {
				if _, err := d.Read(b); err != nil {
					return
				}
			}
		})
	}
}

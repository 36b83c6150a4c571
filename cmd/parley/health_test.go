package main

import (
	"testing"
	"testing/synctest"
	"time"

	"parley/bridge/link"
)

func TestNoBridgeForLongIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &media{client: link.NewClient(link.ClientConfig{})}
		time.Sleep(patience)
		if err := m.ready(); err != nil {
			t.Error("a bridge that starts or was killed:", err)
		}
		time.Sleep(time.Second)
		if m.ready() == nil {
			t.Error("there is no bridge, and it is ready")
		}
	})
}

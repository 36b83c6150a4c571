package transport

import (
	"strings"
	"testing"

	"parley/bridge/api"
)

func FuzzRecords(f *testing.F) {
	f.Add(fragment(1, 0, 20), true)
	f.Add(append(fragment(1, 0, 20), 20, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 1), false)
	f.Add([]byte{21, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0}, true)
	f.Fuzz(func(t *testing.T, b []byte, established bool) {
		handshake, useful := records(b, established)
		if len(b) < recordHeader && (handshake || useful) {
			t.Error("less than a record is something")
		}
		if useful && established && !handshake {
			for i := 0; i < len(b); i += recordHeader + int(b[i+11])<<8 + int(b[i+12]) {
				if b[i+3] == 0 && b[i+4] == 0 {
					t.Error("a record of epoch 0 is not counted")
				}
			}
		}
	})
}

func FuzzChunks(f *testing.F) {
	f.Add(append(make([]byte, 12), 0, 3, 0, 8, 1, 2, 3, 4, 130, 0, 0, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		if data, resets := chunks(b); data < 0 || resets < 0 || data+4*resets > len(b) {
			t.Errorf("%d bytes and %d resets in %d bytes", data, resets, len(b))
		}
	})
}

func FuzzDigests(f *testing.F) {
	f.Add("sha-256", strings.Repeat("AB:", 31)+"AB")
	f.Add("SHA-512", strings.Repeat("ab:", 63)+"ab")
	f.Add("sha-1", "00")
	f.Fuzz(func(t *testing.T, hash, value string) {
		list, err := digests([]api.Fingerprint{{Hash: hash, Value: value}})
		if err != nil {
			return
		}
		if got := prints(&Endpoint{digests: list})[0]; got.Hash != strings.ToLower(hash) || got.Value != strings.ToLower(value) {
			t.Errorf("%q %q is read as %v", hash, value, got)
		}
	})
}

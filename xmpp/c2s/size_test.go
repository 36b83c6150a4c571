package c2s

import (
	"testing"
	"unsafe"
)

// What an idle session holds is what a server with many of them is measured by. The runtime gives out memory in classes of
// these sizes: a field more can cost a hundred bytes.
func TestSizeOfAnIdleSession(t *testing.T) {
	for _, c := range []struct {
		name       string
		size, most uintptr
	}{
		{"session", unsafe.Sizeof(Session{}), 416},
		{"link", unsafe.Sizeof(link{}), 768},
		{"conn", unsafe.Sizeof(conn{}), 288},
	} {
		if c.size > c.most {
			t.Errorf("a %s takes %d bytes, want at most %d", c.name, c.size, c.most)
		}
	}
}

package udp

import (
	"bytes"
	"sync"
	"testing"
)

func TestBufferIsKeptUntilTheLastRelease(t *testing.T) {
	var p Pool
	for _, n := range []int{1, small, small + 1, medium, medium + 1, 20000} {
		packet := bytes.Repeat([]byte{byte(n)}, n)
		b := p.Copy(packet)
		if p.Lent() != 1 {
			t.Fatalf("%d lent, want 1", p.Lent())
		}
		var readers sync.WaitGroup
		for range 8 {
			b.Retain()
			readers.Go(func() {
				defer b.Release()
				if !bytes.Equal(b.Bytes, packet) {
					t.Errorf("%d bytes changed while they were retained", n)
				}
			})
		}
		b.Release()
		readers.Wait()
		if p.Lent() != 0 {
			t.Fatalf("%d lent after the last release", p.Lent())
		}
	}
}

func TestBufferMisuse(t *testing.T) {
	for name, misuse := range map[string]func(b *Buffer){
		"released twice":         func(b *Buffer) { b.Release(); b.Release() },
		"retained after release": func(b *Buffer) { b.Release(); b.Retain() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was not noticed")
				}
			}()
			var p Pool
			misuse(p.Get(20000)) // of a size that is not lent again meanwhile
		})
	}
}

package jingle

import "testing"

func BenchmarkSessionInitiate(b *testing.B) {
	e := elem(b, offer)
	j := parse(b, offer)
	text := toSDP(b, j, Initiator)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(offer)))
		for b.Loop() {
			if _, err := Parse(e, DefaultLimits); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		var out []byte
		for b.Loop() {
			out = j.Append(out[:0])
		}
		b.SetBytes(int64(len(out)))
	})
	b.Run("from SDP", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := ParseSDP(text, Initiator, DefaultLimits); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("to SDP", func(b *testing.B) {
		b.ReportAllocs()
		var out []byte
		var err error
		for b.Loop() {
			if out, err = j.AppendSDP(out[:0], Initiator, origin); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(len(out)))
	})
}

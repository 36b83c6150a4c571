package codec

import "testing"

func TestNothingIsAllocatedForAPacket(t *testing.T) {
	one, two, three, four := unhex(t, "b0 f0 8123 45 51 01"), unhex(t, "aa 8123 02 45 30 0140 00b4 0280 0168 00"), captured(t, "h264")[0].payload, captured(t, "av1")[0].payload
	var vp8 VP8
	var vp9 VP9
	var h264 H264
	var av1 AV1
	var pictures Pictures
	var source VP9Source
	free(t, "reading", func() {
		if vp8.Parse(one) != nil || vp9.Parse(two) != nil || h264.Parse(three) != nil || av1.Parse(four) != nil {
			t.Error("refused")
		}
		out, _ := pictures.Map(vp8.PictureBits, Numbers{vp8.Picture, vp8.TL0})
		vp8.SetPicture(out.Picture)
		vp8.Frame(true)
		source.Frame(&vp9)
		h264.Frame(true, true)
		av1.Frame(true, true)
	})
	free(t, "refusing", func() {
		if vp8.Parse(one[:3]) == nil || vp9.Parse(two[:9]) == nil || h264.Parse(three[:9]) == nil || av1.Parse(four[:1]) == nil {
			t.Error("taken")
		}
	})
}

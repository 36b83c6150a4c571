package focus

import (
	"slices"
	"testing"

	"parley/jingle"
)

// A browser is agreed on every codec with, and each has its repair; an ordinary client on one.
func TestEveryCodecOfAnOffer(t *testing.T) {
	j := theOffer(true)
	for i := range j.Contents {
		if d := j.Contents[i].Description; d.Media == "video" {
			d.PayloadTypes = everyCodec()
			slices.Reverse(d.PayloadTypes)
			d.PayloadTypes = append(d.PayloadTypes, jingle.PayloadType{ID: 120, Name: "H265", ClockRate: 90000})
		}
	}
	if got := Reads(j); got != "vp8,h264,vp9,av1" {
		t.Errorf("it reads %q", got)
	}
	all, why := ReadOfferOfAll(j)
	if why != nil {
		t.Fatal(why)
	}
	one, why := ReadOffer(j)
	if why != nil {
		t.Fatal(why)
	}
	for name, x := range map[string]struct {
		o    *Offer
		want []uint8
	}{"all": {all, []uint8{100, 96, 107, 99, 101, 97, 41, 42}}, "one": {one, []uint8{100, 96}}} {
		var answered, received []uint8
		for _, p := range x.o.parts {
			if c := p.content("video"); c != nil {
				for _, q := range c.Description.PayloadTypes {
					answered = append(answered, q.ID)
				}
			}
			for _, q := range p.receive.Payloads {
				if q.Clock == 90000 {
					received = append(received, q.ID)
				}
			}
		}
		if !slices.Equal(answered, x.want) || !slices.Equal(received, x.want) || x.o.Video != "vp8" {
			t.Errorf("%s: answered %v, received %v, it sends %s", name, answered, received, x.o.Video)
		}
	}
	for i := range j.Contents {
		j.Contents[i].Senders = jingle.RejectedContent
	}
	if got := Reads(j); got != "" {
		t.Errorf("who refuses reads %q", got)
	}
}

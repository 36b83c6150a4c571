package livekitpeer

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// fields are those of a message, copied.
func fields(b []byte) (list []field, err error) {
	err = walk(b, func(f field) error {
		list = append(list, f)
		return nil
	})
	return list, err
}

func same(a, b field) bool {
	return a.number == b.number && a.value == b.value && bytes.Equal(a.bytes, b.bytes) && (a.bytes == nil) == (b.bytes == nil)
}

// The bytes are those that "Encoding" of Protocol Buffers has as examples: field 1 with the number 150, field 2 with "testing".
func TestFieldsAreWrittenAsTheManualHasThem(t *testing.T) {
	b := appendBytes(appendUint(nil, 1, 150), 2, "testing")
	if want := "\x08\x96\x01\x12\x07testing"; string(b) != want {
		t.Errorf("%q", b)
	}
	list, err := fields(b)
	if want := []field{{number: 1, value: 150}, {number: 2, bytes: []byte("testing")}}; err != nil || !slices.EqualFunc(list, want, same) {
		t.Errorf("%v %v", list, err)
	}
}

func TestFixedNumbersArePassedOver(t *testing.T) {
	list, err := fields([]byte("\x0d1234\x1112345678\x18\x05"))
	if err != nil || !slices.EqualFunc(list, []field{{number: 3, value: 5}}, same) {
		t.Errorf("%v %v", list, err)
	}
}

func TestBrokenMessagesAreRefused(t *testing.T) {
	for b, want := range map[string]string{
		"\x08":         "ends within",
		"\x80":         "ends within",
		"\x08\x80\x80": "ends within",
		"\x12\x05four": "ends within",
		"\x12":         "ends within",
		"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01": "ends within", // 2^64-1 bytes
		"\x12\xff\xff\xff\xff\x0f":                     "ends within", // 4 GiB
		"\x0d123":                                      "ends within",
		"\x111234567":                                  "ends within",
		"\x08" + strings.Repeat("\xff", 10):            "ends within", // more than 64 bits
		"\x02\x00":                                     "number 0",
		"\x82\x80\x80\x80\x10\x00":                     "number 536870912",
		"\x0b\x0c":                                     "type 3",
		"\x0e\x00":                                     "type 6",
		"\x0f\x00":                                     "type 7",
	} {
		if _, err := fields([]byte(b)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestAWalkEndsWithTheFirstError(t *testing.T) {
	end, n := errors.New("end"), 0
	if err := walk([]byte("\x08\x01\x08\x01"), func(field) error { n++; return end }); err != end || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

// What was read is read again from what is written of it, and nothing of a message stops a member.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("\x08\x96\x01\x12\x07testing\x0d1234"))
	f.Add([]byte("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add(appendBytes(nil, hearTrickle, appendUint(appendBytes(nil, 1, `{"candidate":"candidate:1 1 udp 1 10.0.0.1 7882 typ host"}`), 2, 1)))
	f.Add(appendBytes(nil, hearUpdate, appendBytes(nil, 1, appendBytes(nil, 4, appendUint(appendBytes(nil, 1, "TR_1"), 2, 1)))))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := fields(b)
		if _, bad := parse(b); err != nil && bad == nil {
			t.Errorf("%q is a message, and %v", b, err)
		}
		var again []byte
		for _, f := range list {
			if f.bytes != nil {
				again = appendBytes(again, f.number, f.bytes)
			} else {
				again = appendUint(again, f.number, f.value)
			}
		}
		if second, err := fields(again); err != nil || !slices.EqualFunc(list, second, same) {
			t.Errorf("%v, again %v %v", list, second, err)
		}
	})
}

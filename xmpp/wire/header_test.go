package wire

import (
	"strings"
	"testing"
)

const headerTail = ` to='example.net' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`

func TestParseHeader(t *testing.T) {
	for _, in := range []string{
		"<stream:stream" + headerTail,
		"<?xml version='1.0'?><stream:stream" + headerTail,
		"<?xml version=\"1.0\" encoding='UTF-8' standalone=\"yes\" ?>\n <stream:stream from='a&amp;b' xml:lang='de'" + headerTail,
	} {
		for cut := range len(in) {
			if _, _, err := ParseHeader([]byte(in[:cut]), BeforeAuth); err != ErrIncomplete {
				t.Fatalf("%q: %v", in[:cut], err)
			}
		}
		n, h, err := ParseHeader([]byte(in+"<x"), BeforeAuth)
		if err != nil || n != len(in) || h.To != "example.net" || h.Version != "1.0" || h.ContentNS != NSClient {
			t.Errorf("%q: %d, %+v, %v", in, n, h, err)
		}
		if strings.Contains(in, "from") && (h.From != "a&b" || h.Lang != "de") {
			t.Errorf("%q: %+v", in, h)
		}
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	for in, want := range map[string]error{
		"xx":                                             errHeaderFormat,
		"<stream:stream to='x'>":                         errHeaderNS,
		"<stream to='x'>":                                errHeaderFormat,
		"<stream:x" + headerTail:                         errHeaderFormat,
		"<stream:stream/>":                               errHeaderFormat,
		"<stream:stream xmlns:stream='urn:x'>":           errHeaderNS,
		"<s:stream xmlns:s='" + NSStream + "'>":          errHeaderPrefix,
		"<!DOCTYPE x>":                                   ErrDoctype,
		"<!-- x -->":                                     ErrComment,
		"<?xml version='1.1'?>":                          ErrMalformed,
		"<?xml version='1.0' encoding='ISO-8859-1'?>":    ErrCharset,
		"<?xml encoding='UTF-8'?>":                       ErrMalformed,
		"<?xml version='1.0'?><?xml version='1.0'?>":     ErrInstruction,
		"<?xml version='1.0'" + strings.Repeat(" ", 200): ErrMalformed,
		"<?php ?>":                                       ErrInstruction,
		"<stream:stream a='1' a='2'" + headerTail:        ErrMalformed,
	} {
		_, _, err := ParseHeader([]byte(in), BeforeAuth)
		if err != want {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte("<?xml version=\"1.0\" encoding='UTF-8' standalone=\"yes\" ?>\n <stream:stream from='a&amp;b' xml:lang='de'" + headerTail))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, _, err := ParseHeader(b, BeforeAuth)
		if err == nil && (n == 0 || b[n-1] != '>') {
			t.Fatalf("%q: %d", b, n)
		}
	})
}

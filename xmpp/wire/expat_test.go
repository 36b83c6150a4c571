package wire

import (
	"bufio"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"parley/internal/peertest/need"
)

// TestExpat compares the scanner with expat, the parser behind most XMPP servers and clients: what the scanner accepts,
// expat accepts and reads as the same tree as encoding/xml does, in the received form and in the forwarded one (HX8).
// PARLEY_EXPAT_DOCS sets how many mutated documents are tried.
func TestExpat(t *testing.T) {
	python := need.Program(t, "python3")
	docs := 20_000
	if n, err := strconv.Atoi(os.Getenv("PARLEY_EXPAT_DOCS")); err == nil {
		docs = n
	}
	judge := startExpat(t, python)
	r := rand.New(rand.NewSource(int64(docs)))
	accepted := 0
	for i := range docs {
		if i%100_000 == 99_999 {
			t.Logf("%d documents, %d elements accepted", i+1, accepted)
		}
		doc := mutate(r)
		packets, _ := scanAll(doc, AfterAuth, 1+r.Intn(len(doc)+1))
		for _, raw := range packets {
			s := Scanner{Limits: AfterAuth}
			_, p, err := s.Next([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			received, forwarded, out := checkPacket(t, p)
			judge.same(t, []byte(raw), received)
			judge.same(t, out, forwarded)
			accepted++
		}
	}
	if accepted < docs/10 {
		t.Errorf("only %d elements accepted out of %d documents: the mutations are too wild to show anything", accepted, docs)
	}
	t.Logf("%d documents, %d elements accepted by the scanner, by encoding/xml and by expat alike", docs, accepted)
}

// expat is the helper process testdata/expat.py.
type expat struct {
	in  io.Writer
	out *bufio.Reader
}

func startExpat(t *testing.T, python string) *expat {
	t.Helper()
	cmd := exec.Command(python, "testdata/expat.py")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &expat{in: in, out: bufio.NewReaderSize(out, 1<<20)}
}

// same wants expat to read the bytes as this tree.
func (e *expat) same(t *testing.T, raw []byte, tree string) {
	t.Helper()
	fmt.Fprintf(e.in, "%d\n%s", len(raw), raw)
	got, err := e.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if got = strings.TrimSuffix(got, "\n"); got != tree {
		t.Fatalf("%q: expat reads\n%s\nencoding/xml\n%s", raw, got, tree)
	}
}

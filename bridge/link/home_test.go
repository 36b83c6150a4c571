package link

import (
	"os"
	"testing"
)

// Whoever deletes the data directory of a bridge that runs, and starts another one there, is not to lose that one's files
// when the first one ends.
func TestBridgeOfADeletedFolderLeavesTheNextOneAlone(t *testing.T) {
	dir := t.TempDir() + "/data"
	open := func(id string) *Home {
		t.Helper()
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		h, err := Open(dir, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Announce(nil); err != nil {
			t.Fatal(err)
		}
		return h
	}
	first := open("one")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	second := open("two")
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if r, err := readRecord(dir); err != nil || r.Bridge != "two" {
		t.Errorf("record %+v %v", r, err)
	}
	for _, file := range []string{socketFile, httpFile, channelFile} {
		if nc, err := dial(t.Context(), dir, file); err != nil {
			t.Error(err)
		} else {
			nc.Close()
		}
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	for _, file := range []string{recordFile, socketFile, httpFile, channelFile} {
		if _, err := os.Lstat(second.file(file)); err == nil {
			t.Errorf("%s is left", file)
		}
	}
}

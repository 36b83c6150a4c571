package upload

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// shelf is the folder with the files: incoming/ has those that are being uploaded, and each of the others is in a folder
// named by the first two letters of its id.
type shelf struct{ folder string }

// openShelf makes the folder if need be, and empties incoming/.
func openShelf(folder string) (shelf, error) {
	s := shelf{folder}
	if err := os.RemoveAll(s.incoming()); err != nil {
		return s, err
	}
	return s, os.MkdirAll(s.incoming(), 0o700)
}

func (s shelf) incoming() string { return filepath.Join(s.folder, "incoming") }

func (s shelf) file(id string) string { return filepath.Join(s.folder, id[:2], id) }

// draft is a file that is being uploaded. Its user calls keep or drop.
type draft struct {
	*os.File
	shelf shelf
}

func (s shelf) draft(id string) (draft, error) {
	f, err := os.CreateTemp(s.incoming(), id+".*")
	return draft{f, s}, err
}

// drop removes the draft.
func (d draft) drop() {
	d.Close()
	os.Remove(d.Name())
}

// keep makes the draft the file of an id, durably. The draft is gone, also with an error.
func (d draft) keep(id string) error {
	target := d.shelf.file(id)
	folder := filepath.Dir(target)
	err := d.Sync()
	if err = errors.Join(err, d.Close()); err == nil {
		err = os.Mkdir(folder, 0o700)
		if err == nil {
			err = syncFolder(d.shelf.folder)
		} else if errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(d.Name(), target)
	}
	if err != nil {
		os.Remove(d.Name())
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes what was renamed in a folder durable.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// remove removes a file; one that is not there is no error.
func (s shelf) remove(id string) error {
	if err := os.Remove(s.file(id)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// free is how many bytes of the disk are left to us.
func (s shelf) free() (int64, error) {
	var st syscall.Statfs_t
	err := syscall.Statfs(s.folder, &st)
	return int64(st.Bavail) * int64(st.Bsize), err
}

// full reports that an error says that no more can be written here.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

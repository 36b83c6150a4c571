package store

import (
	"context"
	"time"
)

// Upload is a file of an account, or the slot that the account was given for one (XEP-0363). The file itself is not here. Its
// row stays until the file is gone, so that no file is left that nobody knows of: that of an account that is deleted too.
type Upload struct {
	ID     string
	Owner  string // bare address of the account
	Name   string // as it stands in the file's address
	Type   string // content type, "" if the client named none
	Size   int64  // bytes
	At     time.Time
	Stored bool // the file is there; before that it is a slot
}

// UploadQuota bounds what an account holds, slots included.
type UploadQuota struct {
	Bytes int64
	Files int
}

// Uploads keeps what is known of files.
type Uploads interface {
	// AddUpload keeps a slot. It returns ErrNotFound if there is no such account, ErrQuota if the account would hold more than
	// it may, ErrExists if the id is taken.
	AddUpload(ctx context.Context, u Upload, quota UploadQuota) error
	// Upload returns a slot or a file, or ErrNotFound; so it does when the account is gone.
	Upload(ctx context.Context, id string) (Upload, error)
	// StoreUpload notes that the file of a slot is there. It returns ErrNotFound if there is no slot, or no account any more,
	// and ErrExists if the file was there before.
	StoreUpload(ctx context.Context, id string) error
	// OldestUpload says since when the account has the oldest of its files; a zero time is none.
	OldestUpload(ctx context.Context, owner string) (time.Time, error)
	// StaleUploads returns the ids of files from before a time, of slots from before unused that have no file, and of all that
	// accounts left behind, at most limit.
	StaleUploads(ctx context.Context, before, unused time.Time, limit int) ([]string, error)
	// RemoveUploads forgets slots and files.
	RemoveUploads(ctx context.Context, ids []string) error
}

package store

import (
	"context"
	"time"
)

// App is a program of somebody else's that uses the server's API, or that our doors know by its name.
type App struct {
	Name    string   // unique
	Scopes  []string // what it may do
	Domains []string // of the pages that may speak for it
	Rate    float64  // requests a second, 0: as many as the configuration says
	Burst   float64  // requests at once, with Rate
	Created time.Time
}

// AppKey is a key of an application. The key itself is not here, only a digest of it, so that who reads the store cannot use it.
type AppKey struct {
	ID      string // part of the key; says which one it is, and is no secret
	App     string
	Digest  []byte
	Created time.Time
}

// Apps keeps applications and their keys.
type Apps interface {
	// App returns an application, or ErrNotFound.
	App(ctx context.Context, name string) (App, error)
	// AddApp adds an application, or returns ErrExists.
	AddApp(ctx context.Context, a App) error
	// RemoveApp removes one with its keys, or returns ErrNotFound.
	RemoveApp(ctx context.Context, name string) error
	// ListApps returns up to limit applications, by name, those behind after.
	ListApps(ctx context.Context, after string, limit int) ([]App, error)

	// AddAppKey adds a key: ErrNotFound if there is no such application, ErrExists if there is such a key, ErrQuota if the application
	// has most already.
	AddAppKey(ctx context.Context, k AppKey, most int) error
	// RemoveAppKey removes a key of an application, or returns ErrNotFound.
	RemoveAppKey(ctx context.Context, app, id string) error
	// AppKeys returns the keys of an application, the oldest first. None is no error.
	AppKeys(ctx context.Context, app string) ([]AppKey, error)
	// AppOfKey returns a key with its application, or ErrNotFound.
	AppOfKey(ctx context.Context, id string) (App, AppKey, error)
}

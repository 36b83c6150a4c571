package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Each folder has the migrations of one dialect; the same numbers mean the same step.
//
//go:embed migrations
var migrations embed.FS

// versionTable is where goose notes which migrations have run.
const versionTable = "schema_version"

// migrate brings the schema up to date, or returns an error if it is newer than this program. Of several nodes that
// start at once one migrates, the others wait.
func migrate(ctx context.Context, src source) error {
	folder, err := fs.Sub(migrations, "migrations/"+src.name)
	if err != nil {
		return err
	}
	pool, err := src.connect(migrating)
	if err != nil {
		return err
	}
	defer pool.Close()
	options := []goose.ProviderOption{goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true)}
	if src.goose == goose.DialectPostgres {
		one, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(one))
	}
	provider, err := goose.NewProvider(src.goose, pool, folder, options...)
	if err != nil {
		return err
	}
	have, want, err := provider.GetVersions(ctx)
	switch {
	case err != nil:
		return err
	case have > want:
		return fmt.Errorf("its schema has version %d and this parley knows %d at most: run the newer parley, or restore a backup of before the upgrade", have, want)
	case have < want:
		_, err = provider.Up(ctx)
	}
	return err
}

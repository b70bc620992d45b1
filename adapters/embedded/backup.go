package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"

	"github.com/openhqm/openhqm/ports"
)

// backupName is the name of a backup: when it began, in UTC. Names sort by age.
const backupName = "20060102T150405.000000Z"

// Backups makes backups of a database that is open, each in a directory of its own. It is safe for concurrent use.
type Backups struct {
	db      *DB
	dir     string
	running chan struct{} // holds a token while a backup is made
}

var _ ports.Backups = (*Backups)(nil)

// Backups returns what makes backups in a directory, which is created if need be.
func (db *DB) Backups(dir string) *Backups {
	return &Backups{db: db, dir: dir, running: make(chan struct{}, 1)}
}

// Backup implements ports.Backups. On the file system of the database it links the tables, which never change.
func (b *Backups) Backup(ctx context.Context) (string, error) {
	select {
	case b.running <- struct{}{}:
		defer func() { <-b.running }()
	case <-ctx.Done():
		return "", fmt.Errorf("%w: another backup is being made: %w", ports.ErrUnavailable, context.Cause(ctx))
	}
	if !b.db.enter() {
		return "", ports.ErrClosed
	}
	defer b.db.leave()
	if err := b.db.disk.check(); err != nil {
		return "", err
	}
	target := filepath.Join(b.dir, b.db.opts.Now().UTC().Format(backupName))
	err := makeDirectory(b.dir)
	if err == nil {
		err = os.Mkdir(target, privateDirectory)
	}
	if err != nil {
		return "", fmt.Errorf("%w: back up to %s: %w", ports.ErrUnavailable, target, err)
	}
	if err = b.db.checkpoint(ctx, target); err == nil {
		err = completeBackup(target)
	}
	if err != nil {
		return "", fmt.Errorf("%w: back up to %s: %w", ports.ErrUnavailable, target, errors.Join(err, os.RemoveAll(target)))
	}
	b.db.opts.Logger.Info("embedded database: backup made", "path", target)
	return target, nil
}

// checkpoint copies the database to a directory, with a mark of what it holds at least.
func (db *DB) checkpoint(ctx context.Context, target string) error {
	var least highWater
	if err := db.do(ctx, 0, func(*txn) error {
		if db.mark != nil {
			least = db.mark.last
		}
		return nil
	}); err != nil {
		return err
	}
	db.logs.Lock() // it copies the logs last: what is in them now must still be there then
	defer db.logs.Unlock()
	if err := db.kv.Checkpoint(filepath.Join(target, databaseName), pebble.WithFlushedWAL()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(target, markName), encodeMark(&least), privateFile)
}

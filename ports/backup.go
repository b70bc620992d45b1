package ports

import "context"

// Backups is implemented by stores that keep their data on a disk of this process.
type Backups interface {
	// Backup writes a copy of the store, and returns where it is on this machine. Everything that was confirmed before the
	// call is in it. It blocks until the copy is complete and durable; one copy is made at a time. After an error nothing
	// of it is left. Errors: ErrStorageLow, ErrUnavailable, ErrClosed. It is safe for concurrent use.
	Backup(ctx context.Context) (path string, err error)
}

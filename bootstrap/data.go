package bootstrap

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/openhqm/openhqm/adapters/embedded"
)

// errDamaged: CheckData has written what is damaged.
var errDamaged = errors.New("the data directory is damaged: restore a backup, or use openhqm data repair")

// maxFindings is how many findings CheckData writes.
const maxFindings = 100

// CheckData reads all of a data directory of the embedded queue and writes what it found. It returns an error when
// something is damaged or missing.
func CheckData(dir string, out io.Writer) error {
	found, err := embedded.Check(dir)
	if err != nil {
		return err
	}
	for _, status := range slices.Sorted(maps.Keys(found.Records)) {
		if _, err := fmt.Fprintf(out, "%-12s %d\n", status, found.Records[status]); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(out, "%-12s %d\n%-12s %d\n",
		"dead letters", found.DeadLetters, "unreadable", found.Unreadable); err != nil {
		return err
	}
	for _, damage := range found.Damage[:min(len(found.Damage), maxFindings)] {
		if _, err := fmt.Fprintf(out, "damage: %v\n", damage); err != nil {
			return err
		}
	}
	if len(found.Damage) > 0 {
		return errDamaged
	}
	return nil
}

// RepairData drops what is damaged or missing in the write-ahead log of a data directory, and logs what is gone.
func RepairData(dir string, out io.Writer) error {
	return embedded.Repair(dir, slog.New(slog.NewTextHandler(out, nil)))
}

// BackupData copies a data directory that no process uses.
func BackupData(dir, target string) error { return embedded.Backup(dir, target) }

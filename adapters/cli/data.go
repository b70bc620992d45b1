package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// DataTools work on a data directory of the embedded queue that no process uses.
type DataTools struct {
	// Check reads all of a directory and writes what it found to stdout. It returns an error when something is damaged.
	Check func(dir string, stdout io.Writer) error

	// Repair drops what is damaged or missing in the write-ahead log, and writes to stderr what is gone.
	Repair func(dir string, stderr io.Writer) error

	// Backup copies a directory to another path, which must not exist.
	Backup func(dir, target string) error
}

// dataCommand holds the commands for the directory of the embedded queue.
func (p *Program) dataCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "data",
		Short: "Check, repair or back up a data directory of the embedded queue",
		Long: `Check, repair or back up a data directory (embedded.dir) of the embedded queue.

No process may use the directory meanwhile.`,
		Example: `  openhqm data check /var/lib/openhqm
  openhqm data backup /var/lib/openhqm /mnt/backup/2026-11-28`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return usagef("data: name one of check, repair, backup") },
	}
	command.AddCommand(p.dataCheckCommand(), p.dataRepairCommand(), p.dataBackupCommand())
	return command
}

func (p *Program) dataCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check DIR",
		Short:   "Read everything in a data directory, and name what is damaged or missing",
		Example: "  openhqm data check /var/lib/openhqm",
		Args:    paths("DIR"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.Data.Check(args[0], command.OutOrStdout())
		},
	}
}

func (p *Program) dataRepairCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "repair DIR",
		Short: "Drop what is damaged or missing in the write-ahead log of a data directory",
		Long: `Drop what is damaged or missing in the write-ahead log of a data directory, as a start with
embedded.repair does. It prints how many requests are gone. The logs as they were are kept in DIR/damaged.`,
		Example: "  openhqm data repair /var/lib/openhqm",
		Args:    paths("DIR"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.Data.Repair(args[0], command.ErrOrStderr())
		},
	}
}

func (p *Program) dataBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "backup DIR TARGET",
		Short:   "Copy a data directory to a path that does not exist",
		Example: "  openhqm data backup /var/lib/openhqm /mnt/backup/2026-11-28",
		Args:    paths("DIR", "TARGET"),
		RunE: func(command *cobra.Command, args []string) error {
			if err := p.Data.Backup(args[0], args[1]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(command.OutOrStdout(), "%s is a copy that embedded.dir can name\n", args[1])
			return err
		},
	}
}

// paths requires one argument for each name.
func paths(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usagef("give %s", strings.Join(names, " and "))
		}
		return nil
	}
}

package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// backupTimeout bounds a backup that a running api makes of itself.
const backupTimeout = time.Hour

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

No process may use the directory meanwhile, except for backup --live.`,
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
	var live bool
	backup := &cobra.Command{
		Use:   "backup {DIR TARGET | --live}",
		Short: "Copy a data directory, or let a running api back itself up",
		Long: `Copy a data directory that no process uses to a path that does not exist. With --live, let a running api
write a backup to a new directory in its embedded.backup_dir, and print the path on its machine.

Where API keys are configured, set ` + keyVariable + ` to that of an administrator for --live.`,
		Example: `  openhqm data backup /var/lib/openhqm /mnt/backup/2026-11-28
  openhqm data backup --live
  openhqm data backup --live --url http://10.0.0.7:8000`,
		Args: func(command *cobra.Command, args []string) error {
			if live {
				return noArguments(command, args)
			}
			return paths("DIR", "TARGET")(command, args)
		},
		RunE: func(command *cobra.Command, args []string) error {
			if live {
				return p.session(command, (*session).backup)
			}
			if err := p.Data.Backup(args[0], args[1]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(command.OutOrStdout(), "%s is a copy that embedded.dir can name\n", args[1])
			return err
		},
	}
	backup.Flags().BoolVar(&live, "live", false, "let a running api back itself up")
	addAPIFlags(backup)
	return backup
}

// backup lets the api back itself up. A copy to another file system takes as long as it takes.
func (s *session) backup() error {
	s.api.http.Timeout = backupTimeout
	path, answer, err := s.api.backup()
	if err != nil {
		return fmt.Errorf("data backup: %w", err)
	}
	if s.json {
		return s.line(answer)
	}
	_, err = fmt.Fprintf(s.stdout, "%s is a backup that embedded.dir can name\n", plain(path))
	return err
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

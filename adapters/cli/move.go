package cli

import (
	"github.com/spf13/cobra"
)

// moveCommand moves what one configuration keeps to another.
func (p *Program) moveCommand() *cobra.Command {
	var order MoveOrder
	command := &cobra.Command{
		Use:   "move --from FILE --to FILE",
		Short: "Move all requests, results and dead letters to another queue",
		Long: `Move everything that is kept with one configuration to another: requests that wait or are delayed, results,
dead letters with their originals, and idempotency keys. Ids stay the same.

Stop all processes of both configurations first. When the move ends, start those of the new one; the old one refuses to
start. A move that was interrupted goes on when it is run again.

Of the configuration only the files count, with ${NAME} in them; variables like OPENHQM_QUEUE_TYPE do not.
Exit codes: 0; 1 not everything was moved; 2 the command line or a configuration is wrong.`,
		Example: `  openhqm move --from old.yaml --to new.yaml --dry-run
  openhqm move --from old.yaml --to new.yaml`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if order.From == "" || order.To == "" {
				return usagef("move: name two configuration files, with --from and --to")
			}
			return p.Move(order, command.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.StringVar(&order.From, "from", "", "YAML `file` of the queue to empty")
	flags.StringVar(&order.To, "to", "", "YAML `file` of the queue to fill")
	flags.BoolVar(&order.DryRun, "dry-run", false, "only say what would be moved")
	completeFiles(command, "from")
	completeFiles(command, "to")
	return command
}

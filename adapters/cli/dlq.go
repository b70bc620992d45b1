package cli

import (
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/openhqm/openhqm/domain"
)

// keyVariable is the only way to pass the API key: everybody on the machine can read a command line.
const keyVariable = "OPENHQM_KEY"

// dlqCommand is the client for dead letters.
func (p *Program) dlqCommand() *cobra.Command {
	dlq := &cobra.Command{
		Use:   "dlq",
		Short: "List, show, resend or purge dead letters of a running api",
		Long: `List, show, resend or purge the dead letters of a running api.

Where API keys are configured, set ` + keyVariable + ` to that of an administrator.
Exit codes: 0; 1 something could not be done; 2 the command line or the configuration is wrong.`,
		Example: `  openhqm dlq list --endpoint orders --reason attempts_exhausted
  openhqm dlq show 0198c0de-0000-7000-8000-000000000000
  openhqm dlq resend --all --endpoint orders --rate 50
  openhqm dlq purge --yes --before 2026-01-01T00:00:00Z`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return usagef("dlq: name one of list, show, resend, purge") },
	}
	addAPIFlags(dlq)
	dlq.AddCommand(p.dlqList(), p.dlqShow(), p.dlqResend(), p.dlqPurge())
	return dlq
}

// addAPIFlags adds what session reads.
func addAPIFlags(command *cobra.Command) {
	flags := command.PersistentFlags()
	flags.String("url", "", "`address` of the api (default: this machine, at server.port)")
	flags.String("config", "", "YAML `file` that has server.port (also OPENHQM_CONFIG)")
	flags.Bool("json", false, "print JSON, one document for each call of the api")
	completeFiles(command, "config")
}

func (p *Program) dlqList() *cobra.Command {
	var selected selection
	list := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, newest first",
		Example: "  openhqm dlq list --endpoint orders --limit 20",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := selected.check(); err != nil {
				return err
			}
			return p.session(command, func(s *session) error { return s.list(selected) })
		},
	}
	selected.addFilter(list)
	return list
}

func (p *Program) dlqShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter with its original",
		Long:  "Show one dead letter with its original as the client sent it, credentials included.",
		Example: `  openhqm dlq show 0198c0de-0000-7000-8000-000000000000
  openhqm dlq show --json 0198c0de-0000-7000-8000-000000000000`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("dlq show: name an id")
			}
			return oneID(args)
		},
		RunE: func(command *cobra.Command, args []string) error {
			return p.session(command, func(s *session) error { return s.show(args[0]) })
		},
	}
}

func (p *Program) dlqResend() *cobra.Command {
	var (
		selected selection
		rate     int
	)
	resend := &cobra.Command{
		Use:   "resend [ID]",
		Short: "Send one dead letter again, or those that match",
		Example: `  openhqm dlq resend 0198c0de-0000-7000-8000-000000000000
  openhqm dlq resend --reason deadline --limit 10
  openhqm dlq resend --all --rate 50`,
		Args: func(_ *cobra.Command, args []string) error { return oneID(args) },
		RunE: func(command *cobra.Command, args []string) error {
			if err := selected.checkWith(args); err != nil {
				return err
			}
			if command.Flag("rate").Changed && rate < 1 {
				return usagef("--rate must be at least 1")
			}
			return p.session(command, func(s *session) error {
				if len(args) == 1 {
					return s.resend(args[0])
				}
				return s.resendMany(selected, rate)
			})
		},
	}
	selected.addFilter(resend)
	selected.addAll(resend)
	resend.Flags().IntVar(&rate, "rate", 0, "at most this `number` a second (default 100)")
	return resend
}

func (p *Program) dlqPurge() *cobra.Command {
	var (
		selected selection
		yes      bool
	)
	purge := &cobra.Command{
		Use:   "purge [ID] --yes",
		Short: "Delete one dead letter, or those that match, for good",
		Example: `  openhqm dlq purge --yes 0198c0de-0000-7000-8000-000000000000
  openhqm dlq purge --yes --all --endpoint orders`,
		Args: func(_ *cobra.Command, args []string) error { return oneID(args) },
		RunE: func(command *cobra.Command, args []string) error {
			if err := selected.checkWith(args); err != nil {
				return err
			}
			if !yes {
				return usagef("dead letters that are purged cannot be restored; add --yes")
			}
			return p.session(command, func(s *session) error {
				if len(args) == 1 {
					return s.purge(args[0])
				}
				return s.purgeMany(selected)
			})
		},
	}
	selected.addFilter(purge)
	selected.addAll(purge)
	purge.Flags().BoolVar(&yes, "yes", false, "really delete them")
	return purge
}

// oneID allows one argument, or none.
func oneID(args []string) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("too many arguments: %q", args[1])
	case len(args) == 1 && args[0] == "":
		// Most likely a shell variable that is not set. It must never mean all of them.
		return errors.New("the id is empty")
	}
	return nil
}

// selection says which dead letters are meant.
type selection struct {
	filter filter
	all    bool
}

// filter is what the api selects by.
type filter struct {
	endpoint, reason, before string
	limit                    int
}

// any reports whether the filter matches everything.
func (f *filter) any() bool { return f.endpoint == "" && f.reason == "" && f.before == "" }

func (s *selection) addFilter(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&s.filter.endpoint, "endpoint", "", "only those of this endpoint")
	flags.StringVar(&s.filter.reason, "reason", "", "only those that failed for this reason")
	flags.StringVar(&s.filter.before, "before", "", "only those that failed before this RFC 3339 `time`")
	flags.IntVar(&s.filter.limit, "limit", 100, "at most this `number`, newest first")
	known := domain.Reasons()
	reasons := make([]string, 0, len(known))
	for _, reason := range known {
		reasons = append(reasons, string(reason))
	}
	completeValues(command, "reason", reasons)
}

func (s *selection) addAll(command *cobra.Command) {
	command.Flags().BoolVar(&s.all, "all", false, "all that match, without a limit")
}

// limit is how many dead letters are meant at most.
func (s *selection) limit() int {
	if s.all {
		return math.MaxInt
	}
	return s.filter.limit
}

func (s *selection) check() error {
	if s.filter.limit < 1 {
		return usagef("--limit must be at least 1")
	}
	return nil
}

// checkWith checks a selection that stands beside an id, or in its place.
func (s *selection) checkWith(ids []string) error {
	selects := s.all || !s.filter.any()
	switch {
	case len(ids) == 1 && selects:
		return usagef("name an id or a filter, not both")
	case len(ids) == 0 && !selects:
		return usagef("name an id, a filter or --all")
	}
	return s.check()
}

// session runs work with a client of the api that the flags name.
func (p *Program) session(command *cobra.Command, work func(*session) error) error {
	base, err := p.apiURL(command)
	if err != nil {
		return err
	}
	api := newClient(base, p.Getenv(keyVariable))
	defer api.close()
	return work(&session{
		api:    api,
		json:   command.Flag("json").Value.String() == "true",
		stdout: command.OutOrStdout(),
		stderr: command.ErrOrStderr(),
	})
}

// apiURL is where the api is: as the flags say, or on this machine as configured.
func (p *Program) apiURL(command *cobra.Command) (string, error) {
	if address := command.Flag("url").Value.String(); address != "" {
		return checkURL(address)
	}
	listener, err := p.Listen(settingsOf(command))
	if err != nil {
		return "", err
	}
	base, err := localURL(listener)
	if err != nil {
		return "", usagef("%v; name the address with --url", err)
	}
	return base, nil
}

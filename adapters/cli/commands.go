package cli

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// root is the command without a name, which runs the gateway, with all others below it.
func (p *Program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "openhqm",
		Short: "A durable asynchronous HTTP gateway",
		Long: `OpenHQM is a durable asynchronous HTTP gateway: it answers requests with 202 at once, keeps them in a
queue, forwards them to their backends and keeps the responses.

Without a command it runs the gateway.`,
		Example: `  openhqm                                    run on the embedded queue, in ./data, port 8000
  openhqm --config openhqm.yaml              run with a configuration file
  openhqm --role worker --queue-type redis   run as a worker on Redis`,
		Version:       p.Version,
		Args:          noArguments,
		SilenceErrors: true, // Run prints them
		SilenceUsage:  true,
		RunE: func(command *cobra.Command, _ []string) error {
			return p.Serve(settingsOf(command))
		},
	}
	p.addSettings(root)
	root.SetVersionTemplate("openhqm {{.Version}}\n")
	root.SetHelpCommand(helpCommand())
	root.AddCommand(p.configCommand(), p.healthcheckCommand(), p.dlqCommand(), p.dataCommand(), p.moveCommand(),
		p.versionCommand(), completionCommand())
	return root
}

// overrides are the flags that set a value of the configuration, with its key.
var overrides = map[string]string{"role": "role", "queue-type": "queue.type"}

// addSettings adds the flags that settingsOf reads.
func (p *Program) addSettings(command *cobra.Command) {
	flags := command.Flags()
	flags.String("config", "", "YAML `file` (also OPENHQM_CONFIG)")
	flags.String("role", "", strings.Join(p.Roles, ", ")+" (also OPENHQM_ROLE)")
	flags.String("queue-type", "", strings.Join(p.QueueTypes, ", ")+" (also OPENHQM_QUEUE_TYPE)")
	flags.String("env-file", "", "`file` of variables (also OPENHQM_ENV_FILE; default: .env beside the YAML file)")
	completeFiles(command, "config")
	completeValues(command, "role", p.Roles)
	completeValues(command, "queue-type", p.QueueTypes)
}

func settingsOf(command *cobra.Command) Settings {
	settings := Settings{File: command.Flag("config").Value.String(), Values: make(map[string]string)}
	if flag := command.Flag("env-file"); flag != nil {
		settings.DotEnv = flag.Value.String()
	} else {
		settings.NoDotEnv = true
	}
	for name, key := range overrides {
		// One that was given without a value counts: it may be a shell variable that is not set.
		if flag := command.Flag(name); flag != nil && flag.Changed {
			settings.Values[key] = flag.Value.String()
		}
	}
	return settings
}

func (p *Program) configCommand() *cobra.Command {
	var check bool
	command := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration in effect, secrets masked, or check it",
		Long: `Print the configuration in effect, secrets masked.

With --check, name everything wrong that a start would find without the network, secrets and files included.
Exit codes: 0; 1 something could not be done; 2 the configuration is wrong.`,
		Example: `  openhqm config --config openhqm.yaml
  openhqm config --check --config openhqm.yaml`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			settings, stdout, stderr := settingsOf(command), command.OutOrStdout(), command.ErrOrStderr()
			if !check {
				return p.PrintConfig(settings, stdout, stderr)
			}
			if err := p.CheckConfig(settings, stderr); err != nil {
				return err
			}
			_, err := fmt.Fprintln(stdout, "the configuration can be used")
			return err
		},
	}
	p.addSettings(command)
	command.Flags().BoolVar(&check, "check", false, "look for everything that is wrong with it")
	return command
}

func (p *Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of OpenHQM and Go, and the platform",
		Example: "  openhqm version",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(command.OutOrStdout(), "openhqm %s (%s, %s/%s)\n",
				p.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// helpCommand is cobra's own, except that a command that does not exist is an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Explain a command",
		Example: "  openhqm help dlq resend",
		RunE: func(command *cobra.Command, args []string) error {
			about, rest, err := command.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("unknown command %q", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag() // these two are listed in the help, as with --help
			about.InitDefaultVersionFlag()
			return about.Help()
		},
		ValidArgsFunction: completeCommands,
	}
}

// completeCommands offers the commands below those that are already typed.
func completeCommands(
	command *cobra.Command, args []string, _ string,
) (names []cobra.Completion, directive cobra.ShellCompDirective) {
	about, _, err := command.Root().Find(args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, c := range about.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// shells are those that completionCommand knows.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes commands, flags and values in a shell",
		Long: `Print a script for ` + strings.Join(shells, ", ") + ` that completes commands, flags and values.

The script calls openhqm, which must be in the PATH under this name.`,
		Example: `  source <(openhqm completion bash)      now, in this bash (needs the package bash-completion)
  openhqm completion bash >~/.local/share/bash-completion/completions/openhqm
  openhqm completion zsh >"${fpath[1]}/_openhqm"
  openhqm completion fish >~/.config/fish/completions/openhqm.fish`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return fmt.Errorf("name one shell: %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			root, out := command.Root(), command.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			default:
				return root.GenPowerShellCompletionWithDesc(out)
			}
		},
	}
}

// completeValues makes the shell offer the values of a flag. It panics when the flag does not exist.
func completeValues(command *cobra.Command, flag string, values []string) {
	complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	if err := command.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err)
	}
}

// completeFiles makes the shell offer YAML files for a flag. It panics when the flag does not exist.
func completeFiles(command *cobra.Command, flag string) {
	complete := cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	if err := command.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err)
	}
}

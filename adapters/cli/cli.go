// Package cli is the command line of openhqm: it starts what the arguments ask for, and is a client of a running api
// for people.
package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it could not be done
	exitUsage  = 2 // the command line or the configuration is wrong
)

// Program is what the command line starts and asks. All fields are needed.
type Program struct {
	Version    string
	Roles      []string // values of --role, for shell completion
	QueueTypes []string // values of --queue-type, for shell completion

	// Getenv returns an environment variable; empty when it is not set.
	Getenv func(name string) string

	// Serve runs the gateway until a signal ends it. An error that is in the log already is ErrLogged.
	Serve func(settings Settings) error

	// Move moves all that is kept with one configuration to another, which both files are of.
	Move func(order MoveOrder, stdout io.Writer) error

	// PrintConfig writes the configuration in effect to stdout, and warnings to stderr.
	PrintConfig func(settings Settings, stdout, stderr io.Writer) error

	// CheckConfig looks for everything wrong that a start would find without the network. It writes warnings to stderr.
	CheckConfig func(settings Settings, stderr io.Writer) error

	// Listen returns where a process with this configuration listens.
	Listen func(settings Settings) (Listener, error)

	// Data are the tools for data directories.
	Data DataTools
}

// Listener is the main address of a process.
type Listener struct {
	Host string
	Port int // 0: any free one
	TLS  bool
}

// Settings are the flags that choose the configuration.
type Settings struct {
	File   string            // of --config; empty: none given
	DotEnv string            // of --env-file; empty: none given
	Values map[string]string // text by configuration key ("queue.type"), for the flags that were given

	// NoDotEnv leaves out .env files. A client that sends a key must not let one name the server.
	NoDotEnv bool
}

// MoveOrder says what to move.
type MoveOrder struct {
	From, To string // configuration files
	DryRun   bool   // only say what would be moved
}

// ErrLogged is the error of a command that has logged what went wrong. It is not printed again.
var ErrLogged = errors.New("see the log")

// ConfigError marks an error of the configuration, which has an exit code of its own.
type ConfigError struct{ Err error }

// Error returns the text of the marked error.
func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the marked error.
func (e *ConfigError) Unwrap() error { return e.Err }

// usageError is an error of the command line that a command finds by itself.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// Run runs the command that args name, without the name of the program, and returns the exit code. It blocks until the
// command ends.
func (p *Program) Run(args []string, stdout, stderr io.Writer) int {
	root := p.root()
	root.SetArgs(append([]string{}, args...)) // nil would be those of the process
	root.SetOut(stdout)
	root.SetErr(stderr)
	began := false // what fails before is the command line
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }

	command, err := root.ExecuteC()

	var usage *usageError
	var config *ConfigError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, ErrLogged):
		return exitFailed
	case !began || errors.As(err, &usage):
		text := strings.TrimSpace(strings.ReplaceAll(err.Error(), "\n", " "))
		printError(stderr, fmt.Errorf("%s; see %s --help", text, command.CommandPath()))
		return exitUsage
	case errors.As(err, &config):
		printError(stderr, err)
		return exitUsage
	default:
		printError(stderr, err)
		return exitFailed
	}
}

// printError ignores its own error: standard error may be closed.
func printError(stderr io.Writer, err error) { _, _ = fmt.Fprintf(stderr, "openhqm: %v\n", err) }

// noArguments refuses arguments, and the names of commands that do not exist.
func noArguments(command *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case !command.HasSubCommands():
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	command.SuggestionsMinimumDistance = 2
	if similar := command.SuggestionsFor(args[0]); len(similar) > 0 && similar[0] != args[0] {
		return fmt.Errorf("unknown command %q, did you mean %q?", args[0], similar[0])
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// Command openhqm is the whole product: a durable asynchronous HTTP gateway. What it does follows from its
// configuration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/openhqm/openhqm/bootstrap"
	"github.com/openhqm/openhqm/configs"
)

// version is stamped by the build.
var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // could not start, or could not go on
	exitUsage  = 2 // the configuration or the command line is wrong
)

const usage = `Usage:
  openhqm [flags]          run
  openhqm config [flags]   print the effective configuration, secrets masked
  openhqm healthcheck [flags]
                           exit with 0 if the process on this machine with this configuration is alive, else with 1
  openhqm dlq COMMAND      list, show, resend or purge dead letters; see openhqm dlq --help

Flags:
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the exit.
func run(args []string, stdout, stderr io.Writer) int {
	command := ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	if command == "dlq" { // it has flags of its own
		return deadLetters(args, os.Environ(), stdout, stderr)
	}
	line, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case line.version:
		return printed(fmt.Fprintln(stdout, "openhqm", version))
	}
	switch command {
	case "":
		return serve(line.sources, stderr)
	case "config":
		return printConfig(line.sources, stdout, stderr)
	case "healthcheck":
		return healthcheck(line.sources, stderr)
	default:
		complain(stderr, fmt.Errorf("unknown command %q; see openhqm --help", command))
		return exitUsage
	}
}

// commandLine is what the flags say.
type commandLine struct {
	sources configs.Sources
	version bool
}

func parse(args []string, stderr io.Writer) (commandLine, error) {
	line := commandLine{sources: configs.Sources{DotEnv: ".env", Environ: os.Environ(), Flags: map[string]string{}}}
	flags := flag.NewFlagSet("openhqm", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&line.sources.File, "config", "", "YAML `file` (also OPENHQM_CONFIG)")
	flags.Func("role", "all, api or worker (also OPENHQM_ROLE)", func(text string) error {
		line.sources.Flags["role"] = text
		return nil
	})
	flags.BoolVar(&line.version, "version", false, "print the version")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q; see openhqm --help", flags.Arg(0))
		complain(stderr, err)
	}
	return line, err
}

func serve(sources configs.Sources, stderr io.Writer) int {
	config, warnings, err := configs.Load(sources)
	if err != nil {
		return refuse(stderr, err)
	}
	logger, err := bootstrap.NewLogger(config, stderr)
	if err != nil {
		return refuse(stderr, err)
	}
	for _, warning := range warnings {
		logger.Warn("configuration", "source", warning.Source, "warning", warning.Text)
	}
	// The second signal finds Go's default: it ends the process at once.
	stop, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(stop, restore)

	bootstrap.TuneMemory(config)
	if err := bootstrap.Run(stop, config, version, logger); err != nil {
		if isConfiguration(err) {
			return refuse(stderr, err)
		}
		logger.Error("openhqm ends", "error", err)
		return exitFailed
	}
	return exitOK
}

func printConfig(sources configs.Sources, stdout, stderr io.Writer) int {
	config, warnings, err := configs.Load(sources)
	if err != nil {
		return refuse(stderr, err)
	}
	for _, warning := range warnings {
		complain(stderr, errors.New("warning: "+warning.String()))
	}
	text, err := config.YAML()
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	return printed(stdout.Write(text))
}

func isConfiguration(err error) bool {
	var fault *configs.Error
	return errors.As(err, &fault)
}

// refuse tells what is wrong with the configuration, for people: it stands before any log.
func refuse(stderr io.Writer, err error) int {
	complain(stderr, err)
	return exitUsage
}

// complain has nobody to tell when standard error is gone.
func complain(stderr io.Writer, err error) { _, _ = fmt.Fprintf(stderr, "openhqm: %v\n", err) }

func printed(_ int, err error) int {
	if err != nil {
		return exitFailed
	}
	return exitOK
}

// Command openhqm is the whole product: a durable asynchronous HTTP gateway. What it does follows from its
// configuration.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/openhqm/openhqm/adapters/cli"
	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/bootstrap"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

// version is stamped by the build.
var version = "dev"

func main() { os.Exit(run(os.Args[1:])) }

// lastLines is how long the last lines may take at the end of a process: the reader of stderr may have stalled.
const lastLines = time.Second

func run(args []string) (code int) {
	stderr := telemetry.NewLogWriter(os.Stderr)
	code = program(stderr).Run(args, os.Stdout, stderr)
	ctx, cancel := context.WithTimeout(context.Background(), lastLines)
	defer cancel()
	stderr.Close(ctx)
	return code
}

// program connects the command line to the configuration and to what a process runs. A process logs to stderr.
func program(stderr *telemetry.LogWriter) *cli.Program {
	return &cli.Program{
		Version:     version,
		Roles:       []string{configs.RoleAll, configs.RoleAPI, configs.RoleWorker},
		QueueTypes:  configs.QueueTypes(),
		Getenv:      os.Getenv,
		Serve:       func(settings cli.Settings) error { return serve(settings, stderr) },
		Move:        func(order cli.MoveOrder, stdout io.Writer) error { return move(order, stdout, stderr) },
		PrintConfig: printConfig,
		CheckConfig: checkConfig,
		Listen:      listen,
		Data: cli.DataTools{
			Check: bootstrap.CheckData, Repair: bootstrap.RepairData, Backup: bootstrap.BackupData,
		},
	}
}

// load reads the configuration that the flags choose. Its error is a *cli.ConfigError; what is at fault in the
// configuration has its default then.
func load(settings cli.Settings) (configs.Config, []configs.Warning, error) {
	config, warnings, err := configs.Load(configs.Sources{
		File: settings.File, DotEnv: settings.DotEnv, NoDotEnv: settings.NoDotEnv, Environ: os.Environ(),
		Flags: settings.Values,
	})
	if err != nil {
		err = &cli.ConfigError{Err: err}
	}
	return config, warnings, err
}

// loadToStart also checks what only a start needs. Its error names everything that is wrong.
func loadToStart(settings cli.Settings) (configs.Config, []configs.Warning, error) {
	config, warnings, err := load(settings)
	if err := bootstrap.Check(config, err); err != nil {
		return config, warnings, &cli.ConfigError{Err: err}
	}
	return config, warnings, nil
}

// serve runs the process until a signal ends it, or until it fails.
func serve(settings cli.Settings, stderr *telemetry.LogWriter) error {
	// After the first signal Go's default is restored: a second one ends the process at once.
	stop, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(stop, restore)
	signal.Ignore(syscall.SIGPIPE) // a reader of the log that is gone ends nothing
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	config, warnings, err := loadToStart(settings)
	if err != nil {
		return err
	}
	log, err := bootstrap.NewLog(config, stderr)
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	bootstrap.LogWarnings(log.Logger, warnings)
	if file := config.DotEnv(); file != "" {
		log.Info("configuration: read a file of variables", "file", file)
	}
	if err := bootstrap.TuneMemory(config, log.Logger); err != nil {
		return &cli.ConfigError{Err: err}
	}
	err = bootstrap.Run(stop, config, version, log, bootstrap.Reloads{
		Hangups: hangups,
		Load: func() (configs.Config, []configs.Warning, error) {
			if err := refuseEmptied(settings); err != nil {
				return config, nil, err
			}
			return loadToStart(settings)
		},
	})
	if _, ok := errors.AsType[*configs.Error](err); ok || errors.Is(err, ports.ErrMisconfigured) {
		return &cli.ConfigError{Err: err}
	}
	if err != nil {
		log.Error("openhqm stopped", "error", err)
		return cli.ErrLogged
	}
	return nil
}

// refuseEmptied returns an error for an empty configuration file: whoever empties a file is about to write it.
func refuseEmptied(settings cli.Settings) error {
	file := cmp.Or(settings.File, os.Getenv("OPENHQM_CONFIG"))
	if file == "" {
		return nil
	}
	if info, err := os.Stat(file); err == nil && info.Size() == 0 {
		return fmt.Errorf("%s is empty", file)
	}
	return nil
}

func printConfig(settings cli.Settings, stdout, stderr io.Writer) error {
	config, warnings, err := load(settings)
	if err != nil {
		return err
	}
	remark(config, warnings, stderr)
	text, err := config.YAML()
	if err != nil {
		return err
	}
	_, err = stdout.Write(text)
	return err
}

// remark writes what a start logs. It ignores its own errors: standard error may be closed.
func remark(config configs.Config, warnings []configs.Warning, stderr io.Writer) {
	if file := config.DotEnv(); file != "" {
		_, _ = fmt.Fprintf(stderr, "openhqm: read variables from %s\n", file)
	}
	for _, warning := range warnings {
		_, _ = fmt.Fprintf(stderr, "openhqm: warning: %s\n", warning)
	}
}

// checkConfig names everything wrong that a start would find without the network, and what this machine lacks.
func checkConfig(settings cli.Settings, stderr io.Writer) error {
	config, warnings, err := load(settings)
	remark(config, warnings, stderr)
	if err := bootstrap.CheckMachine(config, bootstrap.Check(config, err)); err != nil {
		return &cli.ConfigError{Err: err}
	}
	return nil
}

// listen returns where the process listens. A client without .env files overlooks faults elsewhere: they may be in what
// it does not know.
func listen(settings cli.Settings) (cli.Listener, error) {
	config, _, err := load(settings)
	server := config.Server
	faulty, ok := errors.AsType[*configs.Error](err)
	if ok && settings.NoDotEnv && !faulty.Blames("", "server", "server.host", "server.port", "server.tls.cert_file") {
		err = nil
	}
	return cli.Listener{Host: server.Host, Port: server.Port, TLS: server.TLS.On()}, err
}

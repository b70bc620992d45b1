// Command openhqm is the whole product: a durable asynchronous HTTP gateway. What it does follows from its
// configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
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
		Listen:      listen,
		Data: cli.DataTools{
			Check: bootstrap.CheckData, Repair: bootstrap.RepairData, Backup: bootstrap.BackupData,
		},
	}
}

// load reads the configuration that the flags choose. Its error is a *cli.ConfigError.
func load(settings cli.Settings) (configs.Config, []configs.Warning, error) {
	config, warnings, err := configs.Load(configs.Sources{
		File: settings.File, DotEnv: ".env", Environ: os.Environ(), Flags: settings.Values,
	})
	if err != nil {
		return config, nil, &cli.ConfigError{Err: err}
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

	config, warnings, err := load(settings)
	if err != nil {
		return err
	}
	log, err := bootstrap.NewLog(config, stderr)
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	warn(log, warnings)
	if err := bootstrap.TuneMemory(config, log.Logger); err != nil {
		return &cli.ConfigError{Err: err}
	}
	reload := reloader{settings: settings, config: config, log: log}
	running, end := context.WithCancel(context.Background())
	var reloads sync.WaitGroup
	reloads.Go(func() { reload.run(running, hangups) })
	err = bootstrap.Run(stop, config, version, log)
	end()
	reloads.Wait()
	if _, ok := errors.AsType[*configs.Error](err); ok || errors.Is(err, ports.ErrMisconfigured) {
		return &cli.ConfigError{Err: err}
	}
	if err != nil {
		log.Error("openhqm stopped", "error", err)
		return cli.ErrLogged
	}
	return nil
}

func warn(log *bootstrap.Log, warnings []configs.Warning) {
	for _, warning := range warnings {
		log.Warn("configuration", "source", warning.Source, "warning", warning.Text)
	}
}

func printConfig(settings cli.Settings, stdout, stderr io.Writer) error {
	config, warnings, err := load(settings)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		_, _ = fmt.Fprintf(stderr, "openhqm: warning: %s\n", warning)
	}
	text, err := config.YAML()
	if err != nil {
		return err
	}
	_, err = stdout.Write(text)
	return err
}

func listen(settings cli.Settings) (cli.Listener, error) {
	config, _, err := load(settings)
	server := config.Server
	return cli.Listener{Host: server.Host, Port: server.Port, TLS: server.TLS.On()}, err
}

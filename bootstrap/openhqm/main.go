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
	"syscall"

	"github.com/openhqm/openhqm/adapters/cli"
	"github.com/openhqm/openhqm/bootstrap"
	"github.com/openhqm/openhqm/configs"
)

// version is stamped by the build.
var version = "dev"

func main() {
	os.Exit(program().Run(os.Args[1:], os.Stdout, os.Stderr))
}

// program connects the command line to the configuration and to what a process runs.
func program() *cli.Program {
	return &cli.Program{
		Version:     version,
		Roles:       []string{configs.RoleAll, configs.RoleAPI, configs.RoleWorker},
		QueueTypes:  configs.QueueTypes(),
		Getenv:      os.Getenv,
		Serve:       serve,
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
func serve(settings cli.Settings, stderr io.Writer) error {
	config, warnings, err := load(settings)
	if err != nil {
		return err
	}
	logger, err := bootstrap.NewLogger(config, stderr)
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	for _, warning := range warnings {
		logger.Warn("configuration", "source", warning.Source, "warning", warning.Text)
	}
	// After the first signal Go's default is restored: a second one ends the process at once.
	stop, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(stop, restore)

	bootstrap.TuneMemory(config)
	if err := bootstrap.Run(stop, config, version, logger); err != nil {
		if _, ok := errors.AsType[*configs.Error](err); ok {
			return &cli.ConfigError{Err: err}
		}
		logger.Error("openhqm stopped", "error", err)
		return cli.ErrLogged
	}
	return nil
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

func listen(settings cli.Settings) (host string, port int, err error) {
	config, _, err := load(settings)
	return config.Server.Host, config.Server.Port, err
}

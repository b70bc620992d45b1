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
	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/bootstrap"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

// move moves everything from one configuration to another, until a signal interrupts it.
func move(order cli.MoveOrder, stdout io.Writer, stderr *telemetry.LogWriter) error {
	stop, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	var both [2]configs.Config
	for i, file := range []string{order.From, order.To} {
		config, _, err := configs.Load(configs.Sources{
			File: file, Environ: os.Environ(), FileAlone: true,
		})
		if err != nil {
			return &cli.ConfigError{Err: err}
		}
		both[i] = config
	}
	log, err := bootstrap.NewLog(both[1], stderr)
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	moved, err := bootstrap.Move(stop, both[0], both[1], order.DryRun, log.Logger)
	switch _, wrong := errors.AsType[*configs.Error](err); {
	case wrong || errors.Is(err, ports.ErrMisconfigured):
		return &cli.ConfigError{Err: err}
	case err != nil && stop.Err() != nil:
		return fmt.Errorf("interrupted, with %d moved; run it again to go on", moved.Total())
	case err != nil:
		return err
	}
	return printMoved(stdout, moved, order.DryRun)
}

func printMoved(stdout io.Writer, moved bootstrap.Moved, dryRun bool) error {
	verb := "moved"
	if dryRun {
		verb = "would be moved"
	}
	_, err := fmt.Fprintf(stdout, "from %s\nto %s\n%s: %d ready and %d delayed requests, %d finished ones, "+
		"%d dead letters, %d idempotency keys\n", moved.From, moved.To, verb, moved.Ready, moved.Delayed, moved.Final,
		moved.DeadLetters, moved.Keys)
	if err == nil && moved.Carried > 0 {
		_, err = fmt.Fprintf(stdout, "and %d requests that are in the broker\n", moved.Carried)
	}
	return err
}

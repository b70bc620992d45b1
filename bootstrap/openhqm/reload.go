package main

import (
	"bytes"
	"context"
	"os"

	"github.com/openhqm/openhqm/adapters/cli"
	"github.com/openhqm/openhqm/bootstrap"
	"github.com/openhqm/openhqm/configs"
)

// reloader reads the configuration again on SIGHUP. The log level takes effect; for everything else it says that a
// restart is needed.
type reloader struct {
	settings cli.Settings
	config   configs.Config // as it was read last
	log      *bootstrap.Log
}

// run reloads at each signal, until ctx ends.
func (r *reloader) run(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-hangups:
			r.reload()
		case <-ctx.Done():
			return
		}
	}
}

func (r *reloader) reload() {
	config, warnings, err := load(r.settings)
	if err == nil {
		err = r.log.SetLevel(config)
	}
	if err != nil {
		r.log.Error("SIGHUP: the configuration is wrong; going on with the old one", "error", err)
		return
	}
	warn(r.log, warnings)
	r.log.Info("SIGHUP: read the configuration again", "log_level", config.Log.Level)
	if !sameButLevel(r.config, config) {
		r.log.Warn("SIGHUP: other settings than log.level have changed; they take effect after a restart")
	}
	r.config = config
}

// sameButLevel compares what `openhqm config` would print, apart from the log level.
func sameButLevel(a, b configs.Config) bool {
	a.Log.Level = b.Log.Level
	before, err := a.YAML()
	after, err2 := b.YAML()
	return err == nil && err2 == nil && bytes.Equal(before, after)
}

package bootstrap

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/configs"
)

// Log is where a process logs. Its reader holds up nobody.
type Log struct {
	*slog.Logger

	level  slog.LevelVar
	writer *telemetry.LogWriter
}

// NewLog returns a log in the configured format, from the configured level on. The caller closes the writer.
func NewLog(config configs.Config, w *telemetry.LogWriter) (*Log, error) {
	l := &Log{writer: w}
	if err := l.SetLevel(config); err != nil {
		return nil, err
	}
	var err error
	l.Logger, err = telemetry.NewLogger(w, config.Log.Format, &l.level)
	return l, err
}

// SetLevel logs from the configured level on. It is safe for concurrent use.
func (l *Log) SetLevel(config configs.Config) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(config.Log.Level)); err != nil {
		return fmt.Errorf("log.level: %w", err)
	}
	l.level.Set(level)
	return nil
}

// exitTime bounds how long Exit writes what was logged before.
const exitTime = time.Second

// Exit ends the process at once, as one that failed. What was logged is written, unless nobody reads it.
func (l *Log) Exit() {
	ctx, cancel := context.WithTimeout(context.Background(), exitTime)
	l.writer.Close(ctx)
	cancel()
	os.Exit(1)
}

// logProbes adds the component "log" to /health.
func logProbes(log *Log) probes { return probes{Probes: []probe{{"log", log.writer}}} }

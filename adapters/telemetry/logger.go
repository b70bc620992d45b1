package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// The values of log.format.
const (
	FormatAuto = "auto" // text on a terminal, JSON otherwise
	FormatText = "text" // for people: one short line each, coloured on a terminal
	FormatJSON = "json" // for machines: one JSON object per line
)

// NewLogger returns a logger that writes records of at least the given level to w. It is safe for concurrent use. Any
// other format than the three is an error. A LogWriter then says in that format how many lines it lost.
func NewLogger(w io.Writer, format string, level slog.Leveler) (*slog.Logger, error) {
	terminal := isTerminal(w)
	if format == FormatAuto {
		format = FormatJSON
		if terminal {
			format = FormatText
		}
	}
	handler, err := newHandler(w, format, level, terminal)
	if err != nil {
		return nil, err
	}
	if writer, ok := w.(*LogWriter); ok {
		writer.noteLost(func(lines int64) []byte { return lostLine(format, terminal, lines) })
	}
	if terminal && format == FormatText {
		handler = terminalHandler{handler}
	}
	return slog.New(handler), nil
}

func newHandler(w io.Writer, format string, level slog.Leveler, terminal bool) (slog.Handler, error) {
	switch format {
	case FormatText:
		return tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: "15:04:05.000", NoColor: !terminal}), nil
	case FormatJSON:
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}), nil
	default:
		return nil, fmt.Errorf("log format %q: want %s, %s or %s", format, FormatAuto, FormatText, FormatJSON)
	}
}

// lostLine returns the line of the log that stands for lines that were lost.
func lostLine(format string, terminal bool, lines int64) []byte {
	var text bytes.Buffer
	if handler, err := newHandler(&text, format, slog.LevelWarn, terminal); err == nil {
		slog.New(handler).Warn("log lines lost: the reader of the log was too slow or away", "lines", lines)
	}
	return text.Bytes()
}

// terminalHandler marks a handler that writes text to a terminal.
type terminalHandler struct{ slog.Handler }

// OnTerminal reports whether a logger, as NewLogger returned it, writes text to a terminal.
func OnTerminal(logger *slog.Logger) bool {
	_, ok := logger.Handler().(terminalHandler)
	return ok
}

// isTerminal reports whether w is a terminal, and not just a character device such as /dev/null.
func isTerminal(w io.Writer) bool {
	if writer, ok := w.(*LogWriter); ok {
		w = writer.out
	}
	file, ok := w.(interface{ Fd() uintptr })
	return ok && isatty.IsTerminal(file.Fd())
}

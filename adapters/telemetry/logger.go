package telemetry

import (
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
// other format than the three is an error.
func NewLogger(w io.Writer, format string, level slog.Leveler) (*slog.Logger, error) {
	terminal := isTerminal(w)
	if format == FormatAuto {
		format = FormatJSON
		if terminal {
			format = FormatText
		}
	}
	switch format {
	case FormatText:
		options := &tint.Options{Level: level, TimeFormat: "15:04:05.000", NoColor: !terminal}
		if terminal {
			return slog.New(terminalHandler{tint.NewTextHandler(w, options)}), nil
		}
		return slog.New(tint.NewTextHandler(w, options)), nil
	case FormatJSON:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
	default:
		return nil, fmt.Errorf("log format %q: want %s, %s or %s", format, FormatAuto, FormatText, FormatJSON)
	}
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
	file, ok := w.(interface{ Fd() uintptr })
	return ok && isatty.IsTerminal(file.Fd())
}

package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/telemetry"
)

// screen keeps what is written and claims the file descriptor of something else.
type screen struct {
	bytes.Buffer

	file *os.File
}

func (s *screen) Fd() uintptr { return s.file.Fd() }

// open returns a device as a screen: /dev/ptmx is a terminal, /dev/null only looks like one.
func open(t *testing.T, device string) *screen {
	t.Helper()
	file, err := os.OpenFile(device, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return &screen{file: file}
}

func TestNewLoggerChoosesTheFormat(t *testing.T) {
	t.Parallel()
	const coloured = "\x1b["
	tests := []struct {
		name         string
		giveFormat   string
		giveDevice   string
		wantJSON     bool
		wantColoured bool
	}{
		{"auto on a terminal", telemetry.FormatAuto, "/dev/ptmx", false, true},
		{"auto elsewhere", telemetry.FormatAuto, "/dev/null", true, false},
		{"text elsewhere", telemetry.FormatText, "/dev/null", false, false},
		{"JSON on a terminal", telemetry.FormatJSON, "/dev/ptmx", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := open(t, tt.giveDevice)
			log, err := telemetry.NewLogger(out, tt.giveFormat, slog.LevelInfo)
			require.NoError(t, err)

			log.Warn("careful", "n", 1)

			require.Equal(t, tt.wantJSON, json.Valid(out.Bytes()), out.String())
			require.Equal(t, tt.wantColoured, bytes.Contains(out.Bytes(), []byte(coloured)), out.String())
			require.Contains(t, out.String(), "careful")
			require.Equal(t, tt.wantColoured, telemetry.OnTerminal(log))
		})
	}
}

func TestNewLoggerDropsWhatIsBelowTheLevel(t *testing.T) {
	t.Parallel()
	for _, format := range []string{telemetry.FormatText, telemetry.FormatJSON} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log, err := telemetry.NewLogger(&out, format, slog.LevelWarn)
			require.NoError(t, err)

			log.Info("quiet")
			require.Empty(t, out.String())
			log.Warn("loud")
			require.Contains(t, out.String(), "loud")
		})
	}
}

func TestNewLoggerRefusesAnUnknownFormat(t *testing.T) {
	t.Parallel()
	_, err := telemetry.NewLogger(&bytes.Buffer{}, "xml", slog.LevelInfo)
	require.EqualError(t, err, `log format "xml": want auto, text or json`)
}

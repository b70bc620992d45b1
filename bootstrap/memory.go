package bootstrap

import (
	"os"
	"runtime/debug"

	"github.com/openhqm/openhqm/configs"
)

// What live memory costs beside bodies and results: buffers of connections, the queue's windows and indexes. See
// TuneMemory.
const (
	baseMemory = 256 << 20

	// gcPercent lets garbage grow to three times what lives before it is collected. Most of what this program
	// allocates dies with the request, and little lives: measured, it saves a good part of the CPU time of a submit.
	gcPercent = 300
)

// TuneMemory tells Go's collector what the configuration allows. Where much lives, the soft limit makes it collect
// earlier than gcPercent says. GOGC and GOMEMLIMIT, where they are set, win.
func TuneMemory(config configs.Config) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(config.Worker.MaxBytes) + maxBodyBytes + maxResponseBytes + baseMemory)
	}
}

package bootstrap

import (
	"os"
	"runtime/debug"

	"github.com/openhqm/openhqm/configs"
)

const (
	// baseMemory is for everything besides bodies and results, in bytes: buffers of connections, and windows and indexes
	// of the queue.
	baseMemory = 256 << 20

	// gcPercent lets garbage grow to three times the live memory before it is collected. Most of what this program
	// allocates lives only as long as the request: measured, it saves a good part of the CPU time of a submit.
	gcPercent = 300
)

// TuneMemory sets up Go's garbage collector for the configured limits. Where much memory is live, the soft limit makes
// it collect earlier than gcPercent. The variables GOGC and GOMEMLIMIT have precedence.
func TuneMemory(config configs.Config) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(config.Worker.MaxBytes) + maxBodyBytes + maxResponseBytes + baseMemory)
	}
}

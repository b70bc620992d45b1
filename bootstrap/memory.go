package bootstrap

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/openhqm/openhqm/configs"
)

const mebibyte = 1 << 20

// gcPercent lets garbage grow to three times the live memory before it is collected. Most of what this program
// allocates lives only as long as the request: measured, it saves a good part of the CPU time of a submit. Where much
// is live, the soft limit makes Go collect earlier.
const gcPercent = 300

// memoryBudgets says how the memory of the process is divided, in bytes. All budgets of the process are computed here.
type memoryBudgets struct {
	Soft     int64 // Go collects garbage more often to stay below it
	Bodies   int64 // bodies that are being received
	Worker   int64 // requests and responses that are worked on, one half for each
	Results  int64 // results that clients are reading, each as it is stored and as it is sent
	Cache    int64 // of the embedded database
	MemTable int64 // of the embedded database; it has up to four
}

// The budgets without a limit, and what there is besides them: buffers of connections, windows and indexes of the
// queue. A limit makes them smaller, but not than one body.
const (
	fullBodies   = 256 * mebibyte
	fullResults  = 256 * mebibyte
	fullCache    = 64 * mebibyte
	fullMemTable = 16 * mebibyte
	otherMemory  = 256 * mebibyte
)

const (
	// baseMemory is what an idle process needs besides the embedded database, in bytes.
	baseMemory = 24 * mebibyte

	// bodyCopies is how often a large body is in memory while the queue stores or reads it, besides the budgets: in a
	// batch of the embedded database, and in the blocks of its flush and its compaction, as they are and compressed.
	// Measured with bodies of 10 MiB.
	bodyCopies = 6

	// tableCount is how many memtables there may be while the disk is slow.
	tableCount = 4

	// resultRoom is how much room a result needs while a client reads it, per byte: as loaded, and in its document in
	// base64 (4/3).
	resultRoom = 7.0 / 3
)

// planMemory divides the memory of the process; limit is what it may have at most, 0: as much as it needs. The error is
// a *configs.Error: the configuration cannot work within the limit.
func planMemory(config configs.Config, limit int64) (memoryBudgets, error) {
	worker := int64(config.Worker.MaxBytes)
	b := memoryBudgets{
		Soft: worker + fullBodies + fullResults + otherMemory, Bodies: fullBodies, Worker: worker, Results: fullResults,
		Cache: fullCache, MemTable: fullMemTable,
	}
	body, response := int64(config.Server.MaxBodySize), int64(config.Proxy.MaxResponseSize)
	largest := max(body, response)
	if limit == 0 || b.Soft+bodyCopies*largest <= softLimit(limit) {
		return b, nil
	}
	b.Soft = min(b.Soft, softLimit(limit))
	b.Cache, b.MemTable = min(b.Cache, limit/16), min(b.MemTable, limit/64)
	spare := b.Soft - b.fixed() - bodyCopies*largest
	third := spare / 2 / 3 // the other half is for garbage
	b.Bodies = min(b.Bodies, max(third, body))
	b.Results = min(b.Results, max(third, int64(resultRoom*float64(response))))
	set := config.Sets("worker.max_bytes")
	if !set {
		b.Worker = min(b.Worker, max(third, 2*largest))
	}
	over := b.Bodies + b.Worker + b.Results - spare
	if over <= 0 {
		return b, nil
	}
	if set && b.Worker-over >= 2*largest {
		return b, tooMuch(config, limit, "worker.max_bytes", b.Worker-over)
	}
	if response > body {
		return b, tooMuch(config, limit, "proxy.max_response_size", b.largestBody())
	}
	return b, tooMuch(config, limit, "server.max_body_size", b.largestBody())
}

// softLimit leaves a quarter of the limit for what Go does not count, the program itself and buffers of the kernel, and
// for what is allocated while the collector works: measured, up to an eighth.
func softLimit(limit int64) int64 { return limit - limit/4 }

// fixed returns what is used before the first body arrives.
func (b memoryBudgets) fixed() int64 { return baseMemory + b.Cache + tableCount*b.MemTable }

// largestBody returns the largest bodies, in and out, that fit when there is one of each at a time.
func (b memoryBudgets) largestBody() int64 {
	return int64(float64(b.Soft-b.fixed()) / (bodyCopies + 1 + 2 + resultRoom))
}

// alike names the key that must fit, too.
var alike = map[string]string{
	"server.max_body_size":    "proxy.max_response_size",
	"proxy.max_response_size": "server.max_body_size",
}

// tooMuch returns the error for a key whose value does not fit into the limit.
func tooMuch(config configs.Config, limit int64, key string, fits int64) error {
	text := configs.ByteSize(limit).String()
	if fits < mebibyte {
		return config.Refuse(key, "cannot work within the memory limit of "+text+": give the process more memory")
	}
	fitting := configs.ByteSize(fits / mebibyte * mebibyte)
	reason := fmt.Sprintf("must be at most %s with the memory limit of %s", fitting, text)
	if other, known := alike[key]; known {
		reason += ", and so must " + other
	}
	return config.Refuse(key, reason)
}

// newMemoryBudgets divides the memory that this process may have.
func newMemoryBudgets(config configs.Config) (memoryBudgets, error) {
	limit, _ := memoryLimit()
	return planMemory(config, limit)
}

// TuneMemory sets up Go's garbage collector for the memory that the process may have. The variables GOGC and GOMEMLIMIT
// have precedence. The error is a *configs.Error: the configuration cannot work with so little memory.
func TuneMemory(config configs.Config, logger *slog.Logger) error {
	limit, source := memoryLimit()
	budgets, err := planMemory(config, limit)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(budgets.Soft)
	}
	if limit != 0 {
		logger.Info("memory is limited; large bodies wait for each other", "limit", limit, "source", source,
			"bodies", budgets.Bodies, "worker", budgets.Worker, "results", budgets.Results)
	}
	return nil
}

// memoryLimit returns what the process may have at most, in bytes, and what says so. 0: there is no limit.
func memoryLimit() (limit int64, source string) {
	limit, source = cgroupLimit(os.DirFS("/"))
	if own := debug.SetMemoryLimit(-1); own != math.MaxInt64 && os.Getenv("GOMEMLIMIT") != "" {
		// What Go does not count comes on top of its own limit, see softLimit.
		if own += own / 3; limit == 0 || own < limit {
			return own, "GOMEMLIMIT"
		}
	}
	return limit, source
}

package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	program = "github.com/openhqm/openhqm/bootstrap/openhqm"

	// binaryVariable names a program to test in place of one that is built here.
	binaryVariable = "OPENHQM_TEST_BINARY"

	// buildTimeout is for a machine that has to compile everything, with the race detector.
	buildTimeout = 15 * time.Minute
)

// Binary returns the path of the program under test: OPENHQM_TEST_BINARY, or one that is built at the first call, with
// the race detector if the tests have it. Under -short the test is skipped.
func Binary(tb testing.TB) string {
	tb.Helper()
	if raceDetector {
		return built(tb, withRace)
	}
	return built(tb, withoutRace)
}

// PlainBinary returns the path of the program as users have it, without the race detector. It is for tests that
// measure.
func PlainBinary(tb testing.TB) string {
	tb.Helper()
	return built(tb, withoutRace)
}

// testQueueBinary returns the path of the program with one more queue, "memory": a carrier that holds its messages in
// the memory of the process.
func testQueueBinary(tb testing.TB) string {
	tb.Helper()
	return built(tb, withTestQueue)
}

func built(tb testing.TB, binary func() (string, error)) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: this test needs the built program")
	}
	path, err := binary()
	require.NoError(tb, err)
	return path
}

// The program, built at the first call. Without the race detector it is built as `task build` does, which has left most
// of the work in Go's cache.
var (
	withRace    = sync.OnceValues(func() (string, error) { return given("openhqm-race", "nomsgpack", nil, "-race") })
	withoutRace = sync.OnceValues(func() (string, error) {
		return given("openhqm", "nomsgpack", withoutCgo, "-trimpath")
	})
	withTestQueue = sync.OnceValues(func() (string, error) {
		if raceDetector {
			return build("openhqm-test-queue", "nomsgpack,testqueue", nil, "-race")
		}
		return build("openhqm-test-queue", "nomsgpack,testqueue", withoutCgo, "-trimpath")
	})

	withoutCgo = []string{"CGO_ENABLED=0"}
)

// buildDir is where programs are built; it is made for the first.
var buildDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "openhqm-test") })

// given returns the program that is to be tested, and builds one only if none is named.
func given(name, tags string, environment []string, flags ...string) (string, error) {
	if path := os.Getenv(binaryVariable); path != "" {
		return filepath.Abs(path)
	}
	return build(name, tags, environment, flags...)
}

func build(name, tags string, environment []string, flags ...string) (string, error) {
	dir, err := buildDir()
	if err != nil {
		return "", fmt.Errorf("make a directory for the program: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	path := filepath.Join(dir, name)
	// Without Go's own stamp (buildvcs): it fails the build where git distrusts the owner of the checkout.
	args := slices.Concat([]string{"build", "-buildvcs=false", "-tags", tags, "-o", path}, flags, []string{program})
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are those above
	cmd.Env = append(os.Environ(), environment...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, output)
	}
	return path, nil
}

// removeBinaries is called when all tests are over.
func removeBinaries() {
	if dir, err := buildDir(); err == nil {
		_ = os.RemoveAll(dir) // what is left over is in the system's directory for such things
	}
}

// repository returns the root of the checkout.
func repository() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	gomod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the root of the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(gomod))), nil
}

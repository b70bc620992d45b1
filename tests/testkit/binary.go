package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// Binary gives the path of the program under test: OPENHQM_TEST_BINARY, or one that is built at the first call, with
// the race detector if the tests have it. Under -short the test is skipped.
func Binary(tb testing.TB) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: this test needs the built program")
	}
	path, err := binary()
	require.NoError(tb, err)
	return path
}

var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(binaryVariable); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.MkdirTemp("", "openhqm-test")
	if err != nil {
		return "", fmt.Errorf("make a directory for the program: %w", err)
	}
	buildDir = dir
	return build(filepath.Join(dir, "openhqm"))
})

// buildDir holds the program that was built here; empty without one.
var buildDir string

func build(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	// Without Go's own stamp (buildvcs): it fails the build where git distrusts the owner of the checkout.
	args := []string{"build", "-buildvcs=false", "-tags", "nomsgpack", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	//nolint:gosec // the arguments are those above
	output, err := exec.CommandContext(ctx, "go", append(args, program)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, output)
	}
	return path, nil
}

// removeBinary is called when all tests are over.
func removeBinary() {
	if buildDir != "" {
		_ = os.RemoveAll(buildDir) // what is left over is in the system's directory for such things
	}
}

// repository gives the root of the checkout.
func repository() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	gomod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the root of the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(gomod))), nil
}

package testkit

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/moving"
)

// server is one run of a server program that is not ours.
type server struct {
	process *os.Process
	log     *Log
	ended   chan struct{} // closed when the process has ended
}

// ensure returns the path of a server program, which is fetched at the first call.
func ensure(name string) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	script := filepath.Join(root, "scripts", "brokers", "ensure")
	cmd := exec.CommandContext(ctx, script, name) //nolint:gosec // a script of ours
	var stderr strings.Builder
	cmd.Stderr = &stderr
	path, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("scripts/brokers/ensure %s: %w: %s", name, err, stderr.String())
	}
	return strings.TrimSpace(string(path)), nil
}

// requireProgram returns the path of a server program. Where it cannot be fetched the test is skipped; with CI=true
// it fails.
func requireProgram(tb testing.TB, program func() (string, error)) string {
	tb.Helper()
	path, err := program()
	if err != nil && os.Getenv("CI") != "true" {
		tb.Skipf("a server cannot be fetched: %v", err)
	}
	require.NoError(tb, err)
	return path
}

// startServer runs a server program, which writes both of its outputs to log.
func startServer(tb testing.TB, log *Log, program string, args ...string) *server {
	tb.Helper()
	s, err := runServer(log, program, args...)
	require.NoError(tb, err)
	return s
}

// runServer is startServer outside of a test.
func runServer(log *Log, program string, args ...string) (*server, error) {
	// Not a test's context: it ends before those who use the server do.
	cmd := exec.CommandContext(context.Background(), program, args...) //nolint:gosec // a server that ensure gave
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = time.Second // children of one that was killed may hold the outputs
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{process: cmd.Process, log: log, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // that it ended is all there is to know
	}()
	return s, nil
}

// await asks until the server serves; false when it has ended, or neither writes to its log nor works for Patience.
func (s *server) await(ctx context.Context, serves func(context.Context) bool) bool {
	ctx, cancel := patiently(ctx, Patience, func() int64 { return s.log.size() + moving.CPU(s.process.Pid) })
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-s.ended:
			return false
		case <-ctx.Done():
			return false
		case <-ticker.C:
			if serves(ctx) {
				return true
			}
		}
	}
}

// end sends a signal and waits until the server is gone.
func (s *server) end(signal syscall.Signal) {
	_ = s.process.Signal(signal) // it may have ended
	<-s.ended
}

// freeAddress returns an address of the loopback interface that is free when it is chosen, and may be taken any time.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	address, err := chooseAddress(tb.Context())
	require.NoError(tb, err)
	return address
}

// chooseAddress is freeAddress outside of a test.
func chooseAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

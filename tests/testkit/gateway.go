package testkit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/moving"
)

// Gateway is an installation of OpenHQM: a directory with its configuration and its data. Processes come and go in it.
type Gateway struct {
	Dir       string // the working directory of its processes
	OpenFiles int    // the limit of open files of its next processes; 0: that of the test

	tb      testing.TB
	binary  string
	config  string
	env     []string
	group   string            // the control group of its processes; empty: that of the test
	serving watched[*Process] // the process that was last found ready; nil while there is none
}

// NewGateway makes an installation from a YAML configuration. Its processes listen on a free port of the loopback
// interface, and know only those variables ("NAME=value") that are passed here, which are stronger than the YAML.
func NewGateway(tb testing.TB, config string, variables ...string) *Gateway {
	tb.Helper()
	return newGateway(tb, Binary(tb), config, variables)
}

// NewPlainGateway is NewGateway without the race detector: for tests that measure.
func NewPlainGateway(tb testing.TB, config string, variables ...string) *Gateway {
	tb.Helper()
	return newGateway(tb, PlainBinary(tb), config, variables)
}

// NewTestQueueGateway is NewGateway with the program of the test build, which knows the queue memory too.
func NewTestQueueGateway(tb testing.TB, config string, variables ...string) *Gateway {
	tb.Helper()
	return newGateway(tb, testQueueBinary(tb), config, variables)
}

func newGateway(tb testing.TB, binary, config string, variables []string) *Gateway {
	tb.Helper()
	dir := tb.TempDir()
	require.NoError(tb, os.WriteFile(filepath.Join(dir, configFile), []byte(config), 0o600))
	base := []string{"OPENHQM_CONFIG=" + configFile, "OPENHQM_SERVER_HOST=127.0.0.1", "OPENHQM_SERVER_PORT=0"}
	return &Gateway{Dir: dir, tb: tb, binary: binary, config: config, env: slices.Concat(base, variables)}
}

// Twin makes an installation with the same configuration and variables, in a directory of its own.
func (g *Gateway) Twin() *Gateway {
	g.tb.Helper()
	return newGateway(g.tb, g.binary, g.config, g.env)
}

const configFile = "openhqm.yaml"

// Launch starts a process, with arguments if need be, and returns at once.
func (g *Gateway) Launch(args ...string) *Process {
	g.tb.Helper()
	p := g.newProcess(args...)
	p.cmd.Stderr = p.Log
	g.launch(p)
	return p
}

func (g *Gateway) newProcess(args ...string) *Process {
	// Not the test's context: it would kill the process before the cleanup has looked at how it is.
	return &Process{Log: newLog(g.tb), tb: g.tb, cmd: g.command(context.Background(), args...), done: make(chan struct{})}
}

func (g *Gateway) launch(p *Process) {
	g.tb.Helper()
	require.NoError(g.tb, p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // ProcessState says the same, and more
		g.serving.change(func(serving **Process) {
			if *serving == p {
				*serving = nil
			}
		})
	}()
	g.tb.Cleanup(p.cleanUp)
}

// StartUnread starts a process and waits until it is ready. From then on nobody reads what it writes to its standard
// error. The file is the end of the pipe where it could be read.
func (g *Gateway) StartUnread() (*Process, *os.File) {
	g.tb.Helper()
	stderr, theirs, err := os.Pipe()
	require.NoError(g.tb, err)
	g.tb.Cleanup(func() { _ = stderr.Close() }) // the test may have closed it
	p := g.newProcess()
	p.cmd.Stderr = theirs
	g.launch(p)
	require.NoError(g.tb, theirs.Close())
	for buffer := make([]byte, 1<<10); !strings.Contains(p.Log.Text(), `"msg":"listening"`); {
		n, err := stderr.Read(buffer)
		require.NoError(g.tb, err, p.Log.Text())
		_, _ = p.Log.Write(buffer[:n])
	}
	p.awaitReady()
	return p, stderr
}

// Start starts a process and waits until it is ready.
func (g *Gateway) Start() *Process {
	g.tb.Helper()
	p := g.Launch()
	p.awaitReady()
	g.serving.change(func(serving **Process) { *serving = p })
	return p
}

// StartWaiting starts a process whose broker is away, and waits until it listens all the same.
func (g *Gateway) StartWaiting() *Process {
	g.tb.Helper()
	p := g.Launch()
	line := p.AwaitLog("broker unavailable; the start waits for it (check the broker and the network)")
	address, _ := line["health_address"].(string)
	require.NotEmpty(g.tb, address, "where health is served")
	p.client = newClient(g.tb, address)
	return p
}

// Serving returns the process that serves, and waits for the next one while there is none. It is for goroutines that go
// on while processes die and come back.
func (g *Gateway) Serving(ctx context.Context) (*Process, error) {
	var process *Process
	err := g.serving.await(ctx, func(serving *Process) bool {
		process = serving
		return serving != nil
	})
	return process, err
}

// Output is what a process left that ended by itself.
type Output struct {
	Code   int // the exit code; -1 if it had to be killed
	Stdout string
	Stderr string
}

// Run starts a process that is to end by itself, for instance because it is a second one, and waits for its end.
func (g *Gateway) Run(args ...string) Output {
	g.tb.Helper()
	var started atomic.Int64 // its process id
	ctx, cancel := patiently(g.tb.Context(), Patience, func() int64 { return moving.CPU(int(started.Load())) })
	defer cancel()
	cmd := g.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(g.tb, cmd.Start())
	started.Store(int64(cmd.Process.Pid))
	_ = cmd.Wait() // ProcessState says the same, and more
	return Output{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

func (g *Gateway) command(ctx context.Context, args ...string) *exec.Cmd {
	name := g.binary
	if g.OpenFiles > 0 {
		limit := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, g.OpenFiles)
		name, args = "/bin/sh", append([]string{"-c", limit, name}, args...)
	}
	if g.group != "" {
		name, args = "/bin/sh", append([]string{"-c", enterGroup, g.group, name}, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the program under test
	cmd.Dir, cmd.Env = g.Dir, g.env
	return cmd
}

// OneBackend is the configuration of a gateway with a single endpoint, "backend", for requests that name none. Other
// top-level sections may follow it.
func OneBackend(url string) string {
	return fmt.Sprintf("proxy: {default_endpoint: backend, endpoints: {backend: {url: %q}}}\n", url)
}

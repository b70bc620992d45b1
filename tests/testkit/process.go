package testkit

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/moving"
)

// Process is one run of the program in an installation. It is killed at the end of the test, by its own process id. If
// it ended before and the test did not wait for that, the test fails, and so it does after a data race.
type Process struct {
	Log *Log

	tb     testing.TB
	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended
	waited bool          // somebody expected its end
	client *Client       // set when it listens
}

// Client speaks to the process. It is nil before the process listens.
func (p *Process) Client() *Client { return p.client }

// Kill ends the process with SIGKILL, as a power cut would, and waits until it is gone.
func (p *Process) Kill() {
	p.tb.Helper()
	p.Signal(syscall.SIGKILL)
	p.Wait()
}

// Signal sends a signal and returns at once. It does nothing if the process has ended.
func (p *Process) Signal(signal os.Signal) {
	_ = p.cmd.Process.Signal(signal) // the only error is that the process has ended, which Wait reports
}

// Ended reports whether the process is gone.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait blocks until the process has ended, and returns how it ended: its exit code, and the signal that ended it.
func (p *Process) Wait() *os.ProcessState {
	p.tb.Helper()
	p.waited = true
	ctx, cancel := patiently(context.WithoutCancel(p.tb.Context()), Patience, p.moves)
	defer cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		require.FailNowf(p.tb, "the process does not end", "%v", context.Cause(ctx))
	}
	return p.cmd.ProcessState
}

// moves counts what shows that the process, or its test, gets on.
func (p *Process) moves() int64 { return Moves(p.tb).Load() + moving.CPU(p.cmd.Process.Pid) }

// AwaitLog returns the first line of the log with that message, as soon as there is one.
func (p *Process) AwaitLog(message string) map[string]any {
	p.tb.Helper()
	ctx, cancel := patiently(p.tb.Context(), Patience, p.moves)
	defer cancel()
	stop := p.whileAlive(cancel)
	defer stop()
	line, err := p.Log.find(ctx, message)
	require.NoErrorf(p.tb, err, "wait for the log line %q", message)
	return line
}

// AwaitListening waits for the line that names the address, for a process that may not become ready.
func (p *Process) AwaitListening() {
	p.tb.Helper()
	address, _ := p.AwaitLog("listening")["address"].(string)
	require.NotEmpty(p.tb, address, "the line that names the address")
	p.client = newClient(p.tb, address)
}

// awaitReady waits until the process listens and /health/ready agrees.
func (p *Process) awaitReady() {
	p.tb.Helper()
	p.AwaitListening()
	Until(p.tb, "the process is ready", func() bool {
		return p.client.Get("/health/ready").Code == http.StatusOK
	})
}

// whileAlive calls cancel when the process ends, until stop is called.
func (p *Process) whileAlive(cancel context.CancelFunc) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-stopped:
		}
	}()
	return func() { close(stopped) }
}

func (p *Process) cleanUp() {
	alone := p.Ended() && !p.waited
	p.Signal(syscall.SIGKILL)
	<-p.done
	if alone {
		p.tb.Errorf("the process ended by itself: %s", p.cmd.ProcessState)
	}
	if strings.Contains(p.Log.Text(), "WARNING: DATA RACE") {
		p.tb.Errorf("there is a data race in the process")
	}
	if p.client != nil {
		p.client.http.CloseIdleConnections()
	}
	if p.tb.Failed() {
		p.tb.Logf("log of process %d (%s):\n%s", p.cmd.Process.Pid, p.cmd.ProcessState, p.Log.tail())
	}
}

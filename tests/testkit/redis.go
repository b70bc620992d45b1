package testkit

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Redis is a real redis-server on the loopback interface. What it acknowledges is on its disk, unless its arguments say
// otherwise. It may be ended and started again, on the same port and with the same data. Its methods are for the test's
// own goroutine, but for Do.
type Redis struct {
	Address string // host:port
	Log     *Log   // of all its runs

	tb      testing.TB
	program string
	args    []string
	server  *server // the run that was begun last
}

// StartRedis starts a Redis that ends with the test; args are further options ("--requirepass", "sesame"). Where it
// cannot be fetched the test is skipped; with CI=true it fails.
func StartRedis(tb testing.TB, args ...string) *Redis {
	tb.Helper()
	return newRedis(tb, slices.Concat([]string{
		"--bind", "127.0.0.1", "--dir", tb.TempDir(), "--save", "", "--appendonly", "yes", "--appendfsync", "always",
	}, args))
}

// StartReplica starts a Redis that copies another. It may not have caught up when this returns; see AwaitReplicas.
func StartReplica(tb testing.TB, master *Redis, args ...string) *Redis {
	tb.Helper()
	host, port, err := net.SplitHostPort(master.Address)
	require.NoError(tb, err)
	return StartRedis(tb, append([]string{"--replicaof", host + " " + port}, args...)...)
}

// sentinelConfig is of one Sentinel that decides alone. It considers a master dead only after a time in which every
// living one answers, also on a busy machine.
const sentinelConfig = `
bind 127.0.0.1
dir %s
sentinel monitor main %s %s 1
sentinel down-after-milliseconds main 3000
sentinel failover-timeout main 5000
`

// StartSentinel starts a Sentinel for a master and waits until it knows that many replicas. It returns the URL that
// leads to whichever is the master.
func StartSentinel(tb testing.TB, master *Redis, replicas int) (url string) {
	tb.Helper()
	host, port, err := net.SplitHostPort(master.Address)
	require.NoError(tb, err)
	master.AwaitReplicas(replicas)
	dir := tb.TempDir()
	config := filepath.Join(dir, "sentinel.conf") // Sentinel writes to it
	require.NoError(tb, os.WriteFile(config, fmt.Appendf(nil, sentinelConfig, dir, host, port), 0o600))
	sentinel := newRedis(tb, []string{config, "--sentinel"})
	Until(tb, "Sentinel knows the replicas", func() bool {
		return sentinel.Info("sentinel")["master0"] == fmt.Sprintf(
			"name=main,status=ok,address=%s,slaves=%d,sentinels=1", master.Address, replicas)
	})
	return sentinel.URL() + "?master_name=main"
}

// redisProgram returns the path of redis-server, which it fetches at the first call.
var redisProgram = sync.OnceValues(func() (string, error) { return ensure("redis-server") })

func newRedis(tb testing.TB, args []string) *Redis {
	tb.Helper()
	r := &Redis{Log: newLog(tb), tb: tb, program: requireProgram(tb, redisProgram), args: args}
	tb.Cleanup(r.cleanUp)
	// The port is free when it is chosen, and may be taken before redis-server has it.
	for range 5 {
		r.Address = freeAddress(tb)
		if r.start(nil, r.serves) {
			return r
		}
	}
	require.FailNowf(tb, "redis-server does not start", "%s", r.Log.tail())
	return nil
}

func (r *Redis) cleanUp() {
	r.Kill()
	if r.tb.Failed() {
		r.tb.Logf("log of Redis at %s:\n%s", r.Address, r.Log.tail())
	}
}

// start runs redis-server and waits until it is ready; false when it ends before.
func (r *Redis) start(args []string, ready func(context.Context) bool) bool {
	r.tb.Helper()
	_, port, err := net.SplitHostPort(r.Address)
	require.NoError(r.tb, err)
	r.server = startServer(r.tb, r.Log, r.program, slices.Concat(r.args, []string{"--port", port}, args)...)
	if r.server.await(r.tb.Context(), ready) {
		return true
	}
	r.Kill()
	return false
}

// URL is where clients find it, in the form of redis.url, without user or password.
func (r *Redis) URL() string { return "redis://" + r.Address }

// Kill ends it with SIGKILL, as a power cut would, and waits until it is gone.
func (r *Redis) Kill() { r.end(syscall.SIGKILL) }

// Stop ends it in an orderly way, and waits until it is gone.
func (r *Redis) Stop() { r.end(syscall.SIGTERM) }

func (r *Redis) end(signal syscall.Signal) {
	if r.server != nil {
		r.server.end(signal)
	}
}

// Freeze stops it in the middle of whatever it does, and it keeps its connections, until Thaw.
func (r *Redis) Freeze() { r.signal(syscall.SIGSTOP) }

// Thaw lets it go on after Freeze.
func (r *Redis) Thaw() { r.signal(syscall.SIGCONT) }

func (r *Redis) signal(signal syscall.Signal) {
	r.tb.Helper()
	require.NoError(r.tb, r.server.process.Signal(signal))
}

// Restart starts it again after its end, with further options, and waits until it serves its data.
func (r *Redis) Restart(args ...string) {
	r.tb.Helper()
	require.True(r.tb, r.start(args, r.serves), "Redis does not serve again: %s", r.Log.tail())
}

// Reload is Restart, but returns as soon as there is an answer, if only that the data are still being loaded.
func (r *Redis) Reload(args ...string) {
	r.tb.Helper()
	require.True(r.tb, r.start(args, r.answers), "Redis does not answer again: %s", r.Log.tail())
}

package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// server is a real redis-server on a free port of the loopback, with everything it accepts on its disk.
type server struct {
	tb      testing.TB
	program string
	address string
	args    []string
	process *os.Process
	ended   chan struct{} // closed when the process has ended
}

// startServer starts one that ends with the test. Where none can be had the test is skipped, and with CI=true it fails.
func startServer(tb testing.TB, args ...string) *server {
	tb.Helper()
	return launch(tb, append([]string{
		"--bind", "127.0.0.1", "--dir", tb.TempDir(), "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--loglevel", "warning",
	}, args...))
}

// startReplica starts a server that copies another.
func startReplica(tb testing.TB, master *server) *server {
	tb.Helper()
	host, port, err := net.SplitHostPort(master.address)
	require.NoError(tb, err)
	return startServer(tb, "--replicaof", host+" "+port)
}

func launch(tb testing.TB, args []string) *server {
	tb.Helper()
	program, err := serverProgram()
	if err != nil && os.Getenv("CI") != "true" {
		tb.Skipf("redis-server cannot be had here: %v", err)
	}
	require.NoError(tb, err)
	s := &server{tb: tb, program: program, args: args}
	tb.Cleanup(func() { _ = s.stop() })
	// The port is free when it is chosen, and may be taken before redis-server has it.
	for range 5 {
		s.address = freeAddress(tb)
		if err = s.start(); err == nil {
			return s
		}
	}
	require.NoError(tb, err)
	return nil
}

// serverProgram returns the path of redis-server, which it fetches at the first call.
var serverProgram = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../scripts/brokers/ensure", "redis-server")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	path, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("scripts/brokers/ensure redis-server: %w: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(path)), nil
})

func freeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	require.NoError(tb, listener.Close())
	return listener.Addr().String()
}

func (s *server) url() string { return "redis://" + s.address }

// start runs the server and waits until it answers, or has ended.
func (s *server) start() error {
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), s.program, append(slices.Clone(s.args), "--port", port)...)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // that it ended is all there is to know
	}()
	s.process, s.ended = cmd.Process, ended
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		select {
		case <-ended:
			return fmt.Errorf("redis-server does not start on %s", s.address)
		case <-ticker.C:
			if s.answers() {
				return nil
			}
		}
	}
	return errors.Join(fmt.Errorf("redis-server does not serve on %s", s.address), s.stop())
}

// answers sends one PING; that it is still loading is no answer.
func (s *server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.address, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && !strings.HasPrefix(line, "-LOADING")
}

// stop kills the server, as a crash does.
func (s *server) stop() error {
	if s.process == nil {
		return nil
	}
	err := s.process.Kill()
	<-s.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// client is a connection of the test's own.
func (s *server) client() *goredis.Client {
	client := goredis.NewClient(&goredis.Options{Addr: s.address})
	s.tb.Cleanup(func() { _ = client.Close() })
	return client
}

package testkit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// redisError is what Redis answers in place of a result: a code, a space and a text.
type redisError string

func (e redisError) Error() string { return string(e) }

// Do runs one command, on a connection of its own and as the default user, and returns the answer as redis-cli --raw
// prints it: lists with one element a line, nothing as an empty text.
func (r *Redis) Do(ctx context.Context, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(0, 1)) }) // ends what is under way
	defer stop()
	request := fmt.Appendf(nil, "*%d\r\n", len(command))
	for _, word := range command {
		request = fmt.Appendf(request, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := conn.Write(request); err != nil {
		return "", err
	}
	return readAnswer(bufio.NewReader(conn))
}

// readAnswer reads one answer of RESP2, see https://redis.io/docs/latest/develop/reference/protocol-spec.
func readAnswer(from *bufio.Reader) (string, error) {
	line, err := from.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, rest := line[0], strings.TrimSuffix(line[1:], "\r\n")
	switch kind {
	case '+', ':':
		return rest, nil
	case '-':
		return "", redisError(rest)
	}
	size, err := strconv.Atoi(rest)
	switch {
	case err != nil:
		return "", fmt.Errorf("read the answer %q: %w", line, err)
	case size < 0:
		return "", nil
	case kind == '*':
		return readList(from, size)
	}
	text := make([]byte, size+len("\r\n"))
	_, err = io.ReadFull(from, text)
	return string(text[:size]), err
}

func readList(from *bufio.Reader, size int) (string, error) {
	elements := make([]string, size)
	for i := range elements {
		var err error
		if elements[i], err = readAnswer(from); err != nil {
			return "", err
		}
	}
	return strings.Join(elements, "\n"), nil
}

// Run is Do for a command that must succeed.
func (r *Redis) Run(command ...string) string {
	r.tb.Helper()
	answer, err := r.Do(r.tb.Context(), command...)
	require.NoErrorf(r.tb, err, "%v", command)
	return answer
}

// FlushAll makes it forget everything.
func (r *Redis) FlushAll() {
	r.tb.Helper()
	r.Run("FLUSHALL")
}

// Info returns what INFO says in a section, by name.
func (r *Redis) Info(section string) map[string]string {
	r.tb.Helper()
	info := make(map[string]string)
	for line := range strings.Lines(r.Run("INFO", section)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			info[name] = value
		}
	}
	return info
}

// Calls counts the commands that it has run since its start, but not those of Run for watching: INFO and TIME.
func (r *Redis) Calls() int {
	r.tb.Helper()
	calls := 0
	for name, stats := range r.Info("commandstats") {
		if name == "cmdstat_info" || name == "cmdstat_time" {
			continue
		}
		calls += r.calls(stats)
	}
	return calls
}

// CallsOf counts how often it has run one command since its start; the name is in lower case.
func (r *Redis) CallsOf(command string) int {
	r.tb.Helper()
	stats, found := r.Info("commandstats")["cmdstat_"+command]
	if !found {
		return 0
	}
	return r.calls(stats)
}

// calls reads the statistics of one command.
func (r *Redis) calls(stats string) (n int) {
	r.tb.Helper()
	_, err := fmt.Sscanf(stats, "calls=%d,", &n)
	require.NoError(r.tb, err, stats)
	return n
}

// Errors counts the commands that it has answered with an error since its start.
func (r *Redis) Errors() (n int) {
	r.tb.Helper()
	for _, stats := range r.Info("errorstats") {
		var count int
		if _, err := fmt.Sscanf(stats, "count=%d", &count); err == nil {
			n += count
		}
	}
	return n
}

// Time is its clock.
func (r *Redis) Time() time.Time {
	r.tb.Helper()
	var seconds, microseconds int64
	_, err := fmt.Sscan(r.Run("TIME"), &seconds, &microseconds)
	require.NoError(r.tb, err)
	return time.Unix(seconds, microseconds*int64(time.Microsecond))
}

// AwaitReplicas waits until so many replicas follow it.
func (r *Redis) AwaitReplicas(n int) {
	r.tb.Helper()
	Until(r.tb, fmt.Sprintf("%d replicas follow", n), func() bool {
		following := 0
		for _, value := range r.Info("replication") {
			if strings.Contains(value, "state=online") {
				following++
			}
		}
		return following == n
	})
}

// answers reports whether there is any answer.
func (r *Redis) answers(ctx context.Context) bool {
	_, err := r.Do(ctx, "PING")
	_, refused := errors.AsType[redisError](err)
	return err == nil || refused
}

// serves reports whether commands are served; that a password is asked for is such an answer.
func (r *Redis) serves(ctx context.Context) bool {
	_, err := r.Do(ctx, "PING")
	refusal, refused := errors.AsType[redisError](err)
	return err == nil || refused && !strings.HasPrefix(string(refusal), "LOADING")
}

package bootstrap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/configs"
)

// screen is a writer that claims to be a terminal.
type screen struct {
	io.Writer

	terminal *os.File
}

func (s *screen) Fd() uintptr { return s.terminal.Fd() }

func newScreen(t *testing.T, w io.Writer) *screen {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, terminal.Close()) })
	return &screen{Writer: w, terminal: terminal}
}

// started is a process whose log is read line by line.
type started struct {
	t     *testing.T
	log   chan string // closed at its end
	stop  context.CancelFunc
	ended chan error
}

// startLogging starts a process that logs to what to makes of a pipe.
func startLogging(t *testing.T, flags map[string]string, to func(io.Writer) io.Writer) *started {
	t.Helper()
	flags["server.host"], flags["server.port"] = "127.0.0.1", "0"
	flags["embedded.dir"] = filepath.Join(t.TempDir(), "data")
	config := load(t, flags)
	reader, writer := io.Pipe()
	logger := newTestLog(t, config, to(writer))
	ctx, cancel := context.WithCancel(t.Context())
	s := &started{t: t, log: make(chan string, 100), stop: cancel, ended: make(chan error, 1)}
	go func() {
		s.ended <- Run(ctx, config, "test", logger, Reloads{})
		logger.writer.Close(context.Background())
		_ = writer.Close()
	}()
	go func() {
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			s.log <- lines.Text()
		}
		close(s.log)
	}()
	return s
}

// line returns the next line of the log.
func (s *started) line() string {
	s.t.Helper()
	line, open := <-s.log
	require.True(s.t, open, "the log has ended")
	return line
}

// await reads to the next line with this text.
func (s *started) await(text string) {
	s.t.Helper()
	for !strings.Contains(s.line(), text) {
		continue
	}
}

// end stops the process, and returns what was logged before it noticed.
func (s *started) end() (lines []string) {
	s.t.Helper()
	s.stop()
	for line := s.line(); !strings.Contains(line, "shutting down"); line = s.line() {
		lines = append(lines, line)
	}
	for range s.log {
		continue // until it ends
	}
	require.NoError(s.t, <-s.ended)
	return lines
}

// follow makes the call that a step names, and returns the answer.
func follow(t *testing.T, step, body string) string {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	address := regexp.MustCompile(`http://[^ ']+`).FindString(step)
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Less(t, response.StatusCode, 300, string(answer))
	return string(answer)
}

func TestALogOnATerminalEndsWithWhatToTypeNext(t *testing.T) {
	t.Parallel()
	process := startLogging(t, map[string]string{}, func(w io.Writer) io.Writer { return newScreen(t, w) })
	process.await("listening")
	send, fetch, read := process.line(), process.line(), process.line()

	require.Contains(t, send, "curl -d hello http://127.0.0.1:")
	var receipt struct {
		ID string `json:"correlation_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(follow(t, send, "hello")), &receipt))
	require.Contains(t, fetch, "curl 'http://127.0.0.1:")
	require.Contains(t, follow(t, strings.Replace(fetch, "ID", receipt.ID, 1), ""), `"status":"COMPLETED"`)
	require.Contains(t, follow(t, read, ""), "openapi: 3.1")
	require.Contains(t, read, "openhqm help")
	require.NotContains(t, strings.Join(process.end(), "\n"), "curl", "they are not repeated")
}

func TestOtherLogsDoNotSayWhatToTypeNext(t *testing.T) {
	t.Parallel()
	elsewhere := func(w io.Writer) io.Writer { return w }
	onScreen := func(w io.Writer) io.Writer { return newScreen(t, w) }
	for name, tt := range map[string]struct {
		flags map[string]string
		to    func(io.Writer) io.Writer
	}{
		"not a terminal":        {map[string]string{}, elsewhere},
		"text, but no terminal": {map[string]string{"log.format": "text"}, elsewhere},
		"JSON on a terminal":    {map[string]string{"log.format": "json"}, onScreen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			process := startLogging(t, tt.flags, tt.to)
			process.await("listening")
			require.Empty(t, process.end())
		})
	}
}

func TestWhatIsConfiguredNeedsNoFirstSteps(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*configs.Config){
		"nothing":     func(*configs.Config) {},
		"a role":      func(c *configs.Config) { c.Role = configs.RoleAPI },
		"a queue":     func(c *configs.Config) { c.Queue.Type = configs.QueueRedis },
		"an endpoint": func(c *configs.Config) { c.Proxy.Endpoints = map[string]configs.Endpoint{"a": {}} },
		"a key":       func(c *configs.Config) { c.Server.APIKeys = make([]configs.APIKey, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := load(t, nil)
			change(&config)
			written := &counter{}
			writer := telemetry.NewLogWriter(newScreen(t, written))
			log, err := NewLog(config, writer)
			require.NoError(t, err)
			logFirstSteps(log.Logger, config, &net.TCPAddr{IP: net.IPv4zero, Port: 8000})
			writer.Close(t.Context())
			if name == "nothing" {
				require.Equal(t, 3, written.lines)
			} else {
				require.Zero(t, written.lines)
			}
		})
	}
}

type counter struct{ lines int }

func (c *counter) Write(p []byte) (int, error) {
	c.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

func TestTypedAddressWorksOnThisMachine(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]string{
		"0.0.0.0:8000": "localhost:8000", "[::]:8000": "localhost:8000",
		"127.0.0.1:1": "127.0.0.1:1", "192.0.2.7:80": "192.0.2.7:80", "[2001:db8::1]:80": "[2001:db8::1]:80",
	} {
		address, err := net.ResolveTCPAddr("tcp", give)
		require.NoError(t, err)
		require.Equal(t, want, typedAddress(address))
	}
}

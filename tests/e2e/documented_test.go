package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// redisAddress is set where this program is to act as redis-cli, which nothing installs for the tests.
const redisAddress = "OPENHQM_TEST_REDIS_CLI"

// redisCLI runs the command in the arguments as redis-cli does when its output is no terminal.
func redisCLI(address string) int {
	server := testkit.Redis{Address: address}
	answer, err := server.Do(context.Background(), os.Args[1:]...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, err := fmt.Fprintln(os.Stdout, answer); err != nil {
		return 1
	}
	return 0
}

// documented returns the commands in a section of domain/envelope/README.md.
func documented(t *testing.T, section string) (commands []string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "domain", "envelope", "README.md"))
	require.NoError(t, err)
	_, text, found := strings.Cut(string(readme), "\n### "+section+"\n")
	require.True(t, found, section)
	text, _, _ = strings.Cut(text, "\n### ")
	for i, block := range strings.Split(text, "```") {
		if command, shell := strings.CutPrefix(block, "sh\n"); shell && i%2 == 1 {
			commands = append(commands, command)
		}
	}
	require.NotEmpty(t, commands)
	return commands
}

// shell runs commands as they stand, and returns what they print.
func shell(t *testing.T, server *testkit.Redis, commands string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	tools := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(tools, "redis-cli")))
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", commands)
	cmd.Env = append(os.Environ(), redisAddress+"="+server.Address, "PATH="+tools+":"+os.Getenv("PATH"))
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", commands, output)
	return string(output)
}

func TestTheDocumentedProducersAndReadersWork(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	backend := testkit.NewBackend(t, testkit.Echo())
	process := onRedis(t, server, "all", testkit.OneBackend(backend.URL),
		"OPENHQM_QUEUE_RESPONSES="+responseStream).Start()
	printed := shell(t, server, strings.Join(documented(t, "Redis: your programs write the requests"), "\n"))
	require.Contains(t, printed, `"correlation_id":"order-17","status":"COMPLETED"`)
	require.Contains(t, printed, `"result":{"item": "tea"}`)
	require.True(t, strings.HasSuffix(printed, "\n1\n"), "it is acknowledged: %s", printed)
	require.Equal(t, "0", strings.Split(server.Run("XPENDING", responseStream, "shop"), "\n")[0])
	endWell(t, process)
}

func TestTheDocumentedConsumersDoTheWork(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	process := onRedis(t, server, "api", testkit.OneBackend("http://shop.internal"),
		"OPENHQM_QUEUE_RESULTS_IN="+resultStream).Start()
	commands := documented(t, "Redis: your programs do the work")
	require.Len(t, commands, 2)
	shell(t, server, commands[0])
	for range 3 {
		id := process.Client().Submit(`{"payload": {"item": "tea"}}`).CorrelationID
		shell(t, server, commands[1])
		result := process.Client().Result(id)
		require.Equal(t, "COMPLETED", result.Status)
		require.Equal(t, http.StatusOK, result.StatusCode)
		require.Equal(t, "17", string(result.Result))
	}
	endWell(t, process)
}

package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// The exit codes that scripts can rely on.
const (
	exitFailed = 1 // could not start, or could not go on
	exitUsage  = 2 // the configuration or the command line is wrong
)

func TestOneDataDirectoryServesOneProcess(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	client := gateway.Start().Client()

	second := gateway.Run()

	require.Equal(t, exitFailed, second.Code, second.Stderr)
	require.Contains(t, second.Stderr, "data directory data is in use by another process")
	id := client.Submit(`{"payload": 1}`).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(id).Status, "the first process is not disturbed")
}

func TestAPortThatIsTakenFailsTheStart(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)

	output := testkit.NewGateway(t, "", "OPENHQM_SERVER_PORT="+port).Run()

	require.Equal(t, exitFailed, output.Code, output.Stderr)
	require.Contains(t, output.Stderr, "address already in use")
	require.Contains(t, output.Stderr, listener.Addr().String())
}

func TestADirectoryWithForeignFilesIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "embedded: {dir: theirs}\n")
	theirs := filepath.Join(gateway.Dir, "theirs")
	require.NoError(t, os.MkdirAll(filepath.Join(theirs, "photos"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(theirs, "photos", "cat.txt"), []byte("miaow"), 0o600))
	before := contents(t, theirs)

	output := gateway.Run()

	require.Equal(t, exitFailed, output.Code, output.Stderr)
	require.Contains(t, output.Stderr, "it is not a data directory of OpenHQM")
	require.Contains(t, output.Stderr, "photos", "what gave it away")
	require.Equal(t, before, contents(t, theirs))
}

// contents returns what is in a directory, files by path.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			found[path] = ""
			return err
		}
		content, err := os.ReadFile(path)
		found[path] = string(content)
		return err
	}))
	return found
}

func TestADataDirectoryWithoutItsDatabaseFailsTheStart(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	process := gateway.Start()
	process.Client().Submit(`{"payload": 1}`)
	process.Kill()
	require.NoError(t, os.RemoveAll(filepath.Join(gateway.Dir, "data", "db")))

	output := gateway.Run()

	require.Equal(t, exitFailed, output.Code, output.Stderr)
	require.Contains(t, output.Stderr, "open database")
}

func TestABadConfigurationNamesEveryFault(t *testing.T) {
	t.Parallel()
	const config = `
server:
  prot: 8000
  read_timeout: 60
worker:
  count: 0
proxy:
  default_endpoint: nobody
  endpoints:
    orders: {url: "ftp://orders.internal"}
`
	gateway := testkit.NewGateway(t, config, "OPENHQM_QUEUE_TYPE=rabbit", "OPENHQM_SERVER_PORT=99999")
	for _, args := range [][]string{nil, {"config"}} {
		output := gateway.Run(args...)

		require.Equal(t, exitUsage, output.Code, output.Stderr)
		for _, want := range []string{
			"openhqm.yaml:3: server.prot", // unknown
			"openhqm.yaml:4: server.read_timeout",
			"openhqm.yaml:6: worker.count",
			"openhqm.yaml:8: proxy.default_endpoint",
			"openhqm.yaml:10: proxy.endpoints.orders.url",
			"OPENHQM_QUEUE_TYPE: queue.type",
			"OPENHQM_SERVER_PORT: server.port",
		} {
			require.Contains(t, output.Stderr, want)
		}
		require.Equal(t, 7, strings.Count(output.Stderr, "\n  "), "one line each")
		require.Empty(t, output.Stdout)
		require.NoDirExists(t, filepath.Join(gateway.Dir, "data"), "nothing was begun")
	}
}

func TestASecretThatCannotBeReadFailsTheStart(t *testing.T) {
	t.Parallel()
	const config = `
proxy: {endpoints: {orders: {url: "http://127.0.0.1:1", auth: {type: bearer, token: "${ORDERS_TOKEN}"}}}}
`
	output := testkit.NewGateway(t, config).Run()

	require.Equal(t, exitUsage, output.Code, output.Stderr)
	require.Contains(t, output.Stderr, "ORDERS_TOKEN")
}

func TestTheVersionIsPrinted(t *testing.T) {
	t.Parallel()

	output := testkit.NewGateway(t, "").Run("--version")

	require.Zero(t, output.Code)
	require.Regexp(t, `^openhqm \S+\n$`, output.Stdout)
}

func TestACommandLineThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	for _, args := range [][]string{{"serve"}, {"--port=1"}, {"config", "more"}} {
		output := gateway.Run(args...)

		require.Equalf(t, exitUsage, output.Code, "%v: %s", args, output.Stderr)
		require.NotEmpty(t, output.Stderr)
	}
}

func TestAStartCanBeRepeatedAfterEveryKindOfEnd(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	ids := make([]string, 0, 3)
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt, os.Kill} {
		process := gateway.Start()
		id := process.Client().Submit(`{"payload": 1}`).CorrelationID
		require.Equal(t, "COMPLETED", process.Client().Result(id).Status)
		ids = append(ids, id)

		process.Signal(signal)

		state := process.Wait()
		require.Truef(t, signal == os.Kill || state.Success(), "after %s: %s", signal, state)
	}
	client := gateway.Start().Client()
	for _, id := range ids {
		require.Equal(t, "COMPLETED", client.Result(id).Status)
	}
}

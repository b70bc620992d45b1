package embedded

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary starts itself again as another process: what it is to do there stands in its environment.
const (
	childTask = "OPENHQM_TEST_CHILD"
	childDir  = "OPENHQM_TEST_DIR"

	childOpen = "open" // opens the directory and prints the error
	childWork = "work" // accepts and finishes under load, and prints what was confirmed
)

// runChild does the task of a child process, if this is one.
func runChild() bool {
	dir := os.Getenv(childDir)
	switch os.Getenv(childTask) {
	case childOpen:
		_, err := Open(testOptions(dir, time.Now))
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
	case childWork:
		workUntilKilled(dir)
	default:
		return false
	}
	return true
}

// child is a running child process.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *bufio.Reader
}

func startChild(t *testing.T, task, dir string) *child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childTask+"="+task, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	// The child ends when this pipe does: so it does not outlive a test that was killed.
	_, err = cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return &child{t: t, cmd: cmd, output: bufio.NewReader(output)}
}

// line reads a whole line, or reports false at the end of the output; a line cut off by the end does not count.
func (c *child) line() (string, bool) {
	line, err := c.output.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err == nil
}

// all waits for the end and returns everything that was printed.
func (c *child) all() string {
	c.t.Helper()
	text, err := io.ReadAll(c.output)
	require.NoError(c.t, err)
	require.NoError(c.t, c.cmd.Wait())
	return string(text)
}

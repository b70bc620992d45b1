package testkit

import (
	"fmt"
	"os"
	"strings"

	"github.com/stretchr/testify/require"
)

// PeakMemory returns the most bytes that the process had resident since it began. On systems without /proc the test is
// skipped.
func (p *Process) PeakMemory() int64 {
	p.tb.Helper()
	return p.memory("VmHWM:")
}

// Memory returns the bytes that the process has resident now. On systems without /proc the test is skipped.
func (p *Process) Memory() int64 {
	p.tb.Helper()
	return p.memory("VmRSS:")
}

// memory returns a line of the process's status, in bytes; see proc_pid_status(5).
func (p *Process) memory(line string) int64 {
	p.tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if os.IsNotExist(err) {
		p.tb.Skipf("the memory of a process cannot be read here: %v", err)
	}
	require.NoError(p.tb, err)
	_, rest, found := strings.Cut(string(status), line)
	require.True(p.tb, found)
	var kilobytes int64
	_, err = fmt.Sscanf(rest, "%d kB", &kilobytes)
	require.NoError(p.tb, err)
	return kilobytes << 10
}

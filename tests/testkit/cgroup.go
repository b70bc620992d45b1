package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// LimitMemory makes the processes that start from now on run in a control group that may use so many bytes: the kernel
// kills one that needs more. Where no group can be made, for want of rights, Go's own limit is set to three quarters
// of it instead. Then nothing is killed, and the test has to look at PeakMemory.
func (g *Gateway) LimitMemory(bytes int64) {
	g.tb.Helper()
	group, err := newGroup(bytes)
	if err != nil {
		g.tb.Logf("the memory of processes is limited by GOMEMLIMIT alone: %v", err)
		g.env = append(g.env, "GOMEMLIMIT="+strconv.FormatInt(bytes-bytes/4, 10))
		return
	}
	g.group = group
	g.tb.Cleanup(func() { require.NoError(g.tb, os.Remove(group)) }) // after its processes have ended
}

// newGroup makes a control group of version 1 or 2, whichever counts memory here, and returns its directory.
func newGroup(bytes int64) (string, error) {
	const v1, v2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"
	parent, limits := v1, []string{"memory.limit_in_bytes"}
	if controllers, err := os.ReadFile(filepath.Join(v2, "cgroup.subtree_control")); err == nil {
		if !strings.Contains(string(controllers), "memory") {
			return "", fmt.Errorf("%s does not count memory", v2)
		}
		parent, limits = v2, []string{"memory.max"}
	}
	group, err := os.MkdirTemp(parent, "openhqm-test-")
	if err != nil {
		return "", err
	}
	for _, name := range limits {
		if err := os.WriteFile(filepath.Join(group, name), []byte(strconv.FormatInt(bytes, 10)), 0o600); err != nil {
			_ = os.Remove(group)
			return "", err
		}
	}
	return group, nil
}

// enterGroup is a shell script that joins a control group before it becomes the program.
const enterGroup = `echo $$ >"$0/cgroup.procs" && exec "$@"`

package scripts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeGo stands for the Go command: it writes down how it was called, and builds a program that prints its arguments.
const fakeGo = `#!/bin/sh
echo "go $*" >>"$CALLS"
[ "$1" != build ] || [ -z "$BROKEN" ] || exit 3
while [ $# -gt 1 ]; do
	[ "$1" != -o ] || { mkdir -p bin; printf '#!/bin/sh\necho "openhqm $*"\n' >"$2"; chmod +x "$2"; }
	shift
done
[ "$1" != task ] || echo ./scripts/fake-task
`

const fakeTask = `#!/bin/sh
echo "task $*"
`

// newTree copies what scripts/task needs, with the fakes.
func newTree(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, file := range []string{"scripts/task", "scripts/build", "Taskfile.yml"} {
		content, err := os.ReadFile(filepath.Join("..", file))
		require.NoError(t, err)
		write(t, filepath.Join(root, file), string(content))
	}
	write(t, filepath.Join(root, "scripts/fake-task"), fakeTask)
	write(t, filepath.Join(root, "path/go"), fakeGo)
	return root
}

func write(t *testing.T, file, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o700))
}

// runTask runs scripts/task in a tree of its own, from another directory, and returns what it printed and how it called
// Go.
func runTask(t *testing.T, environ []string, args ...string) (stdout string, calls []string, err error) {
	t.Helper()
	root := newTree(t)
	recorded := filepath.Join(root, "calls")
	command := exec.CommandContext(t.Context(), filepath.Join(root, "scripts/task"), args...)
	command.Dir = t.TempDir()
	command.Env = append([]string{
		"PATH=" + filepath.Join(root, "path") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"CALLS=" + recorded, "VERSION=1.2",
	}, environ...)
	output, err := command.Output()
	content, _ := os.ReadFile(recorded) // missing: Go was not called
	for line := range strings.Lines(string(content)) {
		calls = append(calls, strings.TrimSpace(line))
	}
	return string(output), calls, err
}

func TestRunningTheProgramDoesNotBuildTask(t *testing.T) {
	t.Parallel()
	const build = "go build -trimpath -buildvcs=false -tags nomsgpack -ldflags -s -w -X main.version=1.2 " +
		"-o bin/openhqm ./bootstrap/openhqm"
	for _, tt := range []struct {
		give string
		want string
	}{
		{give: "build"},
		{give: "run", want: "openhqm \n"},
		{give: "run -- --role api", want: "openhqm --role api\n"},
	} {
		t.Run(tt.give, func(t *testing.T) {
			t.Parallel()
			stdout, calls, err := runTask(t, nil, strings.Fields(tt.give)...)
			require.NoError(t, err)
			require.Equal(t, tt.want, stdout)
			require.Equal(t, []string{build}, calls)
		})
	}
}

func TestABuildThatFailsRunsNothing(t *testing.T) {
	t.Parallel()
	stdout, calls, err := runTask(t, []string{"BROKEN=1"}, "run")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.ExitCode())
	require.Empty(t, stdout)
	require.Len(t, calls, 1)
}

func TestTheListOfTasksNeedsNoGo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"help"}, {"--help"}, {"--list"}} {
		stdout, calls, err := runTask(t, nil, args...)
		require.NoError(t, err)
		require.Empty(t, calls)
		for _, task := range []string{"run", "test:unit", "ci"} {
			require.Regexp(t, `(?m)^  `+task+` +[A-Z]`, stdout)
		}
		require.NotRegexp(t, `(?m)^  golangci-lint `, stdout, "internal tasks are not listed")
	}
}

func TestOtherTasksAreTasks(t *testing.T) {
	t.Parallel()
	for _, give := range []string{"lint", "build lint", "run --force", "test -- ./domain"} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			stdout, calls, err := runTask(t, nil, strings.Fields(give)...)
			require.NoError(t, err)
			require.Equal(t, []string{"go tool -modfile=scripts/tools/go.mod -n task"}, calls)
			require.True(t, strings.HasPrefix(stdout, "task --dir "), stdout)
			require.True(t, strings.HasSuffix(stdout, " "+give+"\n"), stdout)
		})
	}
}

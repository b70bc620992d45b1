package arch_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// topLevel lists the names at the top of the repository, without those that start with a dot.
func topLevel() []string {
	return []string{
		"LICENSE", "README.md", "Taskfile.yml", "adapters", "application", "bootstrap", "configs", "domain", "go.mod",
		"go.sum", "ports", "scripts", "tests",
	}
}

func TestTheTopLevelHasTheListedNames(t *testing.T) {
	t.Parallel()
	tracked := trackedFiles(t)
	entries, err := os.ReadDir(root(t))
	require.NoError(t, err)
	present := make([]string, 0, len(entries))
	for _, entry := range entries {
		present = append(present, entry.Name())
	}

	strange, missing := compareTopLevel(tracked, present)

	require.Empty(t, strange, "not listed in topLevel")
	require.Empty(t, missing, "listed in topLevel, but missing")
}

func TestAnUnexpectedTopLevelIsFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		giveTracked []string
		givePresent []string
		wantStrange []string
		wantMissing []string
	}{
		{name: "as listed", giveTracked: []string{"go.mod", "ports/work.go", ".ci/run", ""}, givePresent: topLevel()},
		{
			name: "an extra file", giveTracked: []string{"main.go", "go.mod"}, givePresent: topLevel(),
			wantStrange: []string{"main.go"},
		},
		{
			name: "an extra folder", giveTracked: []string{"tools/a.go", "tools/b.go"}, givePresent: topLevel(),
			wantStrange: []string{"tools"},
		},
		{
			name: "untracked files are ignored", givePresent: append(topLevel(), "notes.txt"),
		},
		{name: "a missing name", givePresent: topLevel()[1:], wantMissing: []string{"LICENSE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			strange, missing := compareTopLevel(tt.giveTracked, tt.givePresent)
			require.Equal(t, tt.wantStrange, strange)
			require.Equal(t, tt.wantMissing, missing)
		})
	}
}

// trackedFiles returns the paths of all files that git tracks, relative to the root. Without git the test is skipped,
// and with CI set it fails.
func trackedFiles(t *testing.T) []string {
	t.Helper()
	git := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	git.Dir = root(t)
	tracked, err := git.Output()
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("git does not list the files of the repository: %v", err)
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(tracked), "\x00"), "\x00")
}

// compareTopLevel compares tracked files and present names with topLevel. It returns the tracked names that topLevel
// does not list, and the listed names that are not present.
func compareTopLevel(tracked, present []string) (strange, missing []string) {
	for _, file := range tracked {
		top, _, _ := strings.Cut(file, "/")
		known := top == "" || strings.HasPrefix(top, ".") || slices.Contains(topLevel(), top)
		if !known && !slices.Contains(strange, top) {
			strange = append(strange, top)
		}
	}
	for _, name := range topLevel() {
		if !slices.Contains(present, name) {
			missing = append(missing, name)
		}
	}
	return strange, missing
}
